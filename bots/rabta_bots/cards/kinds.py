"""Declares what becomes of every event type, and which commands a card takes. Pure.

`RULES` is the one table: docs/reference/events.md is held to it.
"""

from dataclasses import dataclass
from enum import StrEnum

from rabta_bots.grades import Allowance
from rabta_contract.event import Event
from rabta_contract.vocabulary import CommandVerb, EventType, Purpose


class CardKind(StrEnum):
    """What a card is about."""

    FILE = "file"
    RECEIPT = "receipt"
    DECISION = "decision"
    DRAFT = "draft"
    DISPATCH = "dispatch"
    REFERENCE = "reference"
    REMINDER = "reminder"
    DEADLINE = "deadline"
    NOTICE = "notice"


class Treatment(StrEnum):
    """Where an event is shown."""

    CARD = "card"
    LINE = "line"
    DIGEST = "digest"
    EDIT = "edit"
    CHARGE = "charge"
    OPERATOR = "operator"
    AUDIT = "audit"


class Readers(StrEnum):
    """Who gets the card of an event that names nobody."""

    NOBODY = "nobody"
    ACTOR = "actor"
    INITIATOR = "initiator"
    SUBMITTER = "submitter"
    REFERRER = "referrer"
    HOLDERS = "holders"
    REGISTRY = "registry"


@dataclass(frozen=True, slots=True)
class Rule:
    """What becomes of one event type.

    Args:
        treatment: Where it is shown. Whatever that is, it may close cards as well.
        kind: The kind of its card.
        readers: Who gets the card where the event names no post.
    """

    treatment: Treatment
    kind: CardKind | None = None
    readers: Readers = Readers.NOBODY


def _card(kind: CardKind, readers: Readers = Readers.NOBODY) -> Rule:
    return Rule(Treatment.CARD, kind, readers)


_LINE = Rule(Treatment.LINE)
_DIGEST = Rule(Treatment.DIGEST)
_EDIT = Rule(Treatment.EDIT)
_CHARGE = Rule(Treatment.CHARGE)
_OPERATOR = Rule(Treatment.OPERATOR)
_AUDIT = Rule(Treatment.AUDIT)

RULES: dict[EventType, Rule] = {
    EventType.RECEIPT_DIARISED: _DIGEST,
    EventType.RECEIPT_MARKED: _card(CardKind.RECEIPT),
    EventType.RECEIPT_ACKNOWLEDGED: _DIGEST,
    EventType.RECEIPT_FILED: _LINE,
    EventType.RECEIPT_CLOSED: _DIGEST,
    EventType.RECEIPT_REOPENED: _DIGEST,
    EventType.FILE_OPENED: _LINE,
    EventType.FILE_PART_OPENED: _LINE,
    EventType.FILE_VOLUME_OPENED: _LINE,
    EventType.FILE_MARKED: _card(CardKind.FILE),
    EventType.FILE_RECEIVED: _LINE,
    EventType.FILE_RETURNED: _card(CardKind.FILE),
    EventType.FILE_PULLED_BACK: _EDIT,
    EventType.FILE_REFERRED: _card(CardKind.FILE),
    EventType.FILE_PARKED: _LINE,
    EventType.FILE_BROUGHT_UP: _card(CardKind.FILE, Readers.ACTOR),
    EventType.FILE_LINKED: _LINE,
    EventType.FILE_UNLINKED: _LINE,
    EventType.FILE_PRIORITY_CHANGED: _LINE,
    EventType.FILE_CLASSIFICATION_CHANGED: _LINE,
    EventType.FILE_CLOSED: _LINE,
    EventType.FILE_REOPENED: _LINE,
    EventType.FILE_RECORDED: _LINE,
    # What a note says is the file's, and no chat's.
    EventType.NOTE_ADDED: _AUDIT,
    EventType.NOTE_SIGNED: _AUDIT,
    EventType.DECISION_RECORDED: _card(CardKind.DECISION, Readers.INITIATOR),
    EventType.DRAFT_SUBMITTED: _card(CardKind.DRAFT),
    EventType.DRAFT_RETURNED: _card(CardKind.DRAFT, Readers.SUBMITTER),
    EventType.DRAFT_APPROVED: _card(CardKind.DRAFT, Readers.SUBMITTER),
    EventType.DRAFT_SUPERSEDED: _LINE,
    EventType.DISPATCH_ISSUED: _LINE,
    EventType.DISPATCH_DELIVERED: _LINE,
    EventType.DISPATCH_FAILED: _card(CardKind.DISPATCH, Readers.REGISTRY),
    EventType.REFERENCE_SENT: _card(CardKind.REFERENCE),
    EventType.REFERENCE_REPLIED: _card(CardKind.REFERENCE, Readers.REFERRER),
    EventType.REFERENCE_OVERDUE: _card(CardKind.DEADLINE, Readers.HOLDERS),
    EventType.DEADLINE_SET: _LINE,
    EventType.DEADLINE_APPROACHING: _card(CardKind.DEADLINE, Readers.HOLDERS),
    EventType.DEADLINE_BREACHED: _card(CardKind.DEADLINE, Readers.HOLDERS),
    EventType.REMINDER_SENT: _card(CardKind.REMINDER),
    EventType.CHARGE_ASSUMED: _CHARGE,
    EventType.CHARGE_RELINQUISHED: _CHARGE,
    EventType.SOURCE_HEARTBEAT: _OPERATOR,
    EventType.SOURCE_GAP: _OPERATOR,
}

# A look-after holder works on a file and decides nothing.
WORKING = (CommandVerb.SEEN, CommandVerb.DISCUSS, CommandVerb.FORWARD, CommandVerb.ACKNOWLEDGE)
DECIDING = (CommandVerb.APPROVE, CommandVerb.RETURN)
# On a file that came for information there is nothing to decide or to discuss.
INFORMED = (CommandVerb.SEEN, CommandVerb.FORWARD, CommandVerb.ACKNOWLEDGE)


def rule_of(event_type: str) -> Rule:
    """What becomes of events of the type; one that the contract does not know is audited."""
    return RULES[EventType(event_type)] if event_type in _KNOWN else _AUDIT


def offered_verbs(
    event: Event, post_id: str, allowed: Allowance, *, may_decide: bool
) -> tuple[CommandVerb, ...]:
    """The commands that the holder of `post_id` may give on the card of `event`.

    Args:
        event: The event of the card, as stored.
        post_id: The post that the card is for.
        allowed: What the file's grade allows.
        may_decide: Whether the holder's charge lets it decide (a look-after charge does not).
    """
    movement = event.data.movement
    if allowed.decide == "no" or event.data.file is None or movement is None:
        return ()
    if rule_of(event.type).kind is not CardKind.FILE:
        return ()
    if not any(post.post_id == post_id for post in movement.to):
        # A copy: the file is with somebody else.
        return ()
    if movement.purpose is Purpose.FOR_INFORMATION:
        return INFORMED
    return (*DECIDING, *WORKING) if may_decide else WORKING


_KNOWN = frozenset(EventType)
