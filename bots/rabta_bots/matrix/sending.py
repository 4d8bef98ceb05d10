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
from rabta_bots.matrix.looking import FRESH, Looking
from rabta_bots.matrix.machine import MEGOLM
from rabta_bots.matrix.rooms import Rooms
from rabta_bots.matrix.sessions import WritingSession
from rabta_bots.matrix.sharing import Sharing
from rabta_bots.matrix.state import CryptoState
from rabta_bots.matrix.store import milliseconds, moment
from rabta_bots.matrix.trust import Trust
from rabta_bots.matrix.wire import RefusedError, Wire

_ROUNDS = 5
_NOTED_AFTER_S = 0.05
"""So long an answer waits for company before its event id is noted."""
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
    """A content that waits to be encrypted since `handed`."""

    def __init__(
        self,
        room_id: str,
        content: Mapping[str, Any],
        txn_id: str,
        event_type: str,
        handed: datetime,
    ) -> None:
        self.room_id = room_id
        self.content = content
        self.txn_id = txn_id
        self.type = event_type
        self.handed = handed
        self.late: list[str] = []
        """Readers whose devices have to be asked for first."""
        self.sealed: asyncio.Future[_Stored | None] = asyncio.get_running_loop().create_future()
        """What became of it on the short way; None: it needs the long one."""


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
        self._sent: list[dict[str, str]] = []
        self._unasked: list[_Letter] = []
        self._looking = Looking(state, trust)
        self._asking: asyncio.Task[None] | None = None
        self._noting: asyncio.TimerHandle | None = None
        self._sharing_turn: asyncio.Task[None] | None = None

    async def send(
        self, room_id: str, content: Mapping[str, Any], *, txn_id: str, event_type: str
    ) -> str:
        """Send one event; see `MatrixClient.send`."""
        async with self._locks[room_id]:
            now = self._state.store.clock()
            letter = _Letter(room_id, content, txn_id, event_type, now)
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

    # -- the readers' devices --------------------------------------------------------------------

    async def _ask(self) -> None:
        """Ask once for all whose messages wait for it, and let those be encrypted then."""
        try:
            while self._unasked:
                letters, self._unasked = self._unasked, []
                users = {
                    one
                    for letter in letters
                    for one in self._looking.late(letter.late, _since(letter))
                }
                try:
                    await self._looking.look(users)
                except Exception as error:  # noqa: BLE001 - told to whoever waits for it
                    for letter in letters:
                        if not letter.sealed.done():
                            letter.sealed.set_exception(error)
                else:
                    self._letters += letters
                    self._take_turn()
        finally:
            self._asking = None

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
                    try:
                        with self._state.transaction() as connection:
                            if sent:
                                connection.execute(_NOTE_SENT, sent)
                            results = [self._seal_ready(connection, one) for one in letters]
                    except Exception as error:  # noqa: BLE001 - each letter tries alone and tells
                        # What was sent is noted once more when it comes back by sync.
                        _log.warning("not-encrypted-together", error=type(error).__name__)
                        results = [None for _ in letters]
                        for one in letters:
                            one.late = []
                self._settle(letters, results)
        finally:
            self._sharing_turn = None

    def _settle(self, letters: Sequence[_Letter], results: Sequence[_Stored | None]) -> None:
        for letter, result in zip(letters, results, strict=True):
            if letter.late and result is None:
                self._unasked.append(letter)
            elif not letter.sealed.done():
                letter.sealed.set_result(result)
        if self._unasked and self._asking is None:
            self._asking = asyncio.create_task(self._ask())

    def _seal_ready(self, connection: Connection, letter: _Letter) -> _Stored | None:
        try:
            stored = self._stored(connection, letter)
            if stored is not None:
                return stored
            readers = roomstate.readers(connection, letter.room_id)
            letter.late = self._looking.late(readers, _since(letter))
            if letter.late:
                return None  # until they were asked
            ready = (
                roomstate.is_known(connection, letter.room_id)
                and not self._sharing.queued(connection, letter.room_id)
                and not self._trust.outdated(readers)
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
        await self._looking.look_again(room_id, _since(letter))
        for _ in range(_ROUNDS):
            with self._state.store.transaction() as connection:
                users = roomstate.readers(connection, room_id)
            await self._trust.refresh(self._trust.outdated(users))
            if await self._sharing.settle(room_id):
                # A phone that signed in meanwhile took over a stand-in device (MSC3814), and what
                # was sent to that one then is lost.
                await self._looking.look_again(room_id, self._state.store.clock())
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
        # Nobody waits for the note: a repeat before it is the same request to the homeserver.
        if self._noting is None:
            self._noting = asyncio.get_running_loop().call_later(_NOTED_AFTER_S, self._note)
        self._sent.append({"txn": txn_id, "event": event_id})
        return event_id

    def _note(self) -> None:
        self._noting = None
        self._take_turn()

    async def finish(self) -> None:
        """Note what was sent."""
        if self._noting is not None:
            self._noting.cancel()
            self._note()
        if self._sharing_turn is not None:
            await self._sharing_turn


def _since(letter: _Letter) -> datetime:
    """Since when it is enough to have asked for the devices of a message's readers."""
    return letter.handed - FRESH


def note_sent(connection: Connection, txn_id: str, event_id: str) -> None:
    """Note the event id of a stored ciphertext, from the answer or from our own echo in sync."""
    connection.execute(_NOTE_SENT, {"txn": txn_id, "event": event_id})
