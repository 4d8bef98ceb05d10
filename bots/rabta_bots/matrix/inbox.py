"""Gives received events to the pipeline, and takes back that they are done."""

import json
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Row, select, update

from rabta_bots.matrix import tables
from rabta_bots.matrix.grammar import mapping
from rabta_bots.matrix.received import Received, Undecryptable
from rabta_bots.matrix.state import CryptoState
from rabta_bots.matrix.store import milliseconds, moment
from rabta_bots.matrix.trust import Trust

PLACE = "received"
"""Where the content of received events is sealed for."""

GIVEN_UP = "given-up"
"""The reason of an event whose sender was told that it was not read."""

_HELD_BACK = timedelta(seconds=30)
"""How long an event waits for the device list of its sender before it is shown as it stands."""


class Inbox:
    """The rows that `Receiving` commits.

    Args:
        state: Our device.
        trust: Judges senders, at the time of asking.
    """

    def __init__(self, state: CryptoState, trust: Trust) -> None:
        self._state = state
        self._trust = trust

    def received(self, limit: int) -> list[Received]:
        """Give the undone events; see `MatrixClient.received`."""
        table = tables.received
        late = milliseconds(self._state.store.clock() - _HELD_BACK)
        with self._state.store.transaction() as connection:
            rows = connection.execute(
                select(table).where(~table.c.done).order_by(table.c.position).limit(limit)
            ).all()
        awaited = self._trust.asked_for(None) if rows else set()
        return [
            self._opened(row)
            for row in rows
            if not row.encrypted or row.sender not in awaited or row.stored_ms <= late
        ]

    def said(self, event_id: str) -> Received | None:
        """Give an event that was received, done or not; see `MatrixClient.said`."""
        table = tables.received
        with self._state.store.transaction() as connection:
            row = connection.execute(select(table).where(table.c.event_id == event_id)).first()
        return None if row is None else self._opened(row)

    def _opened(self, row: Row[Any]) -> Received:
        trust, device_id = self._trust.sender(row.sender, row.sender_key, row.ed25519)
        event_type, content = json.loads(self._state.store.seal.open(PLACE, row.sealed))
        return Received(
            event_id=row.event_id,
            room_id=row.room_id,
            sender=row.sender,
            type=event_type,
            content=mapping(content),
            encrypted=row.encrypted,
            device=trust,
            device_id=device_id,
            origin_server_ts=row.origin_server_ts,
        )

    def done(self, event_id: str, connection: Connection | None) -> None:
        """Mark an event as dealt with."""
        table = tables.received
        statement = update(table).where(table.c.event_id == event_id).values(done=True)
        if connection is not None:
            connection.execute(statement)
            return
        with self._state.store.transaction() as own:
            own.execute(statement)

    def undecryptable(self, older_than: timedelta) -> list[Undecryptable]:
        """Give what can not be read; see `MatrixClient.undecryptable`."""
        table = tables.undecryptable
        before = milliseconds(self._state.store.clock() - older_than)
        with self._state.store.transaction() as connection:
            rows = connection.execute(
                select(table)
                .where(table.c.first_seen_ms <= before, table.c.reason != GIVEN_UP)
                .order_by(table.c.position)
            ).all()
        return [
            Undecryptable(
                row.event_id, row.room_id, row.sender, row.reason, moment(row.first_seen_ms)
            )
            for row in rows
        ]

    def give_up(self, event_id: str, connection: Connection) -> None:
        """Never bring the event up again; see `MatrixClient.give_up`."""
        table = tables.undecryptable
        connection.execute(
            update(table).where(table.c.event_id == event_id).values(reason=GIVEN_UP)
        )
