"""Who a device belongs to: master -> self-signing -> device, with the master key pinned.

The homeserver's word alone makes nobody's device. A user's master key is pinned the first time it
is seen; when it changes, all devices of the user lose trust until a person acknowledges.
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy import Connection, bindparam, select

from rabta_bots.matrix import tables
from rabta_bots.matrix.errors import MatrixError
from rabta_bots.matrix.grammar import is_device_id, is_key, is_user_id, mapping
from rabta_bots.matrix.received import SenderTrust
from rabta_bots.matrix.sessions import Device
from rabta_bots.matrix.signing import signed_by
from rabta_bots.matrix.state import CryptoState, Identity
from rabta_bots.matrix.store import milliseconds
from rabta_bots.matrix.wire import Wire
from rabta_bots.rows import put, put_new

_REMOTE_PATIENCE = timedelta(seconds=10)
_QUESTION = 250
"""Users per question: its answer is parsed in one piece, in some 15 ms."""
_BATCH = 25
"""Users per transaction: some 15 ms of verifying, then the event loop has its turn."""

_log = structlog.get_logger(__name__)


_CURRENT = select(tables.tracked_user.c.user_id).where(
    ~tables.tracked_user.c.outdated,
    tables.tracked_user.c.user_id.in_(bindparam("users", expanding=True)),
)


class Trust:
    """The devices and identities of other users.

    Args:
        state: Our device.
        wire: The homeserver.
    """

    def __init__(self, state: CryptoState, wire: Wire) -> None:
        self._state = state
        self._wire = wire
        self._changes: Counter[str] = Counter()
        self._silent: set[str] = set()

    # -- judging --------------------------------------------------------------------------------

    def standing(self, device: Device) -> SenderTrust:
        """Judge a known device by its owner's identity."""
        identity = self._state.identities.get(device.user_id)
        if identity is None:
            return SenderTrust.UNSIGNED
        if identity.changed:
            return SenderTrust.CHANGED_IDENTITY
        if identity.self_signing is not None and device.signed_by == identity.self_signing:
            return SenderTrust.SIGNED
        return SenderTrust.UNSIGNED

    def sender(
        self, user_id: str, sender_key: str | None, ed25519: str | None
    ) -> tuple[SenderTrust, str | None]:
        """Judge who made a room key: trust, and the device id when the user has such a device.

        Args:
            user_id: The sender the event names.
            sender_key: The Olm key the room key came over; None for an event in clear.
            ed25519: The signing key that Olm message claimed.
        """
        if sender_key is None:
            return SenderTrust.UNKNOWN, None
        device = self._state.machine.device_of_key(user_id, sender_key)
        if device is None or device.ed25519 != ed25519:
            return SenderTrust.UNKNOWN, None
        return self.standing(device), device.device_id

    def devices(self, user_id: str) -> list[Device]:
        """Give the devices a user has now."""
        return list(self._state.machine.device_store.active_user_devices(user_id))

    def changed_identities(self) -> list[str]:
        """Give the users whose identity changed and was not acknowledged."""
        return sorted(user for user, one in self._state.identities.items() if one.changed)

    def acknowledge(self, user_id: str) -> None:
        """Pin the identity a user shows now.

        Raises:
            MatrixError: permanent `no-identity` when the user shows none.
        """
        seen = self._state.identities.get(user_id)
        if seen is None or seen.master is None:
            raise MatrixError("no-identity", user_id, permanent=True)
        with self._state.transaction() as connection:
            acknowledged = Identity(seen.master, seen.master, seen.self_signing)
            self._save(connection, {user_id: acknowledged})
        _log.warning("identity-acknowledged")

    # -- keeping up -----------------------------------------------------------------------------

    def mark_outdated(self, connection: Connection, users: Iterable[object]) -> None:
        """Note that users' device lists may have changed, so that the next use asks again."""
        known = [user for user in users if is_user_id(user) and user != self._state.user_id]
        for user in known:
            self._changes[str(user)] += 1
        put(
            connection,
            tables.tracked_user,
            [{"user_id": user, "outdated": True} for user in known],
        )

    def outdated(self, users: Collection[str] | None = None) -> set[str]:
        """Give those of the users (of all ever tracked, if None) whose devices must be asked."""
        table = tables.tracked_user
        with self._state.store.transaction() as connection:
            if users is None:
                query = select(table.c.user_id).where(table.c.outdated)
                return set(connection.execute(query).scalars())
            current = set(connection.execute(_CURRENT, {"users": list(users)}).scalars())
            return set(users) - current - {self._state.user_id}

    def asked_for(self, users: Collection[str] | None) -> set[str]:
        """Give those of the users whose devices changed since they were last asked for.

        A user of a silent server stays outdated and must not hold up a room for ever.
        """
        return self.outdated(users) - self._silent

    async def refresh(self, users: Collection[str]) -> None:
        """Ask the homeserver for the keys of users and take in what is well-formed.

        Raises:
            MatrixError: as `Wire.call`. A remote server that does not answer is not an error:
                its users stay outdated.
        """
        waiting = sorted(users)
        for start in range(0, len(waiting), _QUESTION):
            await self._ask(waiting[start : start + _QUESTION])

    async def _ask(self, users: Sequence[str]) -> None:
        before = {user: self._changes[user] for user in users}
        answer = await self._wire.call(
            "POST",
            "keys",
            "query",
            body={
                "device_keys": {user: [] for user in users},
                "timeout": int(_REMOTE_PATIENCE.total_seconds() * 1000),
            },
            timeout=_REMOTE_PATIENCE * 2,
        )
        silent = set(mapping(answer.get("failures")))
        for start in range(0, len(users), _BATCH):
            batch = users[start : start + _BATCH]
            async with self._state.lock:
                with self._state.transaction() as connection:
                    heard = [one for one in batch if one.partition(":")[2] not in silent]
                    self._take(connection, heard, answer, before)
                    for user in sorted(set(batch) - set(heard)):
                        self._note_silent(connection, user)
            await asyncio.sleep(0)

    def _note_silent(self, connection: Connection, user: str) -> None:
        self._silent.add(user)
        put_new(connection, tables.tracked_user, {"user_id": user, "outdated": True})
        _log.warning("device-list-silent")

    def _take(
        self,
        connection: Connection,
        users: Sequence[str],
        answer: Mapping[str, Any],
        before: Mapping[str, int],
    ) -> None:
        """Take in an answer for users; their rows are written together, one statement a table."""
        changed = {user: found for user in users if (found := self._new_identity(user, answer))}
        self._save(connection, changed)
        shown = mapping(answer.get("device_keys"))
        self._state.store.save_device_keys(
            {user: self._new_devices(user, mapping(shown.get(user))) for user in users}
        )
        self._silent.difference_update(users)
        # A change that was announced while the question was under way stays open.
        rows = [{"user_id": one, "outdated": self._changes[one] != before[one]} for one in users]
        put(connection, tables.tracked_user, rows)

    def _new_identity(self, user: str, answer: Mapping[str, Any]) -> Identity | None:
        """Give the identity a user shows; None when it is the one we know."""
        master_object = mapping(mapping(answer.get("master_keys")).get(user))
        self_signing_object = mapping(mapping(answer.get("self_signing_keys")).get(user))
        master = _cross_signing_key(master_object, user, "master")
        self_signing = _cross_signing_key(self_signing_object, user, "self_signing")
        if not (
            master
            and self_signing
            and signed_by(self_signing_object, user, f"ed25519:{master}", master)
        ):
            self_signing = None
        seen = self._state.identities.get(user)
        pinned = seen.pinned_master if seen else None
        identity = Identity(pinned or master, master, self_signing)
        if identity.changed and not (seen and seen.changed):
            _log.error("identity-changed")
        return None if identity == seen else identity

    def _save(self, connection: Connection, identities: Mapping[str, Identity]) -> None:
        now = milliseconds(self._state.store.clock())
        rows = [
            {
                "user_id": user,
                "pinned_master": identity.pinned_master,
                "master": identity.master,
                "self_signing": identity.self_signing,
                "seen_ms": now,
            }
            for user, identity in identities.items()
        ]
        put(connection, tables.identity, rows)
        self._state.identities.update(identities)

    def _new_devices(self, user: str, payloads: Mapping[str, Any]) -> dict[str, Device]:
        """Put the well-formed devices of an answer in memory; give those that are to be saved."""
        identity = self._state.identities.get(user)
        machine = self._state.machine
        changed: dict[str, Device] = {}
        for device_id, payload in payloads.items():
            device = _device(user, device_id, mapping(payload))
            if device is None:
                _log.warning("device-malformed")
                continue
            held = machine.device(user, device_id)
            if held is not None and (held.ed25519, held.curve25519) != (
                device.ed25519,
                device.curve25519,
            ):
                # A device never changes its keys: whoever serves others under its id forges it.
                _log.error("device-keys-changed", device_id=device_id)
                continue
            signer = identity.self_signing if identity else None
            if signer and signed_by(mapping(payload), user, f"ed25519:{signer}", signer):
                device.signed_by = signer
            if held is not None and not held.deleted and held.signed_by == device.signed_by:
                continue  # as we know it
            machine.device_store[user][device_id] = device
            changed[device_id] = device
        for gone in self.devices(user):
            if gone.device_id not in payloads:
                gone.deleted = True
                changed[gone.device_id] = gone
        return changed


def _cross_signing_key(value: Mapping[str, Any], user: str, usage: str) -> str | None:
    """Give the public key of a well-formed cross-signing key object of this user."""
    usages, keys = value.get("usage"), mapping(value.get("keys"))
    if value.get("user_id") != user or not isinstance(usages, list) or usage not in usages:
        return None
    if len(keys) != 1:
        return None
    ((key_id, key),) = keys.items()
    return key if is_key(key) and key_id == f"ed25519:{key}" else None


def _device(user: str, device_id: str, payload: Mapping[str, Any]) -> Device | None:
    """Give a device whose own signature on its keys holds (B4: judged one by one)."""
    keys = mapping(payload.get("keys"))
    ed25519, curve25519 = keys.get(f"ed25519:{device_id}"), keys.get(f"curve25519:{device_id}")
    if (
        not is_device_id(device_id)
        or payload.get("user_id") != user
        or payload.get("device_id") != device_id
        or not is_key(ed25519)
        or not is_key(curve25519)
        or not signed_by(payload, user, f"ed25519:{device_id}", str(ed25519))
    ):
        return None
    return Device(user, device_id, {"ed25519": ed25519, "curve25519": curve25519})
