"""Judges a document by what is told of it, and names every reason not to carry one. Pure."""

from enum import StrEnum

from rabta_policy import RoomClass


class DocumentReason(StrEnum):
    """Why a document is not carried.

    A sentence for each stands in `cards/attachments.py`, for the way into a room, and in
    `commands/answers.py`, for the way into a file.
    """

    INFECTED = "document-infected"
    CHANGED = "document-changed"
    TOO_LARGE = "document-too-large"
    TYPE_NOT_ALLOWED = "document-type-not-allowed"
    CLASS_WITHOUT = "class-without-documents"
    NOT_FROM_EOFFICE = "document-not-from-eoffice"
    NOT_REACHABLE = "document-not-reachable"
    MISSING = "document-missing"
    NOT_SCANNED = "document-not-scanned"
    SCANNER_UNREACHABLE = "scanner-unreachable"
    EOFFICE_UNREACHABLE = "eoffice-unreachable"
    NO_DOCUMENT = "no-document"


# These pass: the document is tried again.
PASSING = frozenset({DocumentReason.SCANNER_UNREACHABLE, DocumentReason.EOFFICE_UNREACHABLE})


class DocumentError(Exception):
    """A document is not carried, now (`passing`) or at all.

    Args:
        reason: Why.
    """

    def __init__(self, reason: DocumentReason) -> None:
        super().__init__(str(reason))
        self.reason = reason

    @property
    def passing(self) -> bool:
        """Whether the same document may be carried later."""
        return self.reason in PASSING


def judge_document(
    media_type: str, size: int, *, attachments: bool, room_class: RoomClass
) -> DocumentReason | None:
    """Why a document may not stand in a room, or None.

    Args:
        media_type: As its sender declares it.
        size: Bytes.
        attachments: Whether cards of the class carry documents at all.
        room_class: The class of the room; its `media` says how large and of which type.
    """
    if not attachments or room_class.media.max_bytes == 0:
        return DocumentReason.CLASS_WITHOUT
    if size > room_class.media.max_bytes:
        return DocumentReason.TOO_LARGE
    if not room_class.media.covers(media_type.partition(";")[0].strip().lower(), size):
        return DocumentReason.TYPE_NOT_ALLOWED
    return None
