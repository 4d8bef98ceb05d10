"""Keeps the deadlines of papers: one of each kind, and how far it was told."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, update

from rabta_bots.rows import put
from rabta_bots.store.tables import deadlines

EOFFICE = "eoffice"
LIMIT = "limit"
RUNNING = "running"
OVER = "over"

_DEADLINE = select(deadlines).where(
    deadlines.c.paper == bindparam("of"), deadlines.c.kind == bindparam("which")
)


def deadline_of(connection: Connection, paper: str, kind: str) -> Row[Any] | None:
    """The paper's deadline of the kind, running or over."""
    return connection.execute(_DEADLINE, {"of": paper, "which": kind}).first()


def set_deadline(connection: Connection, paper: str, kind: str, **values: Any) -> None:
    """Set the paper's deadline of the kind: every column of it."""
    put(connection, deadlines, [{"paper": paper, "kind": kind, **values}], by=("paper", "kind"))


def change_deadline(connection: Connection, paper: str, kind: str, **values: Any) -> None:
    """Write what has changed of the paper's deadline of the kind."""
    mine = deadlines.c.paper == paper, deadlines.c.kind == kind
    connection.execute(update(deadlines).where(*mine).values(**values))


def end_deadlines(
    connection: Connection, paper: str, *, kind: str | None = None, origin: str | None = None
) -> None:
    """Let the paper's deadlines be over; of one kind or origin, where given."""
    query = update(deadlines).where(deadlines.c.paper == paper)
    if kind is not None:
        query = query.where(deadlines.c.kind == kind)
    if origin is not None:
        query = query.where(deadlines.c.origin == origin)
    connection.execute(query.values(state=OVER, look_at=None))


def deadlines_to_look_at(
    connection: Connection, now: datetime, limit: int = 50
) -> Sequence[Row[Any]]:
    """The running deadlines of which the clock has something to say, the longest waiting first."""
    return connection.execute(
        select(deadlines)
        .where(deadlines.c.state == RUNNING, deadlines.c.look_at <= now)
        .order_by(deadlines.c.look_at, deadlines.c.deadline_id)
        .limit(limit)
    ).all()


def overdue_papers(connection: Connection, papers: Sequence[str], now: datetime) -> set[str]:
    """Those of the papers whose time is over."""
    found = connection.execute(
        select(deadlines.c.paper).where(
            deadlines.c.paper.in_(list(papers)),
            deadlines.c.state == RUNNING,
            deadlines.c.due <= now,
        )
    ).scalars()
    return set(found)
