"""What a post may do with a file: pure functions from a file and an actor to a step or a refusal.

No clock, no database, no network. One rule holds through all of it: after a step with a
movement, the file is with `movement.to` at `movement.number`, and nowhere else.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from rabta_contract import (
    ChargeKind,
    CommandReason,
    DecisionOutcome,
    EventType,
    FileStatus,
    Grade,
    Priority,
    Purpose,
)


class Channel(StrEnum):
    """Where an act came from."""

    WEB = "web"
    CHAT = "chat"


class Reason(StrEnum):
    """Why e-Office refused; where the contract has a word for it, it is the same word."""

    WRONG_HOLDER = CommandReason.WRONG_HOLDER.value
    LOOK_AFTER_MAY_NOT_DECIDE = CommandReason.LOOK_AFTER_MAY_NOT_DECIDE.value
    CERTIFICATE_REQUIRED = CommandReason.CERTIFICATE_REQUIRED.value
    GRADE_NOT_FROM_CHAT = CommandReason.GRADE_NOT_FROM_CHAT.value
    STALE_MOVEMENT = CommandReason.STALE_MOVEMENT.value
    UNKNOWN_FILE = CommandReason.UNKNOWN_FILE.value
    UNKNOWN_POST = CommandReason.UNKNOWN_POST.value
    UNKNOWN_PERSON = "unknown-person"
    UNKNOWN_CHARGE = "unknown-charge"
    SAME_POST = "same-post"
    NOT_PUT_UP = "not-put-up"
    ALREADY_RECEIVED = "already-received"
    NOT_THE_SENDER = "not-the-sender"
    NOT_ESTABLISHMENT = "not-establishment"
    CHARGE_OVERLAPS = "charge-overlaps"
    CHARGE_ENDED = "charge-ended"
    WRONG_STATUS = "wrong-status"
    TOO_LARGE = CommandReason.TOO_LARGE.value
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing happens: a stable reason and one line for a person."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class CaseFile:
    """A file as it stands.

    `came_from` is the post that put it up or forwarded it to the holder, where a return goes;
    None when the file came back. `pull_back_by` is who may still pull it back.
    """

    file_id: str
    file_no: str
    subject: str
    org: str
    section: str | None
    grade: Grade
    priority: Priority
    certificate_required: bool
    status: FileStatus
    initiator: str
    holder: str
    came_from: str | None = None
    pull_back_by: str | None = None
    movement_no: int = 0
    note_para: int = 0
    received: bool = True


@dataclass(frozen=True, slots=True)
class Actor:
    """A person in a post, by the charge held now. `charge` None: holds no such charge."""

    person_id: str
    post_id: str
    charge: ChargeKind | None
    channel: Channel = Channel.WEB
    command_id: str | None = None
    matrix_user: str | None = None


@dataclass(frozen=True, slots=True)
class Moved:
    """A movement to be recorded."""

    number: int
    from_post: str
    to_post: str
    purpose: Purpose
    remarks: str | None


@dataclass(frozen=True, slots=True)
class Decided:
    """A line of the decision ledger; `movement_no` is the movement it answers."""

    outcome: DecisionOutcome
    note_para: int
    movement_no: int
    remarks: str | None


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be written, in one transaction, and the event that tells of it.

    `event` None: nothing new happened, nothing is told.
    """

    file: CaseFile
    event: EventType | None
    note: str | None = None
    moved: Moved | None = None
    decided: Decided | None = None


def send(
    file: CaseFile, actor: Actor, *, to_post: str, purpose: Purpose, note: str, remarks: str
) -> Step | Refused:
    """Put up, forward or mark the file to another post."""
    refusal = _not_holding(file, actor)
    if refusal is not None:
        return refusal
    if to_post == actor.post_id:
        return Refused(Reason.SAME_POST, "the file is already with that post")
    moved = Moved(file.movement_no + 1, actor.post_id, to_post, purpose, remarks or None)
    after = replace(
        _moved(file, moved),
        came_from=actor.post_id,
        pull_back_by=actor.post_id,
        note_para=file.note_para + (1 if note else 0),
    )
    return Step(after, EventType.FILE_MARKED, note=note or None, moved=moved)


def send_back(file: CaseFile, actor: Actor, *, remarks: str) -> Step | Refused:
    """Return the file with observations to the post that it came from."""
    refusal = _not_holding(file, actor) or _may_not_decide(actor) or _not_put_up(file)
    if refusal is not None:
        return refusal
    return _dispose(
        file, actor, DecisionOutcome.RETURNED_WITH_OBSERVATIONS, remarks, file.came_from
    )


def decide(
    file: CaseFile, actor: Actor, *, outcome: DecisionOutcome, remarks: str
) -> Step | Refused:
    """Record approved or not approved, and mark the file back to its initiator."""
    refusal = _not_holding(file, actor) or _may_not_decide(actor) or _not_put_up(file)
    if refusal is not None:
        return refusal
    if file.certificate_required:
        return Refused(
            Reason.CERTIFICATE_REQUIRED,
            "this file is decided with a digital certificate, which neither chat nor this page has",
        )
    return _dispose(file, actor, outcome, remarks, file.initiator)


