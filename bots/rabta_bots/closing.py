"""Decides which live cards an event closes, and what they then say. Pure."""

from dataclasses import dataclass

from rabta_bots.cards.kinds import CardKind
from rabta_contract.event import Event
from rabta_contract.vocabulary import DecisionOutcome, EventType

ENDING = (EventType.FILE_CLOSED, EventType.FILE_RECORDED, EventType.FILE_PARKED)

# What a file's leaving a post means for the card of that post.
LEFT_BY = {
    EventType.FILE_MARKED: "forwarded",
    EventType.FILE_REFERRED: "forwarded",
    EventType.FILE_RETURNED: "returned_with_observations",
}
DRAFT_LEFT_BY = {
    EventType.DRAFT_RETURNED: "returned_with_observations",
    EventType.DRAFT_APPROVED: "approved",
    EventType.DRAFT_SUPERSEDED: "superseded",
    EventType.DRAFT_SUBMITTED: "superseded",
}
RECEIPT_LEFT_BY = {EventType.RECEIPT_FILED: "filed", EventType.RECEIPT_CLOSED: "closed"}


@dataclass(frozen=True, slots=True)
class LiveCard:
    """What is known of a card that takes commands or stands as information.

    Args:
        kind: What it is about.
        post_id: Whose it is.
        movement_no: The movement that it shows, if any.
        event: Its event as stored; None for a notice.
    """

    kind: CardKind
    post_id: str
    movement_no: int | None
    event: Event | None


@dataclass(frozen=True, slots=True)
class Closing:
    """What becomes of the card.

    Args:
        state: decided, withdrawn or superseded.
        result: A key of `cards.words.OUTCOMES`.
    """

    state: str
    result: str


SUPERSEDED = Closing("superseded", "superseded")


def closing(event: Event, card: LiveCard) -> Closing | None:
    """What the event makes of a live card of its paper; None when the card stays as it is."""
    if card.kind is CardKind.FILE:
        return _of_file(event, card)
    if card.kind in {CardKind.DEADLINE, CardKind.REMINDER}:
        # Who was chased need not be any more, once the file has left or is at rest.
        return None if _of_file(event, card) is None else SUPERSEDED
    if card.kind is CardKind.DRAFT:
        return _of_draft(event, card)
    if card.kind is CardKind.RECEIPT:
        return _of_receipt(event, card)
    if card.kind is CardKind.REFERENCE and event.kind is EventType.REFERENCE_REPLIED:
        return _by(event, card, "replied")
    return None


def actor_of(event: Event) -> str:
    """The post in whose name the event's act was done."""
    return (event.data.on_behalf_of or event.data.actor.post).post_id


def _by(event: Event, card: LiveCard, result: str) -> Closing:
    """The card of whoever acted shows the act; the cards of others are out of date."""
    return Closing("decided", result) if card.post_id == actor_of(event) else SUPERSEDED


def _of_file(event: Event, card: LiveCard) -> Closing | None:
    if event.data.file is None:
        return None
    if event.kind is EventType.FILE_PULLED_BACK:
        return Closing("withdrawn", "withdrawn")
    if event.kind in ENDING:
        return SUPERSEDED
    result = _left_with(event, card)
    return None if result is None else _by(event, card, result)


def _left_with(event: Event, card: LiveCard) -> str | None:
    """With which outcome the file left the card's post, or None when it did not."""
    decision, movement = event.data.decision, event.data.movement
    if event.kind is EventType.DECISION_RECORDED and decision is not None:
        stays = decision.outcome is DecisionOutcome.DISCUSS
        return None if stays else decision.outcome.value
    if event.kind is None or event.kind not in LEFT_BY or movement is None:
        return None
    later = card.movement_no is None or card.movement_no < movement.movement_no
    return LEFT_BY[event.kind] if later else None


def _of_draft(event: Event, card: LiveCard) -> Closing | None:
    mine = card.event.data.draft if card.event else None
    draft = event.data.draft
    if draft is None or mine is None or draft.draft_id != mine.draft_id:
        return None
    if event.kind is None or event.kind not in DRAFT_LEFT_BY:
        return None
    result = DRAFT_LEFT_BY[event.kind]
    return SUPERSEDED if result == "superseded" else _by(event, card, result)


def _of_receipt(event: Event, card: LiveCard) -> Closing | None:
    mine = card.event.data.receipt if card.event else None
    receipt = event.data.receipt
    if receipt is None or mine is None or receipt.receipt_id != mine.receipt_id:
        return None
    if event.kind is EventType.RECEIPT_MARKED:
        return _by(event, card, "forwarded")
    if event.kind is None or event.kind not in RECEIPT_LEFT_BY:
        return None
    result = RECEIPT_LEFT_BY[event.kind]
    return Closing("decided", result)
