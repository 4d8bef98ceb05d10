"""The crypto state in the bridge's database: nio's store interface on SQLAlchemy.

Inside `transaction` everything nio saves is held back and written once, at the end, in the state
it has then: a one-time key consumed after nio's own save is saved as consumed. Nothing of a
transaction that fails is kept, so whoever held objects loaded from here must load them again.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from nio.crypto import DeviceStore, GroupSessionStore, SessionStore
from nio.crypto.device import TrustState
from nio.crypto.sessions import Session
from sqlalchemy import Connection, Engine, Row, bindparam, delete, select, tuple_, update

from rabta_bots.matrix import tables
from rabta_bots.matrix.errors import MatrixError
from rabta_bots.matrix.sealing import Seal
from rabta_bots.matrix.sessions import Account, Device, RoomSession, WritingSession
from rabta_bots.rows import put

_WRITING = select(tables.outbound_session).where(
    tables.outbound_session.c.room_id == bindparam("room")
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def milliseconds(moment: datetime) -> int:
    """Give a timezone-aware moment in milliseconds since the epoch."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def moment(ms: int) -> datetime:
    """Give milliseconds since the epoch as a moment in UTC."""
    return _EPOCH + timedelta(milliseconds=ms)


class CryptoStore:
    """The rows of one device. Implements what nio's Olm machine asks of a `MatrixStore`.

    Args:
        engine: The bridge's engine.
        seal: Seals secrets and gives the pickle passphrase.
        clock: Gives the time, timezone-aware.
    """

    def __init__(self, engine: Engine, seal: Seal, clock: Callable[[], datetime]) -> None:
        self.seal = seal
        self.clock = clock
        self._engine = engine
        self._connection: Connection | None = None
        self._account: Account | None = None
        self._sessions: dict[tuple[str, str], Session] = {}
        self._room_sessions: dict[tuple[str, str, str], RoomSession] = {}
        self._devices: dict[tuple[str, str], Device] = {}

    @property
    def connection(self) -> Connection:
        """The connection of the open transaction."""
        if self._connection is None:
            raise RuntimeError("no transaction is open on the crypto store")
        return self._connection

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Hold all writes of the block in one transaction; nested use joins the outer one."""
        if self._connection is not None:
            yield self._connection
            return
        with self._engine.begin() as connection:
            self._connection = connection
            try:
                yield connection
                self._flush(connection)
            finally:
                self._connection = None
                self._account = None
                for held in (self._sessions, self._room_sessions, self._devices):
                    held.clear()

    # -- the account ---------------------------------------------------------------------------

    def load_account(self) -> Account:
        """Load the Olm account, or make one and have it saved.

        Raises:
            MatrixError: permanent `wrong-store-key`.
        """
        with self.transaction() as connection:
            row = connection.execute(select(tables.account.c.pickle, tables.account.c.shared)).one()
            if row.pickle is not None:
                try:
                    return Account.restore(row.pickle, self.seal.pickle_key, shared=row.shared)
                except ValueError as error:
                    raise MatrixError("wrong-store-key", "account", permanent=True) from error
            account = Account()
            self.save_account(account)
            return account

    def save_account(self, account: Account) -> None:
        """Have the account saved in the state it has when the transaction ends."""
        with self.transaction():
            self._account = account

    # -- Olm sessions --------------------------------------------------------------------------

    def load_sessions(self) -> SessionStore:
        """Load all Olm sessions."""
        loaded = SessionStore()
        with self.transaction() as connection:
            for row in connection.execute(select(tables.olm_session)):
                # nio compares and sorts naive local times.
                created, used = (
                    moment(ms).astimezone().replace(tzinfo=None)
                    for ms in (row.created_ms, row.used_ms)
                )
                session = Session.from_pickle(
                    row.pickle.encode(), created, self.seal.pickle_key, used
                )
                loaded.add(row.sender_key, session)
        return loaded

    def save_session(self, curve_key: str, session: Session) -> None:
        """Have an Olm session saved in the state it has when the transaction ends."""
        with self.transaction():
            self._sessions[curve_key, session.id] = session

    # -- Megolm sessions -----------------------------------------------------------------------

    def load_inbound_group_sessions(self) -> GroupSessionStore:
        """Give nio an empty store: sessions are read when an event asks for one."""
        return GroupSessionStore()

    def save_inbound_group_session(self, session: RoomSession) -> None:
        """Have a reading session saved when the transaction ends."""
        with self.transaction():
            self._room_sessions[session.room_id, session.id, session.sender_key] = session

    def room_sessions(self, room_id: str, session_id: str) -> list[RoomSession]:
        """Give the reading sessions of that id, one per Olm sender key that sent it."""
        found = {
            key[2]: session
            for key, session in self._room_sessions.items()
            if key[:2] == (room_id, session_id)
        }
        table = tables.inbound_session
        with self.transaction() as connection:
            for row in connection.execute(
                select(table).where(table.c.room_id == room_id, table.c.session_id == session_id)
            ):
                found.setdefault(row.sender_key, self._room_session(row))
        return list(found.values())

    def note_shareable(self, room_id: str, session_id: str, sender_key: str) -> None:
        """Note that the maker of a room key lets it be handed to people invited later."""
        row = {"room_id": room_id, "session_id": session_id, "sender_key": sender_key}
        with self.transaction() as connection:
            put(connection, tables.shareable_session, [row])

    def room_history(
        self, room_id: str, after: tuple[str, str], limit: int
    ) -> list[tuple[RoomSession, bool]]:
        """Give a page of a room's reading sessions, each with whether it may be handed on.

        Args:
            room_id: The room.
            after: Session id and sender key of the last one of the page before.
            limit: At most so many.
        """
        table, shareable = tables.inbound_session, tables.shareable_session
        place = table.c.session_id, table.c.sender_key
        same = (
            (shareable.c.room_id == table.c.room_id)
            & (shareable.c.session_id == table.c.session_id)
            & (shareable.c.sender_key == table.c.sender_key)
        )
        query = (
            select(table, shareable.c.room_id.is_not(None).label("shareable"))
            .join_from(table, shareable, same, isouter=True)
            .where(table.c.room_id == room_id, tuple_(*place) > after)
            .order_by(*place)
            .limit(limit)
        )
        with self.transaction() as connection:
            rows = connection.execute(query).all()
        return [(self._room_session(row), bool(row.shareable)) for row in rows]

    def _room_session(self, row: Row[Any]) -> RoomSession:
        return RoomSession.restore(
            row.pickle,
            self.seal.pickle_key,
            ed25519=row.ed25519,
            sender_key=row.sender_key,
            room_id=row.room_id,
        )

    def load_writing_session(self, room_id: str) -> WritingSession | None:
        """Give our own session of a room, or None."""
        with self.transaction() as connection:
            row = connection.execute(_WRITING, {"room": room_id}).one_or_none()
        if row is None:
            return None
        return WritingSession.restore(
            row.pickle,
            self.seal.pickle_key,
            created=moment(row.created_ms),
            messages=row.messages,
            shared_history=row.shared_history,
        )

    def save_writing_session(self, room_id: str, session: WritingSession) -> None:
        """Save our own session of a room as it is now."""
        with self.transaction() as connection:
            row = {
                "room_id": room_id,
                "session_id": session.id,
                "pickle": session.pickle(self.seal.pickle_key),
                "created_ms": milliseconds(session.created),
                "messages": session.messages,
                "shared_history": session.shared_history,
            }
            put(connection, tables.outbound_session, [row])

    def forget_writing_session(self, room_id: str) -> None:
        """Drop our own session of a room, so that the next message starts a new one."""
        with self.transaction() as connection:
            for table in (tables.outbound_session, tables.recipient):
                connection.execute(delete(table).where(table.c.room_id == room_id))

    # -- devices -------------------------------------------------------------------------------

    def load_device_keys(self) -> DeviceStore:
        """Load all devices that were ever seen, the deleted ones too."""
        loaded = DeviceStore()
        with self.transaction() as connection:
            for row in connection.execute(select(tables.device)):
                keys = {"ed25519": row.ed25519, "curve25519": row.curve25519}
                device = Device(row.user_id, row.device_id, keys, deleted=row.deleted)
                device.signed_by = row.signed_by
                loaded.add(device)
        return loaded

    def save_device_keys(self, device_keys: Mapping[str, Mapping[str, Device]]) -> None:
        """Have devices saved when the transaction ends."""
        with self.transaction():
            for devices in device_keys.values():
                for device in devices.values():
                    self._devices[device.user_id, device.device_id] = device

    def is_device_verified(self, device: Device) -> bool:
        """Answer from memory: one look-up per device and message was nio's greatest cost."""
        return bool(device.trust_state == TrustState.verified)

    # -- key requests: this client never asks for keys and never forwards any --------------------

    def load_outgoing_key_requests(self) -> dict[str, Any]:
        """Give none."""
        return {}

    # -- writing -------------------------------------------------------------------------------

    def _flush(self, connection: Connection) -> None:
        key = self.seal.pickle_key
        if self._account is not None:
            connection.execute(
                update(tables.account).values(
                    pickle=self._account.pickle(key).decode(), shared=self._account.shared
                )
            )
        put(
            connection,
            tables.olm_session,
            [
                {
                    "sender_key": curve_key,
                    "session_id": session_id,
                    "pickle": session.pickle(key).decode(),
                    "created_ms": int(session.creation_time.timestamp() * 1000),
                    "used_ms": int(session.use_time.timestamp() * 1000),
                }
                for (curve_key, session_id), session in self._sessions.items()
            ],
        )
        put(
            connection,
            tables.inbound_session,
            [
                {
                    "room_id": room_id,
                    "session_id": session_id,
                    "sender_key": sender_key,
                    "ed25519": session.ed25519,
                    "pickle": session.pickle(key).decode(),
                    "first_index": session.first_known_index,
                }
                for (room_id, session_id, sender_key), session in self._room_sessions.items()
            ],
        )
        put(
            connection,
            tables.device,
            [
                {
                    "user_id": user_id,
                    "device_id": device_id,
                    "ed25519": device.ed25519,
                    "curve25519": device.curve25519,
                    "deleted": device.deleted,
                    "signed_by": device.signed_by,
                }
                for (user_id, device_id), device in self._devices.items()
            ],
        )
