"""Strips an event to what its class allows, before anything is written down. Pure."""

from typing import Any

from rabta_bots.cards.kinds import Treatment, rule_of
from rabta_bots.grades import Allowance
from rabta_bots.papers import paper_of
from rabta_contract.event import Event
from rabta_contract.redaction import redacted
from rabta_contract.vocabulary import EventType

ESCALATED = (EventType.DEADLINE_BREACHED, EventType.REFERENCE_OVERDUE)


def stored_form(event: Event, allowed: Allowance | None) -> dict[str, Any]:
    """What the store may keep of an event.

    `{}` when a notice or an audit row is all there is. `{"paper": ...}` where the event names a
    paper of a grade of which nothing is kept: until it is planned, so that what was shown of the
    paper at a lower grade can be taken back.

    Args:
        event: The event as it came, valid under the schema.
        allowed: What its grade allows; None when it is not bridged.
    """
    if event.data.charge is not None:
        # Who holds which post is no secret of any file.
        return redacted(event, subject=False, remarks=False, attachments=False).document()
    if allowed is None or allowed.notice:
        paper = paper_of(event.document())
        return {"paper": paper} if paper is not None else {}
    if rule_of(event.type).treatment is Treatment.AUDIT:
        # A note, or a type that nobody here knows: what it says is not for chat.
        return {}
    return redacted(
        event, subject=allowed.subject, remarks=allowed.remarks, attachments=allowed.attachments
    ).document()


def addressees(event: Event) -> tuple[str, ...]:
    """The posts that the event names as its addressees, in its order, each once."""
    data = event.data
    posts = []
    if data.movement is not None:
        posts += [*data.movement.to, *(data.movement.cc or ())]
    if event.kind in ESCALATED and data.deadline is not None:
        posts += [data.deadline.escalate_to] if data.deadline.escalate_to else []
    return tuple(dict.fromkeys(post.post_id for post in posts))
