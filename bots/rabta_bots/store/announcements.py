"""Keeps announcements: to which posts, who acknowledged, who is seen to have read, who is told."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select, update

from rabta_bots.store.tables import (
    announcement_posts,
    announcement_reads,
    announcements,
    notices,
)

ASKED = "asked"
OPEN = "open"
CLOSED = "closed"
CANCELLED = "cancelled"


def add_announcement(connection: Connection, posts: Sequence[str], **values: Any) -> int:
    """Keep a new one, not confirmed yet; gives its number."""
    result = connection.execute(announcements.insert().values(state=ASKED, **values))
    number = int(result.inserted_primary_key[0])  # type: ignore[index]  # one row, one key
    if posts:
        rows = [{"number": number, "post_id": post_id} for post_id in posts]
        connection.execute(announcement_posts.insert(), rows)
    return number


def announcement(connection: Connection, number: int) -> Row[Any] | None:
    """The announcement."""
    query = select(announcements).where(announcements.c.number == number)
    return connection.execute(query).first()


def asked_announcements(connection: Connection, room_id: str, person_id: str) -> list[Row[Any]]:
    """Those that wait for the person's confirmation in the room, oldest first."""
    query = select(announcements).where(
        announcements.c.state == ASKED,
        announcements.c.asked_in == room_id,
        announcements.c.person_id == person_id,
    )
    return list(connection.execute(query.order_by(announcements.c.number)))


def change_announcement(connection: Connection, number: int, **values: Any) -> None:
    """Note what became of it."""
    connection.execute(
        update(announcements).where(announcements.c.number == number).values(**values)
    )


def posts_of_announcement(connection: Connection, number: int) -> list[Row[Any]]:
    """Its posts, each with when and by whom it was acknowledged."""
    query = select(announcement_posts).where(announcement_posts.c.number == number)
    return list(connection.execute(query.order_by(announcement_posts.c.post_id)))


def acknowledge(
    connection: Connection, number: int, post_id: str, person_id: str, now: datetime
) -> bool:
    """Note that a post acknowledged it; False when it had before."""
    changed = connection.execute(
        update(announcement_posts)
        .where(
            announcement_posts.c.number == number,
            announcement_posts.c.post_id == post_id,
            announcement_posts.c.acknowledged_at.is_(None),
        )
        .values(acknowledged_at=now, acknowledged_by=person_id)
    )
    return bool(changed.rowcount)


def open_for_post(connection: Connection, post_id: str, room_class: str) -> list[int]:
    """The numbers of what the post has yet to acknowledge in its room of a class."""
    query = (
        select(announcements.c.number)
        .join(announcement_posts, announcement_posts.c.number == announcements.c.number)
        .where(
            announcement_posts.c.post_id == post_id,
            announcement_posts.c.acknowledged_at.is_(None),
            announcements.c.state == OPEN,
            announcements.c.room_class == room_class,
        )
    )
    return list(connection.execute(query).scalars())


def due_announcements(connection: Connection, now: datetime) -> list[Row[Any]]:
    """The open ones whose posts are to be reminded, or whose time is over."""
    query = select(announcements).where(
        announcements.c.state == OPEN, announcements.c.remind_at <= now
    )
    return list(connection.execute(query))


def note_notice(connection: Connection, message_id: str, room_id: str, about: str) -> None:
    """Note a message that stands for an announcement (`A7`) or a consultation (`C2`)."""
    known = select(notices.c.about).where(notices.c.message_id == message_id)
    if connection.execute(known).scalar() is None:
        connection.execute(
            notices.insert().values(message_id=message_id, room_id=room_id, about=about)
        )


def about_of(connection: Connection, room_id: str, message_ids: Sequence[str]) -> str | None:
    """What the nearest of the messages in the room stands for."""
    for message_id in message_ids:
        about = connection.execute(
            select(notices.c.about).where(
                notices.c.message_id == message_id, notices.c.room_id == room_id
            )
        ).scalar()
        if about is not None:
            return str(about)
    return None


def note_reads(connection: Connection, number: int, reads: Mapping[str, datetime]) -> None:
    """Note who is seen to have read it; the first moment stays."""
    table = announcement_reads
    known = set(
        connection.execute(select(table.c.user_id).where(table.c.number == number)).scalars()
    )
    for user_id, read_at in reads.items():
        if user_id not in known:
            connection.execute(
                table.insert().values(number=number, user_id=user_id, read_at=read_at)
            )


def reads_of(connection: Connection, number: int) -> dict[str, datetime]:
    """Who is seen to have read it, and when."""
    table = announcement_reads
    rows = connection.execute(select(table).where(table.c.number == number))
    return {row.user_id: row.read_at for row in rows}
