"""Keeps the events of e-Office: each once, in the order of its source."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, Connection, Row, bindparam, func, or_, select, update

from rabta_bots.store.marks import mark, raise_mark
from rabta_bots.store.tables import events, outbox, webhooks
from rabta_bots.store.turns import take_turn
from rabta_contract.event import Event

NEW = "new"
PLANNED = "planned"
UNBRIDGED = "unbridged"

# How the bridge's own events came.
OWN = "clock"

# Asked of every event, so they are built once.
_DIGEST_OF_WEBHOOK = select(webhooks.c.digest).where(webhooks.c.webhook_id == bindparam("webhook"))
_SOURCE: BindParameter[str] = bindparam("of")
_LIKE = select(events.c.event_id, events.c.sequence, events.c.digest).where(
    events.c.source == _SOURCE,
    or_(events.c.event_id == bindparam("id"), events.c.sequence == bindparam("number")),
)
_AFTER = (
    select(events.c.sequence)
    .where(events.c.source == _SOURCE, events.c.sequence > bindparam("closed"))
    .order_by(events.c.sequence)
)
_NEXT_NEW = (
    select(events)
    .where(events.c.source == _SOURCE, events.c.state == NEW)
    .order_by(events.c.sequence)
    .limit(bindparam("most"))
)
_BY_ROW = select(events).where(events.c.row == bindparam("this"))
_SET_STATE = update(events).where(events.c.row == bindparam("this")).values(state=bindparam("to"))
_WAITING = select(
    select(func.count()).select_from(events).where(events.c.state == NEW).scalar_subquery()
    + select(func.count()).select_from(outbox).where(outbox.c.state == "pending").scalar_subquery()
)


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
    return connection.execute(_DIGEST_OF_WEBHOOK, {"webhook": webhook_id}).scalar()


def remember_webhook(connection: Connection, webhook_id: str, digest: str, now: datetime) -> None:
    """Note a delivery that is being answered."""
    row = {"webhook_id": webhook_id, "digest": digest, "received_at": now}
    connection.execute(webhooks.insert(), row)


def known_of(
    connection: Connection, source: str, event_id: str, sequence: int
) -> tuple[str | None, bool]:
    """What is known of an event that comes.

    Returns:
        The digest of the event that came under this source and id, if one did; and whether an
        event of the source holds the sequence number already.
    """
    asked = {"of": source, "id": event_id, "number": sequence}
    found = connection.execute(_LIKE, asked).all()
    digest = next((row.digest for row in found if row.event_id == event_id), None)
    return digest, any(row.sequence == sequence for row in found)


def store_event(connection: Connection, event: StoredEvent, via: str, now: datetime) -> None:
    """Keep an event.

    Args:
        connection: The transaction.
        event: What to keep.
        now: When it came.
        via: `push`, `feed` or `drop`.
    """
    row = {
        "source": event.source,
        "event_id": event.event_id,
        "sequence": event.sequence,
        "type": event.type,
        "grade": event.grade,
        "digest": event.digest,
        "addressees": list(event.addressees),
        "event": event.document,
        "about_file": event.file_id,
        "paper": event.paper,
        "via": via,
        "state": NEW,
        "received_at": now,
    }
    connection.execute(events.insert(), row)


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


def close_contiguous(connection: Connection, source: str, closed: int) -> int:
    """Raise the closed mark from `closed` over every number that has come without a gap."""
    reached = closed
    for row in connection.execute(_AFTER, {"of": source, "closed": closed}):
        if row.sequence != reached + 1:
            break
        reached = row.sequence
    if reached > closed:
        raise_mark(connection, closed_mark_name(source), reached)
    return reached


def next_new(connection: Connection, source: str, limit: int) -> Sequence[Row[Any]]:
    """The unplanned events of the source with the lowest sequence numbers, in order."""
    return connection.execute(_NEXT_NEW, {"of": source, "most": limit}).all()


def event_by_row(connection: Connection, row: int) -> Row[Any]:
    """A stored event."""
    return connection.execute(_BY_ROW, {"this": row}).one()


def set_event_state(connection: Connection, row: int, state: str) -> None:
    """Note what became of an event."""
    connection.execute(_SET_STATE, {"this": row, "to": state})


def waiting_count(connection: Connection) -> int:
    """Events not yet planned and messages not yet sent."""
    return int(connection.execute(_WAITING).scalar_one())


def sources_with_new(connection: Connection) -> Sequence[str]:
    """The sources that have unplanned events."""
    return (
        connection.execute(select(events.c.source).where(events.c.state == NEW).distinct())
        .scalars()
        .all()
    )
