"""Entries in the registers: what happens to papers beside their being marked and decided. Pure.

Receipts, drafts, dispatches, references, time limits, and the life of a file: each is told as one
event. The file keeps what changes of it; of the other papers the event itself is the record.
"""

from dataclasses import dataclass, replace

from rabta_contract import (
    Deadline,
    EventType,
    FileStatus,
    Grade,
    Movement,
    Priority,
    Purpose,
)
from rabta_contract.event import Dispatch, Draft, EventData, File, Link, Party, Post, Receipt
from rabta_eoffice.rules import Actor, CaseFile, Reason, Refused, no_charge
from rabta_eoffice.telling import file_told

# From which status an entry may be made, and which one it leaves.
LIFE = {
    EventType.FILE_PARKED: (FileStatus.OPEN, FileStatus.PARKED),
    EventType.FILE_BROUGHT_UP: (FileStatus.PARKED, FileStatus.OPEN),
    EventType.FILE_CLOSED: (FileStatus.OPEN, FileStatus.CLOSED),
    EventType.FILE_REOPENED: (FileStatus.CLOSED, FileStatus.OPEN),
    EventType.FILE_RECORDED: (FileStatus.CLOSED, FileStatus.RECORDED),
}
REGISTERS = ("receipt", "draft", "dispatch", "reference", "deadline")
ENTERED = frozenset(
    {
        *LIFE,
        EventType.FILE_PART_OPENED,
        EventType.FILE_VOLUME_OPENED,
        EventType.FILE_LINKED,
        EventType.FILE_UNLINKED,
        EventType.FILE_PRIORITY_CHANGED,
        EventType.FILE_CLASSIFICATION_CHANGED,
        *(kind for kind in EventType if kind.value.split(".")[1] in REGISTERS),
    }
)


@dataclass(frozen=True, slots=True)
class Entry:
    """What is entered.

    Args:
        kind: One of `ENTERED`.
        file_id: The file concerned; None for a paper that is on none.
        to_post: Whom it is for, where it goes to a post.
        purpose: Why it goes there.
        remarks: To the addressee.
        grade: The file's new grade, or the grade of a paper on no file.
        priority: Likewise.
        part: Of a part file.
        volume: Of a volume.
        linked: Files that are linked or unlinked.
        record_category: A to D.
    """

    kind: EventType
    file_id: str | None = None
    to_post: str | None = None
    purpose: Purpose = Purpose.FORWARD
    remarks: str | None = None
    grade: Grade | None = None
    priority: Priority | None = None
    part: str | None = None
    volume: str | None = None
    linked: tuple[str, ...] | None = None
    record_category: str | None = None
    receipt: Receipt | None = None
    draft: Draft | None = None
    dispatch: Dispatch | None = None
    deadline: Deadline | None = None


def judge(file: CaseFile | None, actor: Actor, entry: Entry) -> CaseFile | Refused | None:
    """The file as it stands after the entry (None where there is none), or why not."""
    if actor.charge is None:
        return no_charge(actor)
    if entry.kind not in ENTERED:
        return Refused(Reason.MALFORMED, f"{entry.kind} is told by an act, not by an entry")
    if file is None:
        of_file = entry.kind.value.startswith("eoffice.file.")
        return Refused(Reason.UNKNOWN_FILE, "no such file") if entry.file_id or of_file else None
    if entry.kind in LIFE:
        return _live(file, actor, entry.kind)
    return replace(file, grade=entry.grade or file.grade, priority=entry.priority or file.priority)


def _live(file: CaseFile, actor: Actor, kind: EventType) -> CaseFile | Refused:
    before, after = LIFE[kind]
    if actor.post_id != file.holder:
        return Refused(Reason.WRONG_HOLDER, "the file is not with that post")
    if file.status is not before:
        return Refused(Reason.WRONG_STATUS, f"the file is {file.status}")
    return replace(file, status=after)


def told(
    entry: Entry,
    file: CaseFile | None,
    *,
    actor: Party,
    posts: dict[str, Post],
    public_url: str,
) -> EventData:
    """The payload of the event that tells of the entry."""
    grade = file.grade if file else entry.grade or Grade.UNCLASSIFIED
    content = grade.carries_content
    movement = None
    if entry.to_post is not None:
        movement = Movement(
            from_=actor.post,
            to=(posts[entry.to_post],),
            purpose=entry.purpose,
            # The file stays where it is: the movement that is, is told again.
            movement_no=max(file.movement_no, 1) if file else 1,
            remarks=entry.remarks if content else None,
        )
    receipt = entry.receipt
    if receipt is not None and not content:
        receipt = receipt.model_copy(update={"subject": None})
    return EventData(
        actor=actor,
        classification=grade,
        priority=file.priority if file else entry.priority or Priority.ROUTINE,
        file=_file(file, entry) if file else None,
        receipt=receipt,
        draft=entry.draft,
        dispatch=entry.dispatch,
        movement=movement,
        deadline=entry.deadline,
        links=(Link(rel="open", href=f"{public_url}/f/{file.file_id}"),) if file else None,
    )


def subject_of(entry: Entry) -> str:
    """What the event is about, as CloudEvents names it."""
    if entry.receipt is not None:
        return f"receipt/{entry.receipt.receipt_id}"
    if entry.dispatch is not None:
        return f"dispatch/{entry.dispatch.dispatch_id}"
    if entry.draft is not None:
        return f"draft/{entry.draft.draft_id}"
    return f"file/{entry.file_id}"


def _file(file: CaseFile, entry: Entry) -> File:
    return file_told(file).model_copy(
        update={
            "part": entry.part,
            "volume": entry.volume,
            "linked": entry.linked,
            "record_category": entry.record_category,
        }
    )
