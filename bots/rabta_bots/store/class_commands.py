"""Keeps what officers said of rooms' classes until the homeserver has done it and they know."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, exists, select, update

from rabta_bots.store.outbox import PENDING, WAITING
from rabta_bots.store.tables import class_commands, outbox

QUEUED = "queued"
ANSWERED = "answered"
ENDED = "ended"


def add_class_command(connection: Connection, now: datetime, **values: Any) -> None:
    """Keep a new one, due at once."""
    connection.execute(
        class_commands.insert().values(state=QUEUED, attempts=0, next_at=now, **values)
    )


def due_class_commands(connection: Connection, now: datetime) -> Sequence[Row[Any]]:
    """What to bring to the homeserver now, oldest first."""
    return connection.execute(
        select(class_commands)
        .where(class_commands.c.state == QUEUED, class_commands.c.next_at <= now)
        .order_by(class_commands.c.give_up_at)
        .limit(20)
    ).all()


def settled_class_commands(connection: Connection, now: datetime) -> Sequence[Row[Any]]:
    """Those whose officer has the answer: nothing of them is left in the outbox."""
    on_its_way = exists().where(
        outbox.c.key == answer_key(class_commands.c.asked_by),
        outbox.c.state.in_((PENDING, WAITING)),
    )
    return connection.execute(
        select(class_commands).where(
            class_commands.c.state == ANSWERED, class_commands.c.next_at <= now, ~on_its_way
        )
    ).all()


def note_class_command(connection: Connection, asked_by: str, **values: Any) -> None:
    """Write what became of one."""
    connection.execute(
        update(class_commands).where(class_commands.c.asked_by == asked_by).values(**values)
    )


def answer_key(asked_by: Any) -> Any:
    """The outbox key of the answer, of an event id or of the column that holds it."""
    return "class|" + asked_by
