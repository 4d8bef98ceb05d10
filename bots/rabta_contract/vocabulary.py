"""The words of the contract, as enumerations. Each value is the word on the wire."""

from enum import StrEnum


class Grade(StrEnum):
    """Security grade of a file, lowest first."""

    UNCLASSIFIED = "UNCLASSIFIED"
    RESTRICTED = "RESTRICTED"
    CONFIDENTIAL = "CONFIDENTIAL"
    SECRET = "SECRET"  # noqa: S105 - a grade, not a password
    TOP_SECRET = "TOP_SECRET"  # noqa: S105 - a grade, not a password

    @property
    def rank(self) -> int:
        """0 for UNCLASSIFIED up to 4 for TOP_SECRET."""
        return _GRADES.index(self)

    @property
    def carries_content(self) -> bool:
        """Whether an event of this grade may carry subject, remarks or documents at all."""
        return self.rank < Grade.SECRET.rank

    @property
    def decided_from_chat(self) -> bool:
        """Whether e-Office takes a decision on such a file from chat."""
        return self.rank < Grade.CONFIDENTIAL.rank


_GRADES = tuple(Grade)


class Priority(StrEnum):
    """Urgency of a paper, least first."""

    ROUTINE = "ROUTINE"
    PRIORITY = "PRIORITY"
    IMMEDIATE = "IMMEDIATE"
    MOST_IMMEDIATE = "MOST_IMMEDIATE"


class Purpose(StrEnum):
    """Why a file was sent to a post."""

    PUT_UP = "put_up"
    FORWARD = "forward"
    RETURN = "return"
    REFER = "refer"
    FOR_COMMENTS = "for_comments"
    FOR_INFORMATION = "for_information"
    FOR_SIGNATURE = "for_signature"


class ChargeKind(StrEnum):
    """In what capacity a person holds a post."""

    REGULAR = "regular"
    ADDITIONAL = "additional"
    CURRENT = "current"
    ACTING = "acting"
    LOOK_AFTER = "look_after"

    @property
    def may_decide(self) -> bool:
        """A look-after holder does day-to-day work only and decides nothing."""
        return self is not ChargeKind.LOOK_AFTER


class FileStatus(StrEnum):
    """Life of a file."""

    OPEN = "open"
    PARKED = "parked"
    CLOSED = "closed"
    RECORDED = "recorded"


class DecisionOutcome(StrEnum):
    """What a post decided on a note paragraph (event `decision.recorded`)."""

    APPROVED = "approved"
    APPROVED_AS_AMENDED = "approved_as_amended"
    NOT_APPROVED = "not_approved"
    SEEN = "seen"
    DISCUSS = "discuss"
    RETURNED_WITH_OBSERVATIONS = "returned_with_observations"


class SignatureKind(StrEnum):
    """How a decision was signed in e-Office."""

    NONE = "none"
    PIN = "pin"
    DIGITAL_CERTIFICATE = "digital_certificate"


class DeadlineKind(StrEnum):
    """What a deadline is for."""

    DISPOSAL = "disposal"
    REPLY = "reply"
    PARLIAMENT = "parliament"
    COURT = "court"
    CABINET_DECISION = "cabinet_decision"
    PM_DIRECTIVE = "pm_directive"


class DeadlineLevel(StrEnum):
    """Green, yellow from half the time on, red when due."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"


class CommandVerb(StrEnum):
    """What an officer may ask of e-Office from chat."""

    APPROVE = "approve"
    RETURN = "return"
    SEEN = "seen"
    DISCUSS = "discuss"
    FORWARD = "forward"
    ACKNOWLEDGE = "acknowledge"
    REMIND = "remind"

    @property
    def decides(self) -> bool:
        """Whether it disposes of the file, which a look-after holder may not do."""
        return self in {CommandVerb.APPROVE, CommandVerb.RETURN}


class CommandOutcome(StrEnum):
    """What e-Office did on a command."""

    APPROVED = "approved"
    RETURNED = "returned_with_observations"
    SEEN = "seen"
    DISCUSS = "discuss"
    FORWARDED = "forwarded"
    ACKNOWLEDGED = "acknowledged"
    REMINDED = "reminded"


class EventType(StrEnum):
    """Every event type of the contract; an event may carry another one, which is ignored."""

    RECEIPT_DIARISED = "eoffice.receipt.diarised.v1"
    RECEIPT_MARKED = "eoffice.receipt.marked.v1"
    RECEIPT_ACKNOWLEDGED = "eoffice.receipt.acknowledged.v1"
    RECEIPT_FILED = "eoffice.receipt.filed.v1"
    RECEIPT_CLOSED = "eoffice.receipt.closed.v1"
    RECEIPT_REOPENED = "eoffice.receipt.reopened.v1"
    FILE_OPENED = "eoffice.file.opened.v1"
    FILE_PART_OPENED = "eoffice.file.part_opened.v1"
    FILE_VOLUME_OPENED = "eoffice.file.volume_opened.v1"
    FILE_MARKED = "eoffice.file.marked.v1"
    FILE_RECEIVED = "eoffice.file.received.v1"
    FILE_RETURNED = "eoffice.file.returned.v1"
    FILE_PULLED_BACK = "eoffice.file.pulled_back.v1"
    FILE_REFERRED = "eoffice.file.referred.v1"
    FILE_PARKED = "eoffice.file.parked.v1"
    FILE_BROUGHT_UP = "eoffice.file.brought_up.v1"
    FILE_LINKED = "eoffice.file.linked.v1"
    FILE_UNLINKED = "eoffice.file.unlinked.v1"
    FILE_PRIORITY_CHANGED = "eoffice.file.priority_changed.v1"
    FILE_CLASSIFICATION_CHANGED = "eoffice.file.classification_changed.v1"
    FILE_CLOSED = "eoffice.file.closed.v1"
    FILE_REOPENED = "eoffice.file.reopened.v1"
    FILE_RECORDED = "eoffice.file.recorded.v1"
    NOTE_ADDED = "eoffice.note.added.v1"
    NOTE_SIGNED = "eoffice.note.signed.v1"
    DECISION_RECORDED = "eoffice.decision.recorded.v1"
    DRAFT_SUBMITTED = "eoffice.draft.submitted.v1"
    DRAFT_RETURNED = "eoffice.draft.returned.v1"
    DRAFT_APPROVED = "eoffice.draft.approved.v1"
    DRAFT_SUPERSEDED = "eoffice.draft.superseded.v1"
    DISPATCH_ISSUED = "eoffice.dispatch.issued.v1"
    DISPATCH_DELIVERED = "eoffice.dispatch.delivered.v1"
    DISPATCH_FAILED = "eoffice.dispatch.failed.v1"
    REFERENCE_SENT = "eoffice.reference.sent.v1"
    REFERENCE_REPLIED = "eoffice.reference.replied.v1"
    REFERENCE_OVERDUE = "eoffice.reference.overdue.v1"
    DEADLINE_SET = "eoffice.deadline.set.v1"
    DEADLINE_APPROACHING = "eoffice.deadline.approaching.v1"
    DEADLINE_BREACHED = "eoffice.deadline.breached.v1"
    REMINDER_SENT = "eoffice.reminder.sent.v1"
    CHARGE_ASSUMED = "eoffice.charge.assumed.v1"
    CHARGE_RELINQUISHED = "eoffice.charge.relinquished.v1"
    SOURCE_HEARTBEAT = "eoffice.source.heartbeat.v1"
    SOURCE_GAP = "eoffice.source.gap.v1"
