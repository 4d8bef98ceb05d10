"""Sends encrypted events: encrypts once, stores the ciphertext, and repeats exactly those bytes."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection, delete, insert, select, update

from rabta_bots.matrix import roomstate, tables
from rabta_bots.matrix.echoes import own_event
from rabta_bots.matrix.errors import MatrixError
from rabta_bots.matrix.grammar import is_event_id
from rabta_bots.matrix.machine import MEGOLM
from rabta_bots.matrix.rooms import Rooms
from rabta_bots.matrix.sharing import Sharing
from rabta_bots.matrix.state import CryptoState
from rabta_bots.matrix.store import milliseconds, moment
from rabta_bots.matrix.trust import Trust
from rabta_bots.matrix.wire import RefusedError, Wire

_ROUNDS = 5
_REMEMBERED = timedelta(hours=23)
"""A repeat later than this is not trusted to be known to the homeserver by its transaction id."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Stored:
    """A ciphertext on its way: the exact bytes of the PUT, when they were made, their event."""

    ciphertext: str
    made_at: datetime
    event_id: str | None


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

    async def send(
        self, room_id: str, content: Mapping[str, Any], *, txn_id: str, event_type: str
    ) -> str:
        """Send one event; see `MatrixClient.send`."""
        async with self._locks[room_id]:
            stored = self._stored(room_id, txn_id)
            if stored is None:
                stored = await self._encrypt(room_id, content, txn_id, event_type)
            if stored.event_id is not None:
                return stored.event_id
            if self._state.store.clock() - stored.made_at > _REMEMBERED:
                event_id = await self._echo(room_id, txn_id, stored)
                if event_id is not None:
                    return event_id
            return await self._put(room_id, stored.ciphertext, txn_id)

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

    def _stored(self, room_id: str, txn_id: str) -> _Stored | None:
        table = tables.outgoing
        with self._state.store.transaction() as connection:
            row = connection.execute(select(table).where(table.c.txn_id == txn_id)).one_or_none()
        if row is None:
            return None
        if row.room_id != room_id:
            raise MatrixError("transaction-id-reused", txn_id, permanent=True)
        return _Stored(row.ciphertext, moment(row.stored_ms), row.event_id)

    async def _encrypt(
        self, room_id: str, content: Mapping[str, Any], txn_id: str, event_type: str
    ) -> _Stored:
        await self._rooms.require_encrypted(room_id)
        payload = json.dumps({"type": event_type, "content": content, "room_id": room_id})
        for _ in range(_ROUNDS):
            with self._state.store.transaction() as connection:
                users = roomstate.readers(connection, room_id)
            await self._trust.refresh(self._trust.outdated(users))
            await self._sharing.settle(room_id)
            async with self._state.lock:
                with self._state.transaction() as connection:
                    # Between settling and this a sync may have brought or taken a reader.
                    if self._settled(connection, room_id):
                        ciphertext = self._ciphertext(room_id, payload, content)
                        now = self._state.store.clock()
                        connection.execute(
                            insert(tables.outgoing).values(
                                txn_id=txn_id,
                                room_id=room_id,
                                ciphertext=ciphertext,
                                stored_ms=milliseconds(now),
                            )
                        )
                        return _Stored(ciphertext, now, None)
        raise MatrixError("room-keeps-changing", room_id, permanent=False)

    def _settled(self, connection: Connection, room_id: str) -> bool:
        users = roomstate.readers(connection, room_id)
        return not self._trust.asked_for(users) and self._sharing.plan(connection, room_id).settled

    def _ciphertext(self, room_id: str, payload: str, content: Mapping[str, Any]) -> str:
        store = self._state.store
        session = store.load_writing_session(room_id)
        if session is None:
            raise MatrixError("room-keeps-changing", room_id, permanent=False)
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
        with self._state.store.transaction() as connection:
            note_sent(connection, txn_id, event_id)
        return event_id


def note_sent(connection: Connection, txn_id: str, event_id: str) -> None:
    """Note the event id of a stored ciphertext, from the answer or from our own echo in sync."""
    table = tables.outgoing
    connection.execute(
        update(table)
        .where(table.c.txn_id == txn_id, table.c.event_id.is_(None))
        .values(event_id=event_id)
    )
