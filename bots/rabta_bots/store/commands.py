"""Keeps officers' commands from the question to e-Office's answer."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select, update

from rabta_bots.store.tables import cards, commands
from rabta_contract.vocabulary import CommandVerb

ASKED = "asked"
QUEUED = "queued"
LAPSED = "lapsed"
DONE = "done"
REFUSED = "refused"
DEAD = "dead"
DROPPED = "dropped"

MAX_WRONG_CODES = 3


def add_command(connection: Connection, now: datetime, **values: Any) -> None:
    """Keep a new command; an earlier question about the same card lapses."""
    lapse_asked(connection, card_id=values["card_id"])
    connection.execute(commands.insert().values(made_at=now, attempts=0, wrong_codes=0, **values))


def asked_of(connection: Connection, room_id: str, person_id: str) -> Sequence[Row[Any]]:
    """The questions that the person has open in the room, oldest first."""
    return connection.execute(
        select(commands)
        .where(
            commands.c.state == ASKED,
            commands.c.room_id == room_id,
            commands.c.person_id == person_id,
        )
        .order_by(commands.c.made_at)
    ).all()


def lapse_asked(connection: Connection, *, card_id: int) -> int:
    """Let the open question about a card lapse."""
    changed = connection.execute(
        update(commands)
        .where(commands.c.state == ASKED, commands.c.card_id == card_id)
        .values(state=LAPSED, remarks=None, code=None)
    )
    return int(changed.rowcount)


def count_wrong_code(connection: Connection, command_id: str) -> None:
    """Note a wrong code; after `MAX_WRONG_CODES` the question lapses."""
    connection.execute(
        update(commands)
        .where(commands.c.command_id == command_id)
        .values(wrong_codes=commands.c.wrong_codes + 1)
    )
    connection.execute(
        update(commands)
        .where(
            commands.c.command_id == command_id,
            commands.c.state == ASKED,
            commands.c.wrong_codes >= MAX_WRONG_CODES,
        )
        .values(state=LAPSED, remarks=None, code=None)
    )


def queue_command(
    connection: Connection, command_id: str, body: dict[str, Any], now: datetime
) -> None:
    """Send it to e-Office; the body is fixed now, the same at every retry."""
    connection.execute(
        update(commands)
        .where(commands.c.command_id == command_id)
        .values(state=QUEUED, body=body, code=None, remarks=None, next_at=now)
    )


def due_commands(connection: Connection, now: datetime, limit: int = 20) -> Sequence[Row[Any]]:
    """The commands to bring to e-Office now."""
    return connection.execute(
        select(commands)
        .where(commands.c.state == QUEUED, commands.c.next_at <= now)
        .order_by(commands.c.made_at)
        .limit(limit)
    ).all()


def retry_command(connection: Connection, command_id: str, at: datetime, reason: str) -> None:
    """Try again at a moment."""
    connection.execute(
        update(commands)
        .where(commands.c.command_id == command_id)
        .values(attempts=commands.c.attempts + 1, next_at=at, reason=reason)
    )


def end_command(
    connection: Connection, command_id: str, state: str, reason: str | None = None
) -> None:
    """Note what became of it; its body, which may hold remarks, stays with a dead letter alone."""
    gone: dict[str, Any] = {} if state == DEAD else {"body": None}
    connection.execute(
        update(commands)
        .where(commands.c.command_id == command_id)
        .values(state=state, reason=reason, remarks=None, **gone)
    )


def command_count(connection: Connection, state: str) -> int:
    """How many commands are in the state."""
    return len(
        connection.execute(select(commands.c.command_id).where(commands.c.state == state)).all()
    )


def chased_since(connection: Connection, file_id: str, since: datetime) -> bool:
    """Whether somebody asked after `since` that whoever has the file be reminded."""
    asked = (
        select(commands.c.command_id)
        .join(cards, cards.c.card_id == commands.c.card_id)
        .where(
            cards.c.file_id == file_id,
            commands.c.verb == CommandVerb.REMIND.value,
            commands.c.state.in_((QUEUED, DONE)),
            commands.c.made_at > since,
        )
    )
    return connection.execute(asked.limit(1)).first() is not None
