"""Which HTTP status and reason code each side answers, as data.

The contract's reference page lists the same tables; a test compares them.
"""

from dataclasses import dataclass
from enum import StrEnum


class EventReason(StrEnum):
    """Why a receiver did not store an event."""

    MALFORMED_JSON = "malformed-json"
    SCHEMA = "schema"
    ID_MISMATCH = "id-mismatch"
    UNKNOWN_POST = "unknown-post"
    UNKNOWN_SOURCE = "unknown-source"
    BAD_SIGNATURE = "bad-signature"
    STALE_TIMESTAMP = "stale-timestamp"
    CLOSED_SEQUENCE = "closed-sequence"
    ID_REUSED = "id-reused"
    TOO_LARGE = "too-large"
    MEDIA_TYPE = "media-type"
    BUSY = "busy"
    UNAVAILABLE = "unavailable"


class CommandReason(StrEnum):
    """Why e-Office refused a command."""

    MALFORMED = "malformed"
    BAD_SIGNATURE = "bad-signature"
    STALE_TIMESTAMP = "stale-timestamp"
    WRONG_HOLDER = "wrong-holder"
    LOOK_AFTER_MAY_NOT_DECIDE = "look-after-may-not-decide"
    CERTIFICATE_REQUIRED = "certificate-required"
    GRADE_NOT_FROM_CHAT = "grade-not-from-chat"
    UNKNOWN_FILE = "unknown-file"
    UNKNOWN_POST = "unknown-post"
    STALE_MOVEMENT = "stale-movement"
    TOO_LARGE = "too-large"
    IDEMPOTENCY_KEY_REUSED = "idempotency-key-reused"
    DOCUMENT_CHANGED = "document-changed"


@dataclass(frozen=True, slots=True)
class Answer:
    """One row: the HTTP status, its reason code (None where it went well) and what it means."""

    status: int
    reason: str | None
    meaning: str

    @property
    def permanent(self) -> bool:
        """Whether sending the same again is of no use (429 and 5xx are worth a retry)."""
        return self.status not in {429, 503}


EVENT_ANSWERS: tuple[Answer, ...] = (
    Answer(202, None, "stored; it will be shown"),
    Answer(200, None, "stored before (same source and id); nothing was done"),
    Answer(400, EventReason.MALFORMED_JSON, "the body is not one JSON document in UTF-8"),
    Answer(400, EventReason.SCHEMA, "the event breaks the schema; all faults are in the detail"),
    Answer(400, EventReason.ID_MISMATCH, "`webhook-id` is not the id of the event"),
    Answer(400, EventReason.UNKNOWN_POST, "the event names a post that the receiver does not know"),
    Answer(400, EventReason.UNKNOWN_SOURCE, "the receiver does not serve this source"),
    Answer(401, EventReason.BAD_SIGNATURE, "headers missing, or no live secret made the signature"),
    Answer(401, EventReason.STALE_TIMESTAMP, "the timestamp is more than five minutes off"),
    Answer(409, EventReason.CLOSED_SEQUENCE, "the sequence lies before what is already closed"),
    Answer(409, EventReason.ID_REUSED, "this id came before with another content"),
    Answer(413, EventReason.TOO_LARGE, "the body is larger than the receiver takes"),
    Answer(415, EventReason.MEDIA_TYPE, "not a CloudEvents media type"),
    Answer(429, EventReason.BUSY, "too many events wait; try after `Retry-After` seconds"),
    Answer(503, EventReason.UNAVAILABLE, "cannot store now; try after `Retry-After` seconds"),
)

COMMAND_ANSWERS: tuple[Answer, ...] = (
    Answer(200, None, "carried out, or carried out before (`Idempotent-Replayed: true`)"),
    Answer(400, CommandReason.MALFORMED, "not a command; all faults are in the detail"),
    Answer(401, CommandReason.BAD_SIGNATURE, "headers missing, or no live secret signed it"),
    Answer(401, CommandReason.STALE_TIMESTAMP, "the timestamp is more than five minutes off"),
    Answer(403, CommandReason.WRONG_HOLDER, "the person does not hold the post that has the file"),
    Answer(403, CommandReason.LOOK_AFTER_MAY_NOT_DECIDE, "a look-after charge decides nothing"),
    Answer(403, CommandReason.CERTIFICATE_REQUIRED, "the file is decided with a certificate only"),
    Answer(403, CommandReason.GRADE_NOT_FROM_CHAT, "files of this grade are not moved from chat"),
    Answer(404, CommandReason.UNKNOWN_FILE, "no such file"),
    Answer(404, CommandReason.UNKNOWN_POST, "no such post"),
    Answer(409, CommandReason.STALE_MOVEMENT, "the file has moved on since the card was sent"),
    Answer(413, CommandReason.TOO_LARGE, "the body is larger than a command can be"),
    Answer(422, CommandReason.IDEMPOTENCY_KEY_REUSED, "this key was used for a different command"),
    Answer(422, CommandReason.DOCUMENT_CHANGED, "the bytes of a document are not those offered"),
)


def event_status(reason: EventReason) -> int:
    """The HTTP status that goes with a refusal of an event."""
    return _EVENT_STATUS[reason]


def command_status(reason: CommandReason) -> int:
    """The HTTP status that goes with a refusal of a command."""
    return _COMMAND_STATUS[reason]


_EVENT_STATUS = {answer.reason: answer.status for answer in EVENT_ANSWERS if answer.reason}
_COMMAND_STATUS = {answer.reason: answer.status for answer in COMMAND_ANSWERS if answer.reason}
