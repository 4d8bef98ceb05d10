"""Our device in memory, bound to the transactions of its store.

Ratchets in memory run ahead of a transaction that fails. So after any failure the memory is thrown
away, and the next use loads what the database says.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, select

from rabta_bots.matrix import tables
from rabta_bots.matrix.machine import Machine
from rabta_bots.matrix.store import CryptoStore


@dataclass(frozen=True, slots=True)
class Identity:
    """A user's cross-signing identity as last seen; keys are unpadded base64 Ed25519."""

    pinned_master: str | None
    master: str | None
    self_signing: str | None
    """Only set when the master key's signature on it was verified."""

    @property
    def changed(self) -> bool:
        """Whether the identity shown is not the one pinned."""
        return self.pinned_master is not None and self.master != self.pinned_master


class CryptoState:
    """What must be changed together and loaded together.

    Args:
        store: The rows.
        user_id: Our account.
        device_id: Our device.
    """

    def __init__(self, store: CryptoStore, user_id: str, device_id: str) -> None:
        self.store = store
        self.user_id = user_id
        self.device_id = device_id
        self.lock = asyncio.Lock()
        """Held by whoever uses ratchets, also between two transactions of one piece of work."""
        self._machine: Machine | None = None
        self._identities: dict[str, Identity] | None = None

    @property
    def machine(self) -> Machine:
        """The Olm machine, loaded if the last one was thrown away."""
        if self._machine is None:
            self._machine = Machine(self.user_id, self.device_id, self.store)
        return self._machine

    @property
    def identities(self) -> dict[str, Identity]:
        """User id -> identity, for every user whose keys were ever queried."""
        if self._identities is None:
            table = tables.identity
            with self.store.transaction() as connection:
                self._identities = {
                    row.user_id: Identity(row.pinned_master, row.master, row.self_signing)
                    for row in connection.execute(select(table))
                }
        return self._identities

    def forget(self) -> None:
        """Throw the memory away."""
        self._machine = None
        self._identities = None

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Open the one transaction of a piece of work; a failure throws the memory away."""
        try:
            with self.store.transaction() as connection:
                yield connection
        except BaseException:
            self.forget()
            raise
