"""Keeps the grade of each paper, and strips what was stored of it when the grade is raised."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Engine, Row, bindparam, select, update

from rabta_bots.rows import put
from rabta_bots.store.tables import commands, events, papers

_PAPER = select(papers).where(papers.c.paper == bindparam("name"))


def grade_of_paper(connection: Connection, paper: str) -> Row[Any] | None:
    """The paper's grade and the sequence at which it was told, if anything of it has come."""
    return connection.execute(_PAPER, {"name": paper}).first()


def note_grade(connection: Connection, paper: str, grade: str, told_at: int) -> None:
    """Note the paper's grade as of an event's sequence."""
    put(connection, papers, [{"paper": paper, "grade": grade, "told_at": told_at}])


def events_of_paper(connection: Connection, paper: str) -> Sequence[Row[Any]]:
    """Every stored event of the paper, oldest first."""
    return connection.execute(
        select(events).where(events.c.paper == paper).order_by(events.c.row)
    ).all()


def rewrite_event(connection: Connection, row: int, document: dict[str, Any], grade: str) -> None:
    """Keep less of an event than was kept, under a higher grade."""
    values: dict[str, Any] = {"event": document, "grade": grade}
    if not document:
        values["about_file"] = None
    connection.execute(update(events).where(events.c.row == row).values(**values))


def forget_remarks(connection: Connection, card_id: int) -> None:
    """Forget what officers remarked in commands on the card, but for one on its way to e-Office."""
    connection.execute(
        update(commands)
        .where(commands.c.card_id == card_id, commands.c.state != "queued")
        .values(remarks=None, body=None)
    )


def wipe_traces(engine: Engine) -> None:
    """Bring SQLite's log into its file, so that what was stripped stands in neither.

    Another reader may keep a part of the log alive; the next wiping or the last closing takes it.
    PostgreSQL has its own vacuum.
    """
    if engine.dialect.name != "sqlite":
        return
    raw = engine.raw_connection()
    try:
        cursor = raw.cursor()
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        cursor.close()
    finally:
        raw.close()
