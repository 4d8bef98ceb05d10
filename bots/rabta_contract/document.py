"""A document from chat into a file: the offer that goes before its bytes, and e-Office's answer.

`POST /documents` is `multipart/form-data` with two parts in this order: `offer`, the JSON of a
`DocumentOffer`, over whose raw bytes the webhook headers sign; and `document`, the bytes.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from rabta_contract.answers import CommandReason
from rabta_contract.command import CommandRefusal, Moment, Name, Token
from rabta_contract.faults import ContractError
from rabta_contract.parsing import model_faults
from rabta_contract.text import clean_line
from rabta_contract.wire_json import canonical, read

OFFER_PART, DOCUMENT_PART = "offer", "document"

MediaType = Annotated[str, Field(pattern=r"^[a-z]+/[a-z0-9][a-z0-9.+-]{0,126}$")]


class DocumentOffer(BaseModel):
    """What one officer, in one post, puts on a file from chat.

    `command_id` is the idempotency key; `size` (bytes) and `sha256` (hexadecimal) are of the
    bytes that follow.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    command_id: Token
    file_id: Name
    post_id: Name
    person_id: Name
    matrix_user: Name
    name: Name
    media_type: MediaType
    size: Annotated[int, Field(ge=0, lt=2**40, strict=True)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    time: Moment

    @field_validator("name")
    @classmethod
    def _one_clean_line(cls, value: str) -> str:
        if value != clean_line(value) or "/" in value or "\\" in value:
            raise ValueError("a name is one line without direction controls, and no path")
        return value

    def to_bytes(self) -> bytes:
        """The first part, the same bytes at every retry."""
        return canonical(self.model_dump(mode="json"))


class DocumentResult(BaseModel):
    """What e-Office did: the document is on the file under `doc_id`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    command_id: Token
    doc_id: Name
    file_id: Name
    recorded_at: Moment

    def to_bytes(self) -> bytes:
        """The answer's body."""
        return canonical(self.model_dump(mode="json"))


def parse_offer(raw: bytes) -> DocumentOffer:
    """Read an offer.

    Raises:
        ContractError: `malformed`, with every fault and its path.
    """
    document = read(raw, CommandReason.MALFORMED)
    try:
        return DocumentOffer.model_validate(document)
    except ValidationError as error:
        raise ContractError(CommandReason.MALFORMED, model_faults(error)) from None


def parse_document_answer(status: int, raw: bytes) -> DocumentResult | CommandRefusal | None:
    """Read e-Office's answer to an offer; None when nothing is known, as `parse_answer`."""
    try:
        document: Any = read(raw, CommandReason.MALFORMED)
        if status == 200:  # noqa: PLR2004 - the one status of success
            return DocumentResult.model_validate(document)
        refusal = CommandRefusal(CommandReason(document["reason"]), str(document["detail"]))
    except (ContractError, ValidationError, ValueError, KeyError, TypeError):
        return None
    return refusal if refusal.status == status else None
