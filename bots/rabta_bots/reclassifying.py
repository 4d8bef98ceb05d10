"""Keeps a paper to its grade: a raised one takes back what was shown and stored below it.

A lowered grade is believed for what comes then; it gives nothing back.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row

from rabta_bots.cards.kinds import CardKind
from rabta_bots.grades import Allowance, allowance
from rabta_bots.store.audit import write_audit
from rabta_bots.store.cards import LIVE, cards_of_paper, reclassify_card
from rabta_bots.store.commands import lapse_asked
from rabta_bots.store.deadlines import end_deadlines
from rabta_bots.store.events import OWN
from rabta_bots.store.files import forget_file
from rabta_bots.store.outbox import enqueue_card, hide_content
from rabta_bots.store.papers import (
    events_of_paper,
    forget_remarks,
    grade_of_paper,
    note_grade,
    rewrite_event,
)
from rabta_bots.threads import TAKEN_BACK, take_back_lines
from rabta_contract.event import Event
from rabta_contract.redaction import redacted
from rabta_contract.vocabulary import Grade
from rabta_policy import Policy


@dataclass(frozen=True, slots=True)
class Settled:
    """The event under the grade that counts.

    Args:
        grade: The event's own, or the paper's where an earlier event comes late.
        event: What may be kept of it; None where nothing may.
        stripped: Whether the store keeps less than before.
    """

    grade: Grade
    event: Event | None
    stripped: bool


def settle_grade(connection: Connection, policy: Policy, row: Row[Any], now: datetime) -> Settled:
    """Hold the event and its paper to the paper's grade.

    Args:
        connection: The transaction in which the event is planned.
        policy: In force now.
        row: The stored event.
        now: When.
    """
    grade = Grade(row.grade)
    document = row.event
    if row.paper is None or row.via == OWN:
        return Settled(grade, Event.model_validate(document) if document else None, False)
    if set(document) == {"paper"}:
        document = {}
        rewrite_event(connection, row.row, document, row.grade)
    known = grade_of_paper(connection, row.paper)
    before = Grade(known.grade) if known is not None else grade
    late = known is not None and row.sequence < known.told_at
    stripped = False
    if late and grade.rank < before.rank:
        # The grade was raised after this event, and before it came.
        grade, stripped = before, True
        document = under(document, allowance(policy, grade), grade)
        rewrite_event(connection, row.row, document, grade.value)
    elif not late:
        if grade.rank > before.rank:
            _raise(connection, policy, row, before, now)
            stripped = True
        note_grade(connection, row.paper, grade.value, row.sequence)
    return Settled(grade, Event.model_validate(document) if document else None, stripped)


def under(document: dict[str, Any], allowed: Allowance | None, grade: Grade) -> dict[str, Any]:
    """What may be kept of a stored event when its paper is of `grade`."""
    if not document or allowed is None or allowed.notice:
        return {}
    event = Event.model_validate(document)
    raised = event.model_copy(
        update={"data": event.data.model_copy(update={"classification": grade})}
    )
    return redacted(
        raised, subject=allowed.subject, remarks=allowed.remarks, attachments=allowed.attachments
    ).document()


def _raise(
    connection: Connection, policy: Policy, row: Row[Any], before: Grade, now: datetime
) -> None:
    grade = Grade(row.grade)
    allowed = allowance(policy, grade)
    for card in cards_of_paper(connection, row.paper):
        if Grade(card.grade).rank >= grade.rank:
            continue
        lapse_asked(connection, card_id=card.card_id)
        forget_remarks(connection, card.card_id)
        hide_content(connection, card.card_id, TAKEN_BACK)
        reclassify_card(connection, card.card_id, **_changes(card, allowed))
        enqueue_card(
            connection,
            card.card_id,
            card.stream,
            part="redact",
            key=f"redact|{card.card_id}|{row.row}",
            now=now,
            event_row=row.row,
        )
    for stored in events_of_paper(connection, row.paper):
        if stored.row != row.row and Grade(stored.grade).rank < grade.rank:
            document = under(stored.event, allowed, grade)
            rewrite_event(connection, stored.row, document, grade.value)
    take_back_lines(connection, row.paper.removeprefix("file/"), grade, row.row, now)
    if allowed is None or allowed.notice:
        end_deadlines(connection, row.paper)
        forget_file(connection, row.paper.removeprefix("file/"))
    write_audit(
        connection,
        now,
        "grade-raised",
        actor=row.source,
        event_id=row.event_id,
        detail=f"{before.value} to {grade.value}",
    )


def _changes(card: Row[Any], allowed: Allowance | None) -> dict[str, Any]:
    if allowed is None:
        # Nothing of it may be shown any more.
        live = card.state in LIVE
        return {"kind": CardKind.NOTICE.value} | ({"state": "superseded"} if live else {})
    kind = {"kind": CardKind.NOTICE.value} if allowed.notice else {}
    return {"room_class": allowed.room_class} | kind