def see(file: CaseFile, actor: Actor, *, remarks: str) -> Step | Refused:
    """Record that the post has seen the file, and mark it back to its initiator."""
    refusal = _not_holding(file, actor) or _not_put_up(file)
    if refusal is not None:
        return refusal
    return _dispose(file, actor, DecisionOutcome.SEEN, remarks, file.initiator)


def discuss(file: CaseFile, actor: Actor, *, remarks: str) -> Step | Refused:
    """Record "please speak". The file stays where it is, at the same movement."""
    refusal = _not_holding(file, actor) or _not_put_up(file)
    if refusal is not None:
        return refusal
    para = file.note_para + 1
    after = replace(file, note_para=para, received=True, pull_back_by=None)
    decided = Decided(DecisionOutcome.DISCUSS, para, file.movement_no, remarks or None)
    note = _order(DecisionOutcome.DISCUSS, remarks)
    return Step(after, EventType.DECISION_RECORDED, note=note, decided=decided)


def receive(file: CaseFile, actor: Actor) -> Step | Refused:
    """Note that the post that has the file has opened it; it can no longer be pulled back."""
    refusal = _not_holding(file, actor)
    if refusal is not None:
        return refusal
    if file.received:
        return Step(file, None)
    after = replace(file, received=True, pull_back_by=None)
    return Step(after, EventType.FILE_RECEIVED)


def pull_back(file: CaseFile, actor: Actor) -> Step | Refused:
    """Take an unread file back from the post that it was sent to."""
    if actor.charge is None:
        return no_charge(actor)
    if file.received:
        return Refused(Reason.ALREADY_RECEIVED, "the file has been received already")
    if file.pull_back_by != actor.post_id:
        return Refused(Reason.NOT_THE_SENDER, "only the post that sent the file may pull it back")
    moved = Moved(file.movement_no + 1, file.holder, actor.post_id, Purpose.RETURN, None)
    after = replace(_moved(file, moved), received=True)
    return Step(after, EventType.FILE_PULLED_BACK, moved=moved)


def remind(file: CaseFile, actor: Actor, *, trail: frozenset[str], remarks: str) -> Step | Refused:
    """Chase the post that has the file. `trail`: every post that the file has been with."""
    if actor.charge is None:
        return no_charge(actor)
    if actor.post_id == file.holder or actor.post_id not in trail:
        return Refused(
            Reason.WRONG_HOLDER, "a reminder comes from a post that the file came by, to another"
        )
    moved = Moved(
        file.movement_no, actor.post_id, file.holder, Purpose.FOR_INFORMATION, remarks or None
    )
    return Step(file, EventType.REMINDER_SENT, moved=moved)


def from_chat(file: CaseFile) -> Refused | None:
    """What keeps every command off this file: its grade."""
    if file.grade.decided_from_chat:
        return None
    return Refused(Reason.GRADE_NOT_FROM_CHAT, "files of this grade are worked on in e-Office only")


def no_charge(actor: Actor) -> Refused:
    """The person is not in that post now."""
    return Refused(
        Reason.WRONG_HOLDER, f"{actor.person_id} does not hold the post {actor.post_id} now"
    )


def _dispose(
    file: CaseFile, actor: Actor, outcome: DecisionOutcome, remarks: str, to_post: str | None
) -> Step:
    para = file.note_para + 1
    moved = Moved(
        file.movement_no + 1,
        actor.post_id,
        to_post or file.initiator,
        Purpose.RETURN,
        remarks or None,
    )
    # A recorded order is final: nobody pulls it back.
    after = replace(_moved(file, moved), note_para=para)
    decided = Decided(outcome, para, file.movement_no, remarks or None)
    returned = outcome is DecisionOutcome.RETURNED_WITH_OBSERVATIONS
    event = EventType.FILE_RETURNED if returned else EventType.DECISION_RECORDED
    return Step(after, event, note=_order(outcome, remarks), moved=moved, decided=decided)


def _moved(file: CaseFile, moved: Moved) -> CaseFile:
    """The file with its new holder: unread, come back, and out of anybody else's reach."""
    return replace(
        file,
        holder=moved.to_post,
        came_from=None,
        movement_no=moved.number,
        received=False,
        pull_back_by=None,
    )


_ORDERS = {
    DecisionOutcome.APPROVED: "Approved.",
    DecisionOutcome.NOT_APPROVED: "Not approved.",
    DecisionOutcome.SEEN: "Seen.",
    DecisionOutcome.DISCUSS: "Please discuss.",
    DecisionOutcome.RETURNED_WITH_OBSERVATIONS: "Returned with observations.",
}


def _order(outcome: DecisionOutcome, remarks: str) -> str:
    return f"{_ORDERS[outcome]} {remarks}".strip()


def _not_holding(file: CaseFile, actor: Actor) -> Refused | None:
    if actor.charge is None:
        return no_charge(actor)
    if actor.post_id != file.holder:
        return Refused(Reason.WRONG_HOLDER, "the file is not with that post")
    return None


def _may_not_decide(actor: Actor) -> Refused | None:
    if actor.charge is not None and not actor.charge.may_decide:
        return Refused(
            Reason.LOOK_AFTER_MAY_NOT_DECIDE, "a look-after charge is day-to-day work only"
        )
    return None


def _not_put_up(file: CaseFile) -> Refused | None:
    if file.movement_no == 0 or file.holder == file.initiator:
        return Refused(Reason.NOT_PUT_UP, "nobody has put this file up to the post")
    return None
