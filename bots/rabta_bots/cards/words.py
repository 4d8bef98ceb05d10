"""The contract's words as sentences; their Urdu stands in locale/ur/bridge.po."""

from rabta_contract.vocabulary import (
    CommandVerb,
    DeadlineKind,
    EventType,
    Grade,
    Priority,
    Purpose,
)


def N_(sentence: str) -> str:  # noqa: N802 - gettext's own name for a sentence translated later
    """Mark a sentence for the catalogue without translating it here."""
    return sentence


GRADES = {
    Grade.UNCLASSIFIED: N_("Unclassified"),
    Grade.RESTRICTED: N_("Restricted"),
    Grade.CONFIDENTIAL: N_("Confidential"),
    Grade.SECRET: N_("Secret"),
    Grade.TOP_SECRET: N_("Top Secret"),
}

PRIORITIES = {
    Priority.ROUTINE: N_("Routine"),
    Priority.PRIORITY: N_("Priority"),
    Priority.IMMEDIATE: N_("Immediate"),
    Priority.MOST_IMMEDIATE: N_("Most Immediate"),
}

PURPOSES = {
    Purpose.PUT_UP: N_("Put up to you: {number}"),
    Purpose.FORWARD: N_("Marked to you: {number}"),
    Purpose.RETURN: N_("Returned to you with observations: {number}"),
    Purpose.REFER: N_("Referred to you: {number}"),
    Purpose.FOR_COMMENTS: N_("For your comments: {number}"),
    Purpose.FOR_INFORMATION: N_("For your information: {number}"),
    Purpose.FOR_SIGNATURE: N_("For your signature: {number}"),
}

# What a card or a line says first, where neither a purpose nor a decision says it.
HEADLINES = {
    EventType.RECEIPT_MARKED: N_("A paper was marked to you: diary no. {number}"),
    EventType.RECEIPT_FILED: N_("A paper was placed on the file: {number}"),
    EventType.FILE_OPENED: N_("File opened: {number}"),
    EventType.FILE_PART_OPENED: N_("Part file opened: {number}"),
    EventType.FILE_VOLUME_OPENED: N_("New volume opened: {number}"),
    EventType.FILE_RECEIVED: N_("Received: {number}"),
    EventType.FILE_PARKED: N_("Parked: {number}"),
    EventType.FILE_BROUGHT_UP: N_("Brought up again: {number}"),
    EventType.FILE_LINKED: N_("Linked with other files: {number}"),
    EventType.FILE_UNLINKED: N_("No longer linked with other files: {number}"),
    EventType.FILE_PRIORITY_CHANGED: N_("Urgency changed: {number}"),
    EventType.FILE_CLASSIFICATION_CHANGED: N_("Classification changed: {number}"),
    EventType.FILE_CLOSED: N_("File closed: {number}"),
    EventType.FILE_REOPENED: N_("File reopened: {number}"),
    EventType.FILE_RECORDED: N_("File recorded: {number}"),
    EventType.DRAFT_SUBMITTED: N_("A draft for your approval: {number}"),
    EventType.DRAFT_RETURNED: N_("The draft was returned to you: {number}"),
    EventType.DRAFT_APPROVED: N_("The draft was approved: {number}"),
    EventType.DRAFT_SUPERSEDED: N_("The draft was replaced by a newer one: {number}"),
    EventType.DISPATCH_ISSUED: N_("Issued: {number}"),
    EventType.DISPATCH_DELIVERED: N_("Delivered: {number}"),
    EventType.DISPATCH_FAILED: N_("Could not be delivered: {number}"),
    EventType.REFERENCE_SENT: N_("A reference from another division: {number}"),
    EventType.REFERENCE_REPLIED: N_("The other division has replied: {number}"),
    EventType.REFERENCE_OVERDUE: N_("The reply is overdue: {number}"),
    EventType.DEADLINE_SET: N_("Time limit set: {number}"),
    EventType.DEADLINE_APPROACHING: N_("Half the time has passed: {number}"),
    EventType.DEADLINE_BREACHED: N_("Overdue: {number}"),
    EventType.REMINDER_SENT: N_("Reminder: {number} waits for you"),
}

DEADLINE_KINDS = {
    DeadlineKind.DISPOSAL: N_("disposal"),
    DeadlineKind.REPLY: N_("reply"),
    DeadlineKind.PARLIAMENT: N_("Parliament business"),
    DeadlineKind.COURT: N_("court case"),
    DeadlineKind.CABINET_DECISION: N_("Cabinet decision"),
    DeadlineKind.PM_DIRECTIVE: N_("Prime Minister's directive"),
}

# What a decided or otherwise closed card says first. Keys: outcomes of the contract's decisions
# and commands, then what happened to the card without its officer.
OUTCOMES = {
    "approved": N_("Approved: {number}"),
    "approved_as_amended": N_("Approved as amended: {number}"),
    "not_approved": N_("Not approved: {number}"),
    "seen": N_("Seen: {number}"),
    "discuss": N_("To be discussed: {number}"),
    "returned_with_observations": N_("Returned with observations: {number}"),
    "forwarded": N_("Forwarded: {number}"),
    "acknowledged": N_("Acknowledged: {number}"),
    "reminded": N_("Reminder sent: {number}"),
    "replied": N_("Replied: {number}"),
    "filed": N_("Placed on the file: {number}"),
    "closed": N_("Closed: {number}"),
    "withdrawn": N_("Withdrawn by the sender: {number}"),
    "superseded": N_("The file has moved on: {number}"),
    "expired": N_("This card has expired; decide in e-Office: {number}"),
}

# As the hint of a card shows them; the grammar knows more spellings.
VERBS = {
    CommandVerb.APPROVE: N_("approve"),
    CommandVerb.RETURN: N_("return <remarks>"),
    CommandVerb.SEEN: N_("seen"),
    CommandVerb.DISCUSS: N_("discuss"),
    CommandVerb.FORWARD: N_("forward <post>"),
    CommandVerb.ACKNOWLEDGE: N_("acknowledge"),
    CommandVerb.REMIND: N_("remind"),
}
