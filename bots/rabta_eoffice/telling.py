"""What e-Office tells: contract events made from its own facts. Pure.

SECRET and above carry no subject, no remarks and no documents, whatever the file says.
Notes are never told at any grade.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from rabta_contract import (
    Charge,
    ChargeKind,
    Decision,
    Document,
    Event,
    EventData,
    EventType,
    File,
    Grade,
    Link,
    Movement,
    Party,
    Post,
    Priority,
    SignatureKind,
    SourceState,
)
from rabta_eoffice.rules import CaseFile, Step

SEQUENCE_WIDTH = 18

_CARRYING = frozenset({EventType.FILE_MARKED, EventType.FILE_RETURNED, EventType.FILE_REFERRED})


@dataclass(frozen=True, slots=True)
class Envelope:
    """What makes an event this one: its id, its place in the sequence, its moment."""

    event_id: str
    org: str
    sequence: int
    time: datetime

    def around(self, kind: EventType, subject: str, data: EventData) -> Event:
        """Put `data` into an event of type `kind` about `subject` (`file/...`, `post/...`)."""
        return Event(
            id=self.event_id,
            source=f"/eoffice/{self.org}",
            type=kind,
            subject=subject,
            time=self.time,
            sequence=f"{self.sequence:0{SEQUENCE_WIDTH}d}",
            data=data,
        )


def actor_of(post: Post, person_id: str, name: str | None, charge: ChargeKind) -> Party:
    """The post that acts, with the person and the charge."""
    return Party(post=post, person_id=person_id, person_name=name, charge=charge)


def of_step(
    envelope: Envelope,
    kind: EventType,
    step: Step,
    *,
    actor: Party,
    posts: dict[str, Post],
    documents: Sequence[Document] = (),
    public_url: str,
) -> Event:
    """The event that tells of one step of a file.

    `documents` go along where the file goes to another post, which has not seen them.
    """
    file, moved, decided = step.file, step.moved, step.decided
    content = file.grade.carries_content
    movement = decision = None
    if moved is not None:
        movement = Movement(
            from_=posts[moved.from_post],
            to=(posts[moved.to_post],),
            purpose=moved.purpose,
            movement_no=moved.number,
            remarks=moved.remarks if content else None,
        )
    if decided is not None:
        decision = Decision(
            outcome=decided.outcome,
            note_para=decided.note_para,
            signature=SignatureKind.NONE,
            remarks=decided.remarks if content else None,
        )
    data = EventData(
        actor=actor,
        classification=file.grade,
        priority=file.priority,
        file=file_told(file),
        movement=movement,
        decision=decision,
        documents=tuple(documents) if content and kind in _CARRYING and documents else None,
        links=(Link(rel="open", href=f"{public_url}/f/{file.file_id}"),),
    )
    return envelope.around(kind, f"file/{file.file_id}", data)


def of_charge(envelope: Envelope, kind: EventType, charge: Charge, *, actor: Party) -> Event:
    """The event that tells of a charge assumed or relinquished."""
    data = EventData(
        actor=actor,
        classification=Grade.UNCLASSIFIED,
        priority=Priority.ROUTINE,
        charge=charge,
    )
    return envelope.around(kind, f"post/{charge.post.post_id}", data)


def heartbeat(envelope: Envelope) -> Event:
    """The event that tells that the source lives. Its actor is e-Office itself."""
    office = Post(post_id=f"{envelope.org}-EOFFICE", designation="e-Office", org=envelope.org)
    data = EventData(
        actor=Party(post=office),
        classification=Grade.UNCLASSIFIED,
        priority=Priority.ROUTINE,
        source=SourceState(last_sequence=f"{envelope.sequence - 1:0{SEQUENCE_WIDTH}d}"),
    )
    return envelope.around(EventType.SOURCE_HEARTBEAT, f"source/{envelope.org}", data)


def file_told(file: CaseFile) -> File:
    """The file as an event tells of it."""
    return File(
        file_id=file.file_id,
        file_no=file.file_no,
        subject=file.subject if file.grade.carries_content else None,
        owner_org=file.org,
        section=file.section,
        status=file.status,
        note_para=file.note_para or None,
    )
