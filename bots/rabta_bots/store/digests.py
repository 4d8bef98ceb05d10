"""Keeps what only a digest tells, until one has told it, and which digests were made."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Row, select, update

from rabta_bots.store.marks import mark, raise_mark
from rabta_bots.store.outbox import enqueue_digest
from rabta_bots.store.tables import charges, digest_notes, events, marks

# The day up to which a post's digests were made, and every post's; days count from 0001-01-01.
OF_ALL = "digests"


def of_post(post_id: str) -> str:
    """Under which name the day of a post's last digest is kept."""
    return f"digest:{post_id}"


def note_for_digest(connection: Connection, event_row: int, post_id: str) -> None:
    """Note an event for the next digest of a post; noted twice, it is kept once."""
    mine = (digest_notes.c.event_row == event_row, digest_notes.c.post_id == post_id)
    if connection.execute(select(digest_notes.c.post_id).where(*mine)).scalar() is None:
        connection.execute(digest_notes.insert().values(event_row=event_row, post_id=post_id))


def day_of_digest(connection: Connection, name: str) -> int:
    """The day of the last digest under the name, or 0."""
    return mark(connection, name)


def note_day(connection: Connection, name: str, day: date) -> None:
    """Note that the digests of a day were made."""
    raise_mark(connection, name, day.toordinal())


def posts_ever_held(connection: Connection) -> Sequence[str]:
    """The posts that somebody has or had charge of."""
    return (
        connection.execute(select(charges.c.post_id).distinct().order_by(charges.c.post_id))
        .scalars()
        .all()
    )


def begin(connection: Connection, day: date) -> None:
    """Note for every post without a digest that those up to `day` are none of its."""
    known = set(
        connection.execute(select(marks.c.name).where(marks.c.name.like("digest:%"))).scalars()
    )
    for post_id in posts_ever_held(connection):
        if of_post(post_id) not in known:
            note_day(connection, of_post(post_id), day)


def has_untold(connection: Connection, post_id: str) -> bool:
    """Whether anything was noted for the post since its last digest."""
    untold = select(digest_notes.c.event_row).where(
        digest_notes.c.post_id == post_id, digest_notes.c.told_in.is_(None)
    )
    return connection.execute(untold.limit(1)).scalar() is not None


def make_digest(connection: Connection, post_id: str, day: date, now: datetime) -> None:
    """Queue the post's digest of a day, and give it what was noted until now."""
    key = f"digest|{post_id}|{day.isoformat()}"
    connection.execute(
        update(digest_notes)
        .where(digest_notes.c.post_id == post_id, digest_notes.c.told_in.is_(None))
        .values(told_in=key)
    )
    enqueue_digest(connection, post_id, key, now)


def notes_of_digest(connection: Connection, key: str) -> Sequence[Row[Any]]:
    """The stored events that a digest tells, oldest first."""
    return connection.execute(
        select(events)
        .join(digest_notes, digest_notes.c.event_row == events.c.row)
        .where(digest_notes.c.told_in == key)
        .order_by(events.c.row)
    ).all()
