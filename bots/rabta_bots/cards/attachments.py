"""Documents in a card and beside it: a row for each, and the message that carries one. Pure.

Spec: m.file and m.image with an `EncryptedFile` (client-server API 11.3).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rabta_bots.cards.wording import say
from rabta_bots.cards.words import N_
from rabta_contract.text import clean_line

NOT_ATTACHED: dict[str, str] = {
    "document-infected": N_("Not attached, it is infected: {name} [{reason}]"),
    "document-changed": N_("Not attached, it is not what e-Office announced: {name} [{reason}]"),
    "document-too-large": N_("Not attached, too large for this room: {name} [{reason}]"),
    "document-type-not-allowed": N_(
        "Not attached, its type is not allowed here: {name} [{reason}]"
    ),
    "class-without-documents": N_("Not attached, no documents of this class: {name} [{reason}]"),
    "document-not-from-eoffice": N_("Not attached, it lies outside e-Office: {name} [{reason}]"),
    "document-not-reachable": N_("See it in e-Office: {name} [{reason}]"),
    "document-missing": N_("Not attached, e-Office does not have it: {name} [{reason}]"),
    "document-not-scanned": N_("Not attached, it could not be scanned: {name} [{reason}]"),
    "scanner-unreachable": N_("Waits for the virus scanner: {name} [{reason}]"),
    "eoffice-unreachable": N_("Waits for e-Office: {name} [{reason}]"),
}

# A card names so many; the rest is counted.
NAMED = 5
LONGEST_NAME = 120
_UNITS = ("B", "KB", "MB", "GB")
_THOUSAND = 1024


@dataclass(frozen=True, slots=True)
class Attachment:
    """A document as the card names it.

    Args:
        name: As e-Office has it.
        size: Bytes.
        reason: Why it is not attached, or None.
    """

    name: str
    size: int
    reason: str | None = None


def attachment_rows(attachments: Sequence[Attachment], language: str) -> Iterator[tuple[str, str]]:
    """Label and value of each document; those that are not attached are always named."""
    shown = sorted(range(len(attachments)), key=lambda place: attachments[place].reason is None)
    named = sorted(shown[:NAMED])
    for place in named:
        attachment = attachments[place]
        name = file_name(attachment.name)
        if attachment.reason is None:
            told = f"{name} ({_size(attachment.size)})"
        else:
            told = say(
                language, NOT_ATTACHED[attachment.reason], name=name, reason=attachment.reason
            )
        yield say(language, N_("Attachment")), told
    if len(attachments) > len(named):
        more = say(language, N_("{count} more"), count=len(attachments) - len(named))
        yield say(language, N_("Attachment")), more


def file_message(
    name: str, media_type: str, size: int, file: dict[str, Any], *, reply_to: str
) -> dict[str, Any]:
    """The message that carries an encrypted document, as a reply to its card; it pings nobody."""
    shown = file_name(name)
    image = media_type in {"image/png", "image/jpeg", "image/gif", "image/webp"}
    return {
        "msgtype": "m.image" if image else "m.file",
        "body": shown,
        "filename": shown,
        "info": {"mimetype": media_type, "size": size},
        "file": file,
        "m.mentions": {},
        "m.relates_to": {"m.in_reply_to": {"event_id": reply_to}},
    }


def file_name(name: str) -> str:
    """A name that is no path and hides nothing: Urdu stays as it is, direction tricks do not.

    A name that is too long keeps its ending, by which people and programs know what it is.
    """
    clean = clean_line(name.replace("/", "_").replace("\\", "_")).lstrip(". ") or "document"
    if len(clean) <= LONGEST_NAME:
        return clean
    stem, dot, ending = clean.rpartition(".")
    if not dot or len(ending) > 10:  # noqa: PLR2004 - no file ending is longer
        return clean[:LONGEST_NAME].rstrip()
    return f"{stem[: LONGEST_NAME - len(ending) - 1]}.{ending}"


def _size(size: int) -> str:
    value, unit = float(size), 0
    while value >= _THOUSAND and unit < len(_UNITS) - 1:
        value, unit = value / _THOUSAND, unit + 1
    return f"{value:.3g} {_UNITS[unit]}"
