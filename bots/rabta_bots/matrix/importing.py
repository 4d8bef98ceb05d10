"""Takes the keys of an older nio bot over, so that it goes on as the same device.

The only place that imports libolm (python-olm, extra `migrate`): nio before 0.26 pickled with it.
A command of the operator, never a part of the running bridge.
"""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import vodozemac
from nio.crypto.sessions import Session, derive_pickle_key
from olm.account import Account as LibolmAccount
from olm.account import OlmAccountError
from olm.group_session import InboundGroupSession as LibolmRoomKey
from olm.group_session import OlmGroupSessionError
from olm.session import OlmSessionError
from olm.session import Session as LibolmSession
from sqlalchemy import Engine, insert, select

from rabta_bots.matrix import tables
from rabta_bots.matrix.errors import MatrixError
from rabta_bots.matrix.sealing import Seal
from rabta_bots.matrix.sessions import Account, RoomSession
from rabta_bots.matrix.store import CryptoStore

_ACCOUNTS = "SELECT id, device_id, account, shared FROM accounts WHERE user_id = ?"
_OLM = (
    "SELECT sender_key, session, creation_time, last_usage_date FROM olmsessions"
    " WHERE account_id = ?"
)
_MEGOLM = (
    "SELECT sender_key, fp_key, room_id, session FROM megolminboundsessions WHERE account_id = ?"
)


@dataclass(frozen=True, slots=True)
class Imported:
    """What was taken over."""

    device_id: str
    olm_sessions: int
    room_keys: int


def import_store(
    source: Path,
    passphrase: str,
    engine: Engine,
    seal: Seal,
    *,
    user_id: str,
    device_id: str | None,
    clock: Callable[[], datetime],
) -> Imported:
    """Copy account, Olm sessions and room keys into an unused store, in one transaction.

    Not taken over: the sync token (the first sync takes the rooms in afresh), devices of others
    and trust in them (the bridge judges by signatures), and outbound room keys (nio kept none).

    Args:
        source: nio's SQLite file. It is opened for reading only.
        passphrase: nio's `pickle_key`.
        engine: The bridge's store, whose lease the caller holds.
        seal: The bridge's own.
        user_id: Our account.
        device_id: Which device, where the source has several.
        clock: Gives the time.

    Raises:
        MatrixError: permanent `import-not-a-store`, `import-another-account`,
            `import-several-devices`, `import-passphrase-wrong`, `import-target-used`.
    """
    found = _read(source, user_id, device_id)
    tables.metadata.create_all(engine)
    store = CryptoStore(engine, seal, clock)
    account = Account(
        _unpickled(found.account, passphrase, vodozemac.Account, _repickler(LibolmAccount))
    )
    account.shared = found.shared
    with store.transaction() as connection:
        if connection.execute(select(tables.account.c.user_id)).first() is not None:
            raise MatrixError("import-target-used", permanent=True)
        connection.execute(
            insert(tables.account).values(
                user_id=user_id,
                device_id=found.device_id,
                shared=found.shared,
                device_signed=False,
            )
        )
        store.save_account(account)
        for sender_key, pickle, made, used in found.olm_sessions:
            unpickled = _unpickled(pickle, passphrase, vodozemac.Session, _repickler(LibolmSession))
            session = Session(unpickled)
            session.creation_time, session.use_time = _moment(made), _moment(used)
            store.save_session(sender_key, session)
        for sender_key, ed25519, room_id, pickle in found.room_keys:
            repickle = _repickler(LibolmRoomKey)
            key = _unpickled(pickle, passphrase, vodozemac.InboundGroupSession, repickle)
            store.save_inbound_group_session(
                RoomSession("", ed25519, sender_key, room_id, session=key)
            )
    return Imported(found.device_id, len(found.olm_sessions), len(found.room_keys))


@dataclass(frozen=True, slots=True)
class _Found:
    """The rows of one device, as nio's tables have them."""

    device_id: str
    account: bytes
    shared: bool
    olm_sessions: Sequence[Any]
    room_keys: Sequence[Any]


def _read(source: Path, user_id: str, device_id: str | None) -> _Found:
    try:
        with closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as nio:
            accounts = nio.execute(_ACCOUNTS, [user_id]).fetchall()
            if device_id is not None:
                accounts = [row for row in accounts if row[1] == device_id]
            if not accounts:
                others = nio.execute("SELECT user_id, device_id FROM accounts").fetchall()
                told = ", ".join(f"{user} {device}" for user, device in others) or "nobody"
                raise MatrixError("import-another-account", f"it is of {told}", permanent=True)
            if len(accounts) > 1:
                told = ", ".join(row[1] for row in accounts)
                raise MatrixError("import-several-devices", told, permanent=True)
            ((number, found, pickle, shared),) = accounts
            return _Found(
                device_id=found,
                account=_bytes(pickle),
                shared=bool(shared),
                olm_sessions=nio.execute(_OLM, [number]).fetchall(),
                room_keys=nio.execute(_MEGOLM, [number]).fetchall(),
            )
    except sqlite3.Error as error:
        raise MatrixError("import-not-a-store", f"{source}: {error}", permanent=True) from error


def _repickler(kind: Any) -> Callable[[bytes, str], bytes]:
    """Libolm writes what it read in its newest format, the one that vodozemac knows."""

    def repickle(pickle: bytes, passphrase: str) -> bytes:
        made: bytes = kind.from_pickle(pickle, passphrase).pickle(passphrase)
        return made

    return repickle


def _unpickled(
    pickle: str | bytes, passphrase: str, kind: Any, repickle: Callable[[bytes, str], bytes]
) -> Any:
    """Give vodozemac's object of a pickle of vodozemac (nio 0.26) or of libolm (before)."""
    raw = _bytes(pickle)
    try:
        return kind.from_pickle(raw.decode(), derive_pickle_key(passphrase))
    except ValueError:
        pass
    try:
        fresh = repickle(raw, passphrase)
        return kind.from_libolm_pickle(fresh.decode(), passphrase.encode())
    except (
        OlmAccountError,
        OlmSessionError,
        OlmGroupSessionError,
        ValueError,
    ) as error:
        raise MatrixError("import-passphrase-wrong", str(error), permanent=True) from error


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)


def _moment(text: str) -> datetime:
    """Give nio's naive local time."""
    return datetime.fromisoformat(text)
