"""Keeps what was refused for good, until an operator has it tried again or drops it.

A dead letter is a message that the homeserver or the rules refused, or a command that e-Office
could not be brought to take. A command that e-Office judged is none: the officer has the answer.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, RowMapping, func, select, update

from rabta_bots.store import outbox as outgoing
from rabta_bots.store.audit import write_audit
from rabta_bots.store.cards import begin_deciding
from rabta_bots.store.commands import DEAD, DROPPED, QUEUED
from rabta_bots.store.tables import cards, commands, outbox

MESSAGE = "message"
COMMAND = "command"
LONGEST_REASON = 200


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One of them, by numbers and codes alone: nothing of what it says.

    Args:
        name: `m<row>` for a message, its own id for a command.
        kind: message or command.
        part: issue, poll, outcome or say; of a command its verb.
        reason: The stable code with which it was refused.
        post_id: Whose card; None for an answer to an officer.
        room_class: The class of the card's room.
        attempts: How often it was tried.
    """

    name: str
    kind: str
    part: str
    reason: str
    card_id: int | None
    post_id: str | None
    room_class: str | None
    attempts: int
    made_at: datetime


class DeadLetterError(Exception):
    """It cannot be done.

    Args:
        reason: Stable code: no-such-letter, words-gone, card-closed.
        cure: What to do instead, in words.
    """

    def __init__(self, reason: str, cure: str) -> None:
        super().__init__(f"{reason}. Cure: {cure}")
        self.reason = reason
        self.cure = cure


def dead_letters(connection: Connection) -> list[DeadLetter]:
    """All of them, oldest first."""
    of_card = (cards.c.post_id, cards.c.room_class)
    messages = connection.execute(
        select(outbox, *of_card)
        .outerjoin(cards, cards.c.card_id == outbox.c.card_id)
        .where(outbox.c.state == outgoing.DEAD)
    ).mappings()
    orders = connection.execute(
        select(commands, *of_card)
        .join(cards, cards.c.card_id == commands.c.card_id)
        .where(commands.c.state == DEAD)
    ).mappings()
    found = [
        *(_letter(f"m{row['row']}", MESSAGE, row["part"], row) for row in messages),
        *(_letter(row["command_id"], COMMAND, row["verb"], row) for row in orders),
    ]
    return sorted(found, key=lambda letter: (letter.made_at, letter.name))


def dead_count(connection: Connection) -> dict[str, int]:
    """How many there are of each kind."""
    queries = {
        MESSAGE: select(func.count()).where(outbox.c.state == outgoing.DEAD),
        COMMAND: select(func.count()).where(commands.c.state == DEAD),
    }
    return {kind: int(connection.execute(query).scalar_one()) for kind, query in queries.items()}


def retry_letter(
    connection: Connection, name: str, actor: str, now: datetime, patience: timedelta
) -> None:
    """Have it tried again from now on.

    A message about a card, or one with an address, is composed afresh, for whoever holds the post
    now and under the policy of now; an answer is sent as it was. A command goes to e-Office with
    the same idempotency key.

    Args:
        connection: The transaction.
        name: As `dead_letters` gives it.
        actor: The operator, for the audit.
        now: When.
        patience: How long e-Office is tried for a command.

    Raises:
        DeadLetterError: Nothing was changed.
    """
    letter = _find(connection, name)
    if letter.kind == MESSAGE:
        _retry_message(connection, letter, now)
    else:
        _retry_command(connection, letter, now, patience)
    _audit(connection, now, "dead-letter-retried", letter, actor=actor, detail=name)


def drop_letter(connection: Connection, name: str, actor: str, why: str, now: datetime) -> None:
    """Give it up; what it said is forgotten, that it was dropped and why stays in the audit.

    Args:
        connection: The transaction.
        name: As `dead_letters` gives it.
        actor: The operator.
        why: In the operator's words; cut to `LONGEST_REASON` characters.
        now: When.

    Raises:
        DeadLetterError: There is no such dead letter.
    """
    letter = _find(connection, name)
    if letter.kind == MESSAGE:
        connection.execute(
            update(outbox)
            .where(outbox.c.row == _row(name))
            .values(state=outgoing.DROPPED, content=None, draft=None)
        )
    else:
        connection.execute(
            update(commands)
            .where(commands.c.command_id == name)
            .values(state=DROPPED, body=None, remarks=None)
        )
    detail = f"{name}: {why[:LONGEST_REASON]}"
    _audit(connection, now, "dead-letter-dropped", letter, actor=actor, detail=detail)


def _retry_message(connection: Connection, letter: DeadLetter, now: datetime) -> None:
    row = _row(letter.name)
    values = {"state": outgoing.PENDING, "next_at": now, "attempts": 0}
    if letter.card_id is None:
        kept = connection.execute(
            select(outbox.c.content, outbox.c.draft).where(outbox.c.row == row)
        ).one()
        if kept.draft is not None:
            outgoing.unfix_content(connection, row)
        elif kept.content is None:
            raise DeadLetterError("words-gone", "drop it; its words were not kept")
    else:
        outgoing.unfix_content(connection, row)
    connection.execute(update(outbox).where(outbox.c.row == row).values(**values))


def _retry_command(
    connection: Connection, letter: DeadLetter, now: datetime, patience: timedelta
) -> None:
    mine = commands.c.command_id == letter.name
    body = connection.execute(select(commands.c.body).where(mine)).scalar()
    if body is None:
        raise DeadLetterError("words-gone", "drop it; the officer must command again")
    if letter.card_id is None or not begin_deciding(connection, letter.card_id):
        raise DeadLetterError(
            "card-closed", "drop it; the card was decided, withdrawn or is being decided"
        )
    connection.execute(
        update(commands)
        .where(mine)
        .values(
            state=QUEUED,
            next_at=now,
            attempts=0,
            rounds=commands.c.rounds + 1,
            give_up_at=now + patience,
        )
    )


def _find(connection: Connection, name: str) -> DeadLetter:
    for letter in dead_letters(connection):
        if letter.name == name:
            return letter
    raise DeadLetterError("no-such-letter", "see `rabta bridge dead-letters list`")


def _row(name: str) -> int:
    return int(name.removeprefix("m"))


def _letter(name: str, kind: str, part: str, row: RowMapping) -> DeadLetter:
    return DeadLetter(
        name=name,
        kind=kind,
        part=part,
        reason=row["reason"] or "",
        card_id=row["card_id"],
        post_id=row["post_id"],
        room_class=row["room_class"],
        attempts=row["attempts"],
        made_at=row["made_at"],
    )


def _audit(
    connection: Connection, now: datetime, what: str, letter: DeadLetter, **said: str
) -> None:
    write_audit(connection, now, what, reason=letter.reason, card_id=letter.card_id, **said)
