"""Decides on a delivery and stores it whole or not at all, in the caller's transaction."""

import hashlib
import hmac
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection

from rabta_bots.grades import allowance
from rabta_bots.intake.source import Delivery
from rabta_bots.papers import paper_of
from rabta_bots.store.audit import write_audit
from rabta_bots.store.events import (
    StoredEvent,
    close_contiguous,
    closed_mark,
    closed_mark_name,
    digest_of_webhook,
    known_of,
    remember_webhook,
    store_event,
    waiting_count,
)
from rabta_bots.store.marks import raise_mark
from rabta_bots.store.posts import known_posts, remember_post
from rabta_bots.store.turns import take_turn
from rabta_bots.stripping import addressees, stored_form
from rabta_contract.answers import EventReason
from rabta_contract.event import Event
from rabta_contract.parsing import event_bytes
from rabta_contract.vocabulary import EventType
from rabta_policy import Policy

# An id that was used for something else: not in the contract's own table, answered 409.
ID_REUSED = "id-reused"

CHARGES = (EventType.CHARGE_ASSUMED, EventType.CHARGE_RELINQUISHED)


class RefusedError(Exception):
    """The delivery is not stored; nothing of it is.

    Args:
        reason: Stable code of the contract's table, or `id-reused`.
        detail: One line without content.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Terms:
    """On which terms events are taken.

    Args:
        policy: Says what may be kept of each grade.
        sources: The CloudEvents sources served.
        start_after: The closed mark of a source that nothing came from yet.
        max_waiting: With more undelivered than this, the sender is asked to wait.
        digest_key: Keys the digests, so that a stored one does not betray a subject.
        kept_posts: Posts that the directory describes; what a charge event says of them is not
            taken.
    """

    policy: Policy
    sources: frozenset[str]
    start_after: int
    max_waiting: int
    digest_key: bytes
    kept_posts: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Stored:
    """What a delivery added; 0 means that all of it was here before."""

    events: int


def accept_push(connection: Connection, delivery: Delivery, terms: Terms, now: datetime) -> Stored:
    """Store a verified, schema-valid delivery.

    Raises:
        RefusedError: With the contract's reason; the caller's transaction must be rolled back.
    """
    webhook_id, events = delivery.delivery_id, delivery.events
    take_turn(connection, "intake")
    digest = _digest(b"".join(event_bytes(event) for event in events), terms)
    before = digest_of_webhook(connection, webhook_id)
    if before is not None and before != digest:
        raise RefusedError(ID_REUSED, "this webhook-id came before with another body")
    if before is not None:
        return Stored(0)
    fresh = [one for event in events if (one := _new(connection, event, terms)) is not None]
    if fresh and waiting_count(connection) >= terms.max_waiting:
        raise RefusedError(EventReason.BUSY, "too many events wait to be delivered")
    _know_all_posts(connection, [one.event for one in fresh])
    closed = {
        source: closed_mark(connection, source, terms.start_after)
        for source in {one.event.source for one in fresh}
    }
    for number, one in enumerate(fresh):
        _check_sequence(one, fresh[:number], closed=closed[one.event.source])
        _store(connection, one, delivery.via, terms, now)
    for source, mark in closed.items():
        close_contiguous(connection, source, mark)
    remember_webhook(connection, webhook_id, digest, now)
    return Stored(len(fresh))


def accept_feed(
    connection: Connection, events: Sequence[Event], terms: Terms, now: datetime
) -> Stored:
    """Store a page of the feed, which is complete and in order: what it skips does not exist.

    An event that cannot be taken is audited and passed over; the rest of the page is kept.
    """
    take_turn(connection, "intake")
    added = 0
    for event in events:
        try:
            fresh = _new(connection, event, terms)
            if fresh is None:
                continue
            _check_sequence(fresh, (), closed=0)
        except RefusedError as refused:
            write_audit(
                connection,
                now,
                "event-refused",
                reason=refused.reason,
                actor=event.source,
                event_id=event.id,
                detail="feed",
            )
            continue
        _store(connection, fresh, "feed", terms, now)
        added += 1
    for source in {event.source for event in events} & terms.sources:
        last = max(event.sequence_no for event in events if event.source == source)
        raise_mark(connection, closed_mark_name(source), last)
    return Stored(added)


def unknown_posts(connection: Connection, events: Sequence[Event]) -> set[str]:
    """The addressees that no charge event has named, neither before nor in this delivery."""
    wanted = {post_id for event in events for post_id in addressees(event)}
    named = {event.data.charge.post.post_id for event in events if event.data.charge is not None}
    return wanted - named - set(known_posts(connection, wanted))


class _New(NamedTuple):
    """An event that is not stored yet.

    Args:
        event: As it came.
        digest: By which it will be known.
        taken: Whether another event stored before holds its sequence number.
    """

    event: Event
    digest: str
    taken: bool


def _new(connection: Connection, event: Event, terms: Terms) -> _New | None:
    """The event with what the store says of it; None when it came before."""
    if event.source not in terms.sources:
        raise RefusedError(EventReason.UNKNOWN_SOURCE, "this bridge does not serve the source")
    digest = digest_of(event, terms)
    before, taken = known_of(connection, event.source, event.id, event.sequence_no)
    if before is None:
        return _New(event, digest, taken)
    if before != digest:
        raise RefusedError(ID_REUSED, "this event id came before with another content")
    return None


def _know_all_posts(connection: Connection, events: Sequence[Event]) -> None:
    if unknown_posts(connection, events):
        raise RefusedError(EventReason.UNKNOWN_POST, "no charge event has named an addressed post")


def _check_sequence(new: _New, beside: Sequence[_New], *, closed: int) -> None:
    """Refuse a number that is closed, or held by another event, stored or of the same delivery."""
    number = new.event.sequence_no
    same = (new.event.source, number)
    if (
        number <= closed
        or new.taken
        or any((other.event.source, other.event.sequence_no) == same for other in beside)
    ):
        raise RefusedError(
            EventReason.CLOSED_SEQUENCE, f"sequence {number} is taken or closed (at {closed})"
        )


def _store(connection: Connection, new: _New, via: str, terms: Terms, now: datetime) -> None:
    event = new.event
    grade = event.data.classification
    charge = event.data.charge
    document = stored_form(event, allowance(terms.policy, grade))
    kept = charge is not None and charge.post.post_id in terms.kept_posts
    if event.kind in CHARGES and charge is not None and not kept:
        remember_post(connection, charge.post.model_dump(mode="json"))
    store_event(
        connection,
        StoredEvent(
            source=event.source,
            event_id=event.id,
            sequence=event.sequence_no,
            type=event.type,
            grade=grade.value,
            digest=new.digest,
            addressees=addressees(event),
            document=document,
            file_id=event.file_id if "id" in document else None,
            paper=paper_of(document),
        ),
        via,
        now,
    )


def digest_of(event: Event, terms: Terms) -> str:
    """By which an event that comes again is known to be the same."""
    return _digest(event_bytes(event), terms)


def _digest(body: bytes, terms: Terms) -> str:
    return hmac.new(terms.digest_key, body, hashlib.sha256).hexdigest()
