"""Sends encrypted events: encrypts once, stores the ciphertext, and repeats exactly those bytes."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection, bindparam, delete, insert, select, update

from rabta_bots.matrix import roomstate, tables
from rabta_bots.matrix.echoes import own_event
from rabta_bots.matrix.errors import MatrixError
from rabta_bots.matrix.grammar import is_event_id
from rabta_bots.matrix.machine import MEGOLM
from rabta_bots.matrix.rooms import Rooms
from rabta_bots.matrix.sessions import WritingSession
from rabta_bots.matrix.sharing import Sharing
from rabta_bots.matrix.state import CryptoState
from rabta_bots.matrix.store import milliseconds, moment
from rabta_bots.matrix.trust import Trust
from rabta_bots.matrix.wire import RefusedError, Wire

_ROUNDS = 5
_FEW = 20
_FRESH = timedelta(seconds=1)
"""In a room of few readers, whose devices nobody asked for within a second is asked for again."""
_TOGETHER = 16
"""Messages encrypted in one transaction: about 30 ms of work, then the event loop has its turn."""
_REMEMBERED = timedelta(hours=23)
"""A repeat later than this is not trusted to be known to the homeserver by its transaction id."""

# Used for every message, so they are built once.
_OUTGOING = select(tables.outgoing).where(tables.outgoing.c.txn_id == bindparam("txn"))
_INSERT = insert(tables.outgoing)
_NOTE_SENT = (
    update(tables.outgoing)
    .where(tables.outgoing.c.txn_id == bindparam("txn"), tables.outgoing.c.event_id.is_(None))
    .values(event_id=bindparam("event"))
)

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Stored:
    """A ciphertext on its way: the exact bytes of the PUT, when they were made, their event."""

    ciphertext: str
    made_at: datetime
    event_id: str | None


class _Letter:
    """A content that waits to be encrypted."""

    def __init__(
        self, room_id: str, content: Mapping[str, Any], txn_id: str, event_type: str
    ) -> None:
        self.room_id = room_id
        self.content = content
        self.txn_id = txn_id
        self.type = event_type
        self.sealed: asyncio.Future[_Stored | None] = asyncio.get_running_loop().create_future()
        """What became of it on the short way; None: it needs the long one."""


class _SentEvent:
    """An answer of the homeserver that waits to be noted."""

    def __init__(self, txn_id: str, event_id: str) -> None:
        self.txn_id = txn_id
        self.event_id = event_id
        self.noted: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Sending:
    """The only way out for what people read.

    Args:
        state: Our device.
        trust: Keeps recipients' devices up to date.
        sharing: Gives them keys.
        rooms: Knows which rooms are encrypted.
        wire: The homeserver.
    """

    def __init__(
        self, state: CryptoState, trust: Trust, sharing: Sharing, rooms: Rooms, wire: Wire
    ) -> None:
        self._state = state
        self._trust = trust
        self._sharing = sharing
        self._rooms = rooms
        self._wire = wire
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._letters: list[_Letter] = []
        self._sent: list[_SentEvent] = []
        self._looked: dict[str, datetime] = {}
        self._sharing_turn: asyncio.Task[None] | None = None

    async def send(
        self, room_id: str, content: Mapping[str, Any], *, txn_id: str, event_type: str
    ) -> str:
        """Send one event; see `MatrixClient.send`."""
        async with self._locks[room_id]:
            await self._look_again(room_id)
            letter = _Letter(room_id, content, txn_id, event_type)
            stored = await self._at_once(letter)
            if stored is None:
                stored = await self._encrypt(letter)
            if stored.event_id is not None:
                return stored.event_id
            if self._state.store.clock() - stored.made_at > _REMEMBERED:
                event_id = await self._echo(room_id, txn_id, stored)
                if event_id is not None:
                    return event_id
            return await self._put(room_id, stored.ciphertext, txn_id)

    async def _look_again(self, room_id: str, *, fresh: timedelta = _FRESH) -> None:
        """Ask for the devices of the readers of our own server, when they are few.

        A phone that signed in after our last sync would not read this message otherwise, and no
        later key would open it. For the same reason it is asked again after a key was shared: a
        phone that signs in meanwhile takes over a stand-in device (MSC3814), and what was sent to
        that one then is lost. Other servers tell ours of new devices by themselves, and asking
        one that is away would hold the message up.
        """
        now, server = self._state.store.clock(), self._state.user_id.partition(":")[2]
        with self._state.store.transaction() as connection:
            readers = roomstate.readers(connection, room_id)
        near = [
            user
            for user in readers
            if user.partition(":")[2] == server and user != self._state.user_id
        ]
        late = [user for user in near if not self._seen(user, now - fresh)]
        if late and len(near) <= _FEW:
            await self._trust.refresh(late)
            self._looked.update(dict.fromkeys(late, now))

    def _seen(self, user: str, after: datetime) -> bool:
        looked = self._looked.get(user)
        return looked is not None and looked > after

    async def _echo(self, room_id: str, txn_id: str, stored: _Stored) -> str | None:
        event_id = await own_event(
            self._wire,
            room_id,
            self._state.user_id,
            sent=stored.ciphertext,
            first_tried=stored.made_at,
        )
        _log.info("own-echo-looked-up", found=event_id is not None)
        if event_id is not None:
            with self._state.store.transaction() as connection:
                note_sent(connection, txn_id, event_id)
        return event_id

    # -- one transaction for all that are ready --------------------------------------------------

    async def _at_once(self, letter: _Letter) -> _Stored | None:
        """Encrypt together with others for rooms that lack nothing; None when ours lacks something.

        A commit waits for the disk: what is ready at the same time shares one.
        """
        self._letters.append(letter)
        self._take_turn()
        return await letter.sealed

    def _take_turn(self) -> None:
        if self._sharing_turn is None:
            self._sharing_turn = asyncio.create_task(self._together())

    async def _together(self) -> None:
        """Encrypt what is ready, and note what was sent, in one transaction after the other."""
        try:
            while self._letters or self._sent:
                async with self._state.lock:
                    letters, self._letters = self._letters[:_TOGETHER], self._letters[_TOGETHER:]
                    sent, self._sent = self._sent, []
                    results: list[_Stored | None] = []
                    failure: Exception | None = None
                    try:
                        with self._state.transaction() as connection:
                            _note_all(connection, sent)
                            results = [self._seal_ready(connection, one) for one in letters]
                    except Exception as error:  # noqa: BLE001 - told to whoever waits for it
                        failure = error
                        # Each letter tries alone, so that a bad one harms no other.
                        results = [None for _ in letters]
                for letter, result in zip(letters, results, strict=True):
                    if not letter.sealed.done():
                        letter.sealed.set_result(result)
                for one in sent:
                    if one.noted.done():
                        continue
                    if failure is not None:
                        one.noted.set_exception(failure)
                    else:
                        one.noted.set_result(None)
        finally:
            self._sharing_turn = None

    def _seal_ready(self, connection: Connection, letter: _Letter) -> _Stored | None:
        try:
            stored = self._stored(connection, letter)
            if stored is not None:
                return stored
            ready = (
                roomstate.is_known(connection, letter.room_id)
                and not self._sharing.queued(connection, letter.room_id)
                and not self._trust.outdated(roomstate.readers(connection, letter.room_id))
            )
            session = self._sharing.ready_session(connection, letter.room_id) if ready else None
        except MatrixError:
            return None  # the long way tells why
        return self._store(connection, letter, session) if session is not None else None

    def _stored(self, connection: Connection, letter: _Letter) -> _Stored | None:
        row = connection.execute(_OUTGOING, {"txn": letter.txn_id}).one_or_none()
        if row is None:
            return None
        if row.room_id != letter.room_id:
            raise MatrixError("transaction-id-reused", letter.txn_id, permanent=True)
        return _Stored(row.ciphertext, moment(row.stored_ms), row.event_id)

    def _store(self, connection: Connection, letter: _Letter, session: WritingSession) -> _Stored:
        now = self._state.store.clock()
        ciphertext = self._ciphertext(letter, session)
        row = {
            "txn_id": letter.txn_id,
            "room_id": letter.room_id,
            "ciphertext": ciphertext,
            "stored_ms": milliseconds(now),
        }
        connection.execute(_INSERT, row)
        return _Stored(ciphertext, now, None)

    # -- the long way, where readers, devices or keys are missing --------------------------------

    async def _encrypt(self, letter: _Letter) -> _Stored:
        room_id = letter.room_id
        with self._state.store.transaction() as connection:
            if (stored := self._stored(connection, letter)) is not None:
                return stored
        await self._rooms.require_encrypted(room_id)
        for _ in range(_ROUNDS):
            with self._state.store.transaction() as connection:
                users = roomstate.readers(connection, room_id)
            await self._trust.refresh(self._trust.outdated(users))
            if await self._sharing.settle(room_id):
                await self._look_again(room_id, fresh=timedelta(0))
            async with self._state.lock:
                with self._state.transaction() as connection:
                    # Between settling and this a sync may have brought or taken a reader.
                    session = self._settled(connection, room_id)
                    if session is not None:
                        return self._store(connection, letter, session)
        raise MatrixError("room-keeps-changing", room_id, permanent=False)

    def _settled(self, connection: Connection, room_id: str) -> WritingSession | None:
        if self._trust.asked_for(roomstate.readers(connection, room_id)):
            return None
        return self._sharing.ready_session(connection, room_id)

    def _ciphertext(self, letter: _Letter, session: WritingSession) -> str:
        store, room_id, content = self._state.store, letter.room_id, letter.content
        payload = json.dumps({"type": letter.type, "content": content, "room_id": room_id})
        encrypted = {
            "algorithm": MEGOLM,
            "sender_key": self._state.machine.account.identity_keys["curve25519"],
            "ciphertext": session.encrypt(payload),
            "session_id": session.id,
            "device_id": self._state.device_id,
        }
        store.save_writing_session(room_id, session)
        if "m.relates_to" in content:
            # Servers aggregate edits, threads and polls by the copy in clear; readers of ours
            # trust the encrypted one (spec: Event relationships in encrypted rooms).
            encrypted["m.relates_to"] = content["m.relates_to"]
        return json.dumps(encrypted)

    async def _put(self, room_id: str, ciphertext: str, txn_id: str) -> str:
        table = tables.outgoing
        try:
            answer = await self._wire.call(
                "PUT", "rooms", room_id, "send", "m.room.encrypted", txn_id, body=ciphertext
            )
        except RefusedError as refused:
            if refused.reason != "token-refused":
                # No such event exists, so a later try may encrypt for the readers of then.
                with self._state.store.transaction() as connection:
                    connection.execute(delete(table).where(table.c.txn_id == txn_id))
            raise
        event_id = answer.get("event_id")
        if not is_event_id(event_id):
            raise MatrixError("homeserver-failed", "no event id", permanent=False)
        sent = _SentEvent(txn_id, event_id)
        self._sent.append(sent)
        self._take_turn()
        await sent.noted
        return event_id


def _note_all(connection: Connection, sent: Sequence[_SentEvent]) -> None:
    rows = [{"txn": one.txn_id, "event": one.event_id} for one in sent]
    if rows:
        connection.execute(_NOTE_SENT, rows)


def note_sent(connection: Connection, txn_id: str, event_id: str) -> None:
    """Note the event id of a stored ciphertext, from the answer or from our own echo in sync."""
    connection.execute(_NOTE_SENT, {"txn": txn_id, "event": event_id})
