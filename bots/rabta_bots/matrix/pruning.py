"""Drops what has served its time, and forgets no ciphertext: a copy of it stays a replay for ever.

Of a room key whose messages are dropped one number stays, its floor: every message up to it counts
as used. So what is kept grows with the keys, not with the messages.
"""

from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection, delete, select

from rabta_bots.matrix import inbox, tables
from rabta_bots.matrix.store import CryptoStore, milliseconds
from rabta_bots.rows import put

SENT = timedelta(hours=48)
"""Synapse remembers transaction ids for 24 hours; ours are kept for twice that."""
READ = timedelta(days=30)
"""How long an event that was dealt with, or given up, is kept."""
OWED = timedelta(days=7)
"""How long a device that could not have a room key is owed it."""
_EVERY = timedelta(hours=1)
_AT_ONCE = 500
"""Rows per transaction: some 20 ms of work, then the next sync has its turn."""

_log = structlog.get_logger(__name__)


class Pruning:
    """The broom of the Matrix tables.

    Args:
        store: The rows.
    """

    def __init__(self, store: CryptoStore) -> None:
        self._store = store
        self._next: datetime | None = None

    def prune(self) -> None:
        """Drop a little of what is due, at most once an hour unless more is due."""
        now = self._store.clock()
        if self._next is not None and now < self._next:
            return
        with self._store.transaction() as connection:
            self._drop_sent(connection, now)
            dropped = self._drop_read(connection, now)
            self._drop_given_up(connection, now)
            before = milliseconds(now - OWED)
            connection.execute(delete(tables.owed_key).where(tables.owed_key.c.since_ms < before))
        if dropped:
            _log.info("events-pruned", events=dropped)
        if dropped < _AT_ONCE:
            self._next = now + _EVERY

    def _drop_sent(self, connection: Connection, now: datetime) -> None:
        table = tables.outgoing
        before = milliseconds(now - SENT)
        connection.execute(
            delete(table).where(table.c.event_id.is_not(None), table.c.stored_ms < before)
        )

    def _drop_read(self, connection: Connection, now: datetime) -> int:
        table, used, floor = tables.received, tables.message_index, tables.replay_floor
        due = connection.execute(
            select(table.c.event_id, used.c.session_id, used.c.index.label("message"))
            .join_from(table, used, used.c.event_id == table.c.event_id, isouter=True)
            .where(table.c.done, table.c.stored_ms < milliseconds(now - READ))
            .order_by(table.c.position)
            .limit(_AT_ONCE)
        ).all()
        last: dict[str, int] = {}
        for row in due:
            if row.session_id is not None:
                last[row.session_id] = max(row.message, last.get(row.session_id, -1))
        query = select(floor.c.session_id, floor.c.index).where(floor.c.session_id.in_(last))
        before = {row.session_id: int(row[1]) for row in connection.execute(query)}
        floors = [
            {"session_id": session, "index": max(message, before.get(session, -1))}
            for session, message in last.items()
        ]
        put(connection, floor, floors)
        for session, message in last.items():
            connection.execute(
                delete(used).where(used.c.session_id == session, used.c.index <= message)
            )
        connection.execute(delete(table).where(table.c.event_id.in_([one.event_id for one in due])))
        return len(due)

    def _drop_given_up(self, connection: Connection, now: datetime) -> None:
        table = tables.undecryptable
        before = milliseconds(now - READ)
        connection.execute(
            delete(table).where(table.c.reason == inbox.GIVEN_UP, table.c.first_seen_ms < before)
        )
