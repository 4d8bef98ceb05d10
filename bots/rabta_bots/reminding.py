"""Reminds of announcements: only the posts that have not acknowledged, and in working hours."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row

from rabta_bots.addresses import of_post
from rabta_bots.store import announcements as kept
from rabta_bots.store.outbox import enqueue_addressed

# Between two reminders of one announcement.
PEACE = timedelta(minutes=5)


def first_reminder(told: datetime, due: datetime) -> datetime:
    """Half of the time is gone. Pure."""
    return told + (due - told) / 2


def next_reminder(now: datetime, due: datetime) -> datetime:
    """A day later, and the last time when it is due. Pure."""
    return min(now + timedelta(days=1), due)


def remind(connection: Connection, row: Row[Any], now: datetime) -> int:
    """Tell the posts that have not acknowledged it; gives how many."""
    waiting = [
        post.post_id
        for post in kept.posts_of_announcement(connection, row.number)
        if post.acknowledged_at is None
    ]
    for post_id in waiting:
        enqueue_addressed(
            connection,
            of_post(post_id, row.room_class),
            part="notice",
            key=f"notice|{row.number}|{post_id}|{now.isoformat()}",
            draft={"number": row.number, "again": True},
            now=now,
        )
    kept.change_announcement(connection, row.number, told_at=now)
    return len(waiting)


def remind_due(
    connection: Connection, now: datetime, at_work: Callable[[datetime], datetime]
) -> int:
    """Do what the clock asks: remind, or report to the announcer when the time is over.

    Args:
        connection: The transaction.
        now: When.
        at_work: The first moment of working time from a moment on.
    """
    due = kept.due_announcements(connection, now)
    for row in due:
        if now >= row.due:
            kept.change_announcement(connection, row.number, state=kept.CLOSED, remind_at=None)
            enqueue_addressed(
                connection,
                of_post(row.post_id, row.room_class),
                part="report",
                key=f"report|{row.number}|due",
                draft={"number": row.number},
                now=now,
            )
        elif (opens := max(at_work(now), row.told_at + PEACE)) > now:
            kept.change_announcement(connection, row.number, remind_at=min(opens, row.due))
        else:
            remind(connection, row, now)
            kept.change_announcement(connection, row.number, remind_at=next_reminder(now, row.due))
    return len(due)
