"""Takes a sync in: crypto state, received events and the sync token, in one transaction (B8, B12).

The token is written last. Nobody else's code runs inside: the pipeline is poked after the commit.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import structlog
from sqlalchemy import Connection, delete, select, update
from sqlalchemy.exc import SQLAlchemyError

from rabta_bots.matrix import inbox, roomstate, tables
from rabta_bots.matrix.grammar import (
    is_event_id,
    is_key,
    is_room_id,
    is_user_id,
    mapping,
    objects,
)
from rabta_bots.matrix.machine import Decrypted, Unreadable
from rabta_bots.matrix.sending import note_sent
from rabta_bots.matrix.state import CryptoState
from rabta_bots.matrix.store import milliseconds
from rabta_bots.matrix.trust import Trust
from rabta_bots.rows import put, put_new

_log = structlog.get_logger(__name__)


class Receiving:
    """The way in for what people write.

    Args:
        state: Our device.
        trust: Judges senders.
    """

    def __init__(self, state: CryptoState, trust: Trust) -> None:
        self._state = state
        self._trust = trust

    # -- from the server ------------------------------------------------------------------------

    async def apply(
        self, sync: Mapping[str, Any], gaps: Mapping[str, Iterable[Mapping[str, Any]]]
    ) -> None:
        """Commit one sync response.

        Args:
            sync: The response.
            gaps: Room id -> the events before its limited timeline, oldest first.
        """
        async with self._state.lock:
            with self._state.transaction() as connection:
                self._take_in(connection, sync, gaps)
                connection.execute(
                    update(tables.account).values(sync_token=str(sync["next_batch"]))
                )

    def _take_in(
        self,
        connection: Connection,
        sync: Mapping[str, Any],
        gaps: Mapping[str, Iterable[Mapping[str, Any]]],
    ) -> None:
        for event in objects(mapping(sync.get("to_device")).get("events")):
            self._state.machine.receive(event)
            self._note_withheld(connection, event)
        lists = mapping(sync.get("device_lists"))
        for users in (lists.get("changed"), lists.get("left")):
            self._trust.mark_outdated(connection, users if isinstance(users, list) else [])
        rooms = mapping(sync.get("rooms"))
        for room_id, room in mapping(rooms.get("join")).items():
            if is_room_id(room_id):
                self._joined(connection, room_id, mapping(room), gaps.get(room_id, ()))
        for room_id in mapping(rooms.get("leave")):
            if is_room_id(room_id):
                roomstate.set_joined(connection, room_id, joined=False, complete=False)
                self._state.store.forget_writing_session(room_id)
                connection.execute(delete(tables.invite).where(tables.invite.c.room_id == room_id))
        for room_id, room in mapping(rooms.get("invite")).items():
            self._invited(connection, room_id, mapping(room))
        self._retry(connection)

    def _joined(
        self,
        connection: Connection,
        room_id: str,
        room: Mapping[str, Any],
        gap: Iterable[Mapping[str, Any]],
    ) -> None:
        first_time = not roomstate.is_known(connection, room_id)
        roomstate.take_state(connection, room_id, objects(mapping(room.get("state")).get("events")))
        for event in gap:
            self._event(connection, room_id, event)
        for event in objects(mapping(room.get("timeline")).get("events")):
            if "state_key" in event:
                roomstate.take_state(connection, room_id, [event])
            self._event(connection, room_id, event)
        if first_time:
            # The server sends the whole state of a room we were not in at the token before.
            roomstate.set_joined(connection, room_id, joined=True, complete=True)
            connection.execute(delete(tables.invite).where(tables.invite.c.room_id == room_id))

    def _invited(self, connection: Connection, room_id: str, room: Mapping[str, Any]) -> None:
        for event in objects(mapping(room.get("invite_state")).get("events")):
            ours = event.get("state_key") == self._state.user_id
            inviter = event.get("sender")
            told = event.get("type") == "m.room.member" and ours
            if told and is_user_id(inviter) and is_room_id(room_id):
                put(connection, tables.invite, [{"room_id": room_id, "inviter": inviter}])

    def _event(self, connection: Connection, room_id: str, event: Mapping[str, Any]) -> None:
        event_id, sender = event.get("event_id"), event.get("sender")
        if not is_event_id(event_id) or not is_user_id(sender) or "state_key" in event:
            return
        if sender == self._state.user_id:
            transaction = mapping(event.get("unsigned")).get("transaction_id")
            if isinstance(transaction, str) and transaction.isascii():
                note_sent(connection, transaction, event_id)
            return
        if "redacted_because" in mapping(event.get("unsigned")):
            return
        if event.get("type") == "m.room.encrypted":
            self._encrypted(connection, room_id, event)
            return
        self._insert(connection, room_id, event, None)

    def _encrypted(
        self, connection: Connection, room_id: str, event: Mapping[str, Any], *, void: bool = False
    ) -> bool:
        """Read an encrypted event or keep it for later; tell whether it was read.

        A void one is read only so that its ciphertext is known when it is replayed.
        """
        try:
            read = self._state.machine.read(event, room_id)
        except SQLAlchemyError:
            raise
        except Exception as error:  # noqa: BLE001 - hostile input breaks alone
            _log.warning("event-unreadable", fault=type(error).__name__)
            read = Unreadable("malformed", "")
        if isinstance(read, Decrypted) and self._replayed(connection, read, event["event_id"]):
            _log.error("event-replayed", room_id=room_id, event_id=event["event_id"])
            read = Unreadable("replayed", read.session_id)
        if isinstance(read, Unreadable):
            self._keep(connection, room_id, event, read)
            return False
        if void:
            _log.info("event-too-late", room_id=room_id, event_id=event["event_id"])
            return True
        self._insert(connection, room_id, event, read)
        if self._trust.sender(event["sender"], read.sender_key, read.ed25519)[1] is None:
            self._trust.mark_outdated(connection, [event["sender"]])
        return True

    def _replayed(self, connection: Connection, read: Decrypted, event_id: str) -> bool:
        """Tell whether another event carried this very ciphertext; remembered for ever."""
        table, floor = tables.message_index, tables.replay_floor
        pruned = connection.execute(
            select(floor.c.index).where(floor.c.session_id == read.session_id)
        ).scalar()
        if pruned is not None and read.index <= pruned:
            return True
        row = {"session_id": read.session_id, "index": read.index, "event_id": event_id}
        if put_new(connection, table, row):
            return False
        first = connection.execute(
            select(table.c.event_id).where(
                table.c.session_id == read.session_id, table.c.index == read.index
            )
        ).scalar_one()
        return bool(first != event_id)

    def _insert(
        self,
        connection: Connection,
        room_id: str,
        event: Mapping[str, Any],
        read: Decrypted | None,
    ) -> None:
        told = event.get("origin_server_ts")
        text = _text(
            [read.type, read.content] if read else [str(event.get("type")), event.get("content")]
        )
        if text is None:
            return
        put_new(
            connection,
            tables.received,
            {
                "event_id": event["event_id"],
                "room_id": room_id,
                "sender": event["sender"],
                "sealed": self._state.store.seal.seal(inbox.PLACE, text),
                "encrypted": read is not None,
                "sender_key": read.sender_key if read else None,
                "ed25519": read.ed25519 if read else None,
                "origin_server_ts": told if isinstance(told, int) and abs(told) < 1 << 53 else 0,
                "stored_ms": milliseconds(self._state.store.clock()),
                "done": False,
            },
        )

    # -- what can not be read yet ---------------------------------------------------------------

    def _keep(
        self,
        connection: Connection,
        room_id: str,
        event: Mapping[str, Any],
        read: Unreadable,
    ) -> None:
        raw = _text(event)
        if raw is None:
            return
        put_new(
            connection,
            tables.undecryptable,
            {
                "event_id": event["event_id"],
                "room_id": room_id,
                "session_id": read.session_id,
                "sender": event["sender"],
                "raw": raw,
                "reason": read.reason,
                "first_seen_ms": milliseconds(self._state.store.clock()),
            },
        )
        if read.reason == "no-session":
            self._trust.mark_outdated(connection, [event["sender"]])

    def _retry(self, connection: Connection) -> None:
        """Read again what waited for the room keys that came."""
        table = tables.undecryptable
        arrived = sorted(self._state.machine.arrived)
        self._state.machine.arrived.clear()
        for room_id, session_id in arrived:
            waiting = connection.execute(
                select(table)
                .where(table.c.room_id == room_id, table.c.session_id == session_id)
                .order_by(table.c.position)
            ).all()
            for row in waiting:
                void = row.reason == inbox.GIVEN_UP
                if self._encrypted(connection, room_id, json.loads(row.raw), void=void):
                    connection.execute(delete(table).where(table.c.event_id == row.event_id))

    def _note_withheld(self, connection: Connection, event: Mapping[str, Any]) -> None:
        content = mapping(event.get("content"))
        room_id, session_id = content.get("room_id"), content.get("session_id")
        if event.get("type") != "m.room_key.withheld" or not is_user_id(event.get("sender")):
            return
        if not is_room_id(room_id) or not is_key(session_id):
            return
        table = tables.undecryptable
        connection.execute(
            update(table)
            .where(
                table.c.room_id == room_id,
                table.c.session_id == session_id,
                table.c.sender == event["sender"],
                table.c.reason == "no-session",
            )
            .values(reason="withheld")
        )


def _text(value: object) -> str | None:
    """Give the JSON of what a stranger nested; None when it is nested too deep to write."""
    try:
        return json.dumps(value)
    except (RecursionError, ValueError):
        _log.warning("event-dropped", fault="nested-too-deep")
        return None
