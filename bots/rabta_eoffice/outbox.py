"""The event outbox: events get their place in the sequence in the transaction that causes them."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select, update

from rabta_contract import Event, event_bytes
from rabta_eoffice.tables import outbox

WAITING, SENT, REFUSED = "waiting", "sent", "refused"


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event that the bridge has not taken yet."""

    sequence: int
    event_id: str
    body: bytes
    attempts: int


def tell(connection: Connection, make: Callable[[int], Event]) -> Event:
    """Write the event that `make` builds for the next sequence number.

    All transactions of this database begin as writes, so numbers are given in the order of
    commits, without gaps.
    """
    last = connection.execute(select(func.max(outbox.c.sequence))).scalar_one()
    event = make((last or 0) + 1)
    connection.execute(
        insert(outbox).values(
            sequence=event.sequence_no,
            event_id=event.id,
            type=event.type,
            body=event_bytes(event),
            state=WAITING,
            attempts=0,
        )
    )
    return event


def next_waiting(connection: Connection) -> Waiting | None:
    """The oldest event that still has to be pushed."""
    row = connection.execute(
        select(outbox.c.sequence, outbox.c.event_id, outbox.c.body, outbox.c.attempts)
        .where(outbox.c.state == WAITING)
        .order_by(outbox.c.sequence)
        .limit(1)
    ).one_or_none()
    return None if row is None else Waiting(*row)


def count_waiting(connection: Connection) -> int:
    """How many events still have to be pushed."""
    query = select(func.count()).select_from(outbox).where(outbox.c.state == WAITING)
    return int(connection.execute(query).scalar_one())


def mark(connection: Connection, sequence: int, state: str, answer: str) -> None:
    """Write what came of one attempt to push."""
    connection.execute(
        update(outbox)
        .where(outbox.c.sequence == sequence)
        .values(state=state, attempts=outbox.c.attempts + 1, last_answer=answer)
    )


def feed(connection: Connection, *, after: int, limit: int) -> bytes:
    """The events after a sequence number, oldest first, as the body of a batch."""
    rows = connection.execute(
        select(outbox.c.body)
        .where(outbox.c.sequence > after)
        .order_by(outbox.c.sequence)
        .limit(limit)
    ).scalars()
    return b"[" + b",".join(rows) + b"]"
