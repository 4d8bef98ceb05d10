"""Keeps the events of e-Office: each once, in the order of its source."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from rabta_bots.store.marks import mark, raise_mark
from rabta_bots.store.tables import events, outbox, webhooks
from rabta_bots.store.turns import take_turn
from rabta_contract.event import Event

NEW = "new"
PLANNED = "planned"
UNBRIDGED = "unbridged"

# How the bridge's own events came.
OWN = "clock"


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as the store keeps it, already stripped."""

    source: str
    event_id: str
    sequence: int
    type: str
    grade: str
    digest: str
    addressees: tuple[str, ...]
    document: dict[str, Any]
    file_id: str | None
    paper: str | None


def closed_mark_name(source: str) -> str:
    """Under which name the closed mark of a source is kept."""
    return f"closed:{source}"


def closed_mark(connection: Connection, source: str, start_after: int) -> int:
    """The sequence up to which nothing new is taken from the source."""
    return mark(connection, closed_mark_name(source), start_after)


def passed_mark(connection: Connection, source: str) -> int:
    """The sequence up to which gaps were waited for in vain; what they lack may still come."""
    return mark(connection, f"passed:{source}", 0)


def pass_gap(connection: Connection, source: str, sequence: int) -> None:
    """Note that an event was planned although a number before it is missing."""
    raise_mark(connection, f"passed:{source}", sequence)


def digest_of_webhook(connection: Connection, webhook_id: str) -> str | None:
    """The digest of the delivery that came under this id, if one did."""
    return connection.execute(
        select(webhooks.c.digest).where(webhooks.c.webhook_id == webhook_id)
    ).scalar()


def remember_webhook(connection: Connection, webhook_id: str, digest: str, now: datetime) -> None:
    """Note a delivery that is being answered."""
    connection.execute(
        webhooks.insert().values(webhook_id=webhook_id, digest=digest, received_at=now)
    )


def digest_of_event(connection: Connection, source: str, event_id: str) -> str | None:
    """The digest of the event that came under this source and id, if one did."""
    return connection.execute(
        select(events.c.digest).where(events.c.source == source, events.c.event_id == event_id)
    ).scalar()


def sequence_taken(connection: Connection, source: str, sequence: int) -> bool:
    """Whether an event holds this sequence number already."""
    found = connection.execute(
        select(events.c.row).where(events.c.source == source, events.c.sequence == sequence)
    ).scalar()
    return found is not None


def store_event(connection: Connection, event: StoredEvent, via: str, now: datetime) -> None:
    """Keep an event.

    Args:
        connection: The transaction.
        event: What to keep.
        now: When it came.
        via: `push`, `feed` or `drop`.
    """
    connection.execute(
        events.insert().values(
            source=event.source,
            event_id=event.event_id,
            sequence=event.sequence,
            type=event.type,
            grade=event.grade,
            digest=event.digest,
            addressees=list(event.addressees),
            event=event.document,
            about_file=event.file_id,
            paper=event.paper,
            via=via,
            state=NEW,
            received_at=now,
        )
    )


def store_own_event(
    connection: Connection,
    event: Event,
    *,
    paper: str,
    addressees: Sequence[str],
    grade: str,
    now: datetime,
) -> int | None:
    """Keep an event of the bridge's own; gives its row, or None when it was kept before."""
    take_turn(connection, event.source)
    known = select(events.c.row).where(
        events.c.source == event.source, events.c.event_id == event.id
    )
    if connection.execute(known).scalar() is not None:
        return None
    last = select(func.max(events.c.sequence)).where(events.c.source == event.source)
    sequence = int(connection.execute(last).scalar() or 0) + 1
    result = connection.execute(
        events.insert().values(
            source=event.source,
            event_id=event.id,
            sequence=sequence,
            type=event.type,
            grade=grade,
            digest="",
            addressees=list(addressees),
            event=event.document() | {"sequence": str(sequence)},
            paper=paper,
            about_file=event.file_id,
            via=OWN,
            state=NEW,
            received_at=now,
        )
    )
    return int(result.inserted_primary_key[0])  # type: ignore[index]  # one row, one key


def close_contiguous(connection: Connection, source: str, start_after: int) -> int:
    """Raise the closed mark over every sequence number that has come without a gap."""
    closed = closed_mark(connection, source, start_after)
    reached = closed
    rows = connection.execute(
        select(events.c.sequence)
        .where(events.c.source == source, events.c.sequence > closed)
        .order_by(events.c.sequence)
    )
    for row in rows:
        if row.sequence != reached + 1:
            break
        reached = row.sequence
    if reached > closed:
        raise_mark(connection, closed_mark_name(source), reached)
    return reached


def next_new(connection: Connection, source: str, limit: int) -> Sequence[Row[Any]]:
    """The unplanned events of the source with the lowest sequence numbers, in order."""
    return connection.execute(
        select(events)
        .where(events.c.source == source, events.c.state == NEW)
        .order_by(events.c.sequence)
        .limit(limit)
    ).all()


def event_by_row(connection: Connection, row: int) -> Row[Any]:
    """A stored event."""
    return connection.execute(select(events).where(events.c.row == row)).one()


def set_event_state(connection: Connection, row: int, state: str) -> None:
    """Note what became of an event."""
    connection.execute(update(events).where(events.c.row == row).values(state=state))


def waiting_count(connection: Connection) -> int:
    """Events not yet planned and messages not yet sent."""
    unplanned = select(func.count()).select_from(events).where(events.c.state == NEW)
    unsent = select(func.count()).select_from(outbox).where(outbox.c.state == "pending")
    return int(connection.execute(unplanned).scalar_one()) + int(
        connection.execute(unsent).scalar_one()
    )


def sources_with_new(connection: Connection) -> Sequence[str]:
    """The sources that have unplanned events."""
    return (
        connection.execute(select(events.c.source).where(events.c.state == NEW).distinct())
        .scalars()
        .all()
    )
