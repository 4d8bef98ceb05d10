"""Decides which events become cards and which commands a card takes. Pure."""

from enum import StrEnum

from rabta_bots.grades import Allowance
from rabta_contract.event import Event
from rabta_contract.vocabulary import CommandVerb, EventType, Purpose


class CardKind(StrEnum):
    """What a card is about."""

    FILE = "file"
    RECEIPT = "receipt"
    DECISION = "decision"
    REMINDER = "reminder"
    DEADLINE = "deadline"
    NOTICE = "notice"


# An event type that is not here makes no card; it is kept and audited.
KIND_OF_EVENT = {
    EventType.FILE_MARKED: CardKind.FILE,
    EventType.FILE_RETURNED: CardKind.FILE,
    EventType.FILE_REFERRED: CardKind.FILE,
    EventType.RECEIPT_MARKED: CardKind.RECEIPT,
    EventType.DECISION_RECORDED: CardKind.DECISION,
    EventType.REMINDER_SENT: CardKind.REMINDER,
    EventType.DEADLINE_BREACHED: CardKind.DEADLINE,
}

# A look-after holder works on a file and decides nothing.
WORKING = (CommandVerb.SEEN, CommandVerb.DISCUSS, CommandVerb.FORWARD, CommandVerb.ACKNOWLEDGE)
DECIDING = (CommandVerb.APPROVE, CommandVerb.RETURN)
# On a file that came for information there is nothing to decide or to discuss.
INFORMED = (CommandVerb.SEEN, CommandVerb.FORWARD, CommandVerb.ACKNOWLEDGE)


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
    if event.kind is None or KIND_OF_EVENT.get(event.kind) is not CardKind.FILE:
        return ()
    if not any(post.post_id == post_id for post in movement.to):
        # A copy: the file is with somebody else.
        return ()
    if movement.purpose is Purpose.FOR_INFORMATION:
        return INFORMED
    return (*DECIDING, *WORKING) if may_decide else WORKING
