"""The contract's words as sentences; their Urdu stands in locale/ur/bridge.po."""

from rabta_contract.vocabulary import CommandVerb, DeadlineKind, Grade, Priority, Purpose


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
