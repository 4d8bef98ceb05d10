"""A command from chat to e-Office, what e-Office did on it, and why it did not."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from rabta_contract.answers import CommandReason, command_status
from rabta_contract.faults import ContractError
from rabta_contract.parsing import exists_in_utc, model_faults
from rabta_contract.vocabulary import CommandOutcome, CommandVerb
from rabta_contract.wire_json import canonical, read

IDEMPOTENCY_KEY_HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotent-Replayed"

# Letters of ids travel in headers and paths: no spaces, no line feeds, no slashes.
Token = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:~-]{1,128}$")]
Name = Annotated[str, Field(min_length=1, max_length=255)]


def _written_moment(value: Any) -> Any:
    """Take times in words only (RFC 3339), and only those that UTC knows."""
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not exists_in_utc(value):
        raise ValueError("is not an RFC 3339 date and time")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_written_moment)]


class Command(BaseModel):
    """What one officer, in one post, asks e-Office to do with a file at one movement.

    `command_id` is the idempotency key; `event_id` names the event of the card;
    `movement_no` is the movement that the card showed, an optimistic lock.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    command_id: Token
    command: CommandVerb
    event_id: Name
    file_id: Name
    movement_no: Annotated[int, Field(ge=1, lt=2**31, strict=True)]
    post_id: Name
    person_id: Name
    matrix_user: Name
    to_post: Name | None = None
    remarks: Annotated[str, Field(max_length=2000)] | None = None
    time: Moment

    @model_validator(mode="after")
    def _forward_names_a_post(self) -> Self:
        if (self.command is CommandVerb.FORWARD) != (self.to_post is not None):
            raise ValueError("to_post goes with forward, and with nothing else")
        return self

    def to_bytes(self) -> bytes:
        """The request body, the same bytes at every retry."""
        return canonical(self.model_dump(mode="json", exclude_none=True))


class CommandResult(BaseModel):
    """What e-Office did. `note_para` and `movement_no` where the command changed them."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    command_id: Token
    outcome: CommandOutcome
    file_id: Name
    note_para: int | None = None
    movement_no: int | None = None
    recorded_at: Moment

    def to_bytes(self) -> bytes:
        """The answer's body."""
        return canonical(self.model_dump(mode="json", exclude_none=True))


@dataclass(frozen=True, slots=True)
class CommandRefusal:
    """Why e-Office did nothing: a stable reason and one line without content."""

    reason: CommandReason
    detail: str

    @property
    def status(self) -> int:
        """The HTTP status of the contract."""
        return command_status(self.reason)

    def to_bytes(self) -> bytes:
        """The answer's body."""
        return error_body(self.reason, self.detail)


def parse_command(raw: bytes) -> Command:
    """Read a command.

    Raises:
        ContractError: `malformed`, with every fault and its path.
    """
    document = read(raw, CommandReason.MALFORMED)
    try:
        return Command.model_validate(document)
    except ValidationError as error:
        raise ContractError(CommandReason.MALFORMED, model_faults(error)) from None


def parse_answer(status: int, raw: bytes) -> CommandResult | CommandRefusal | None:
    """Read e-Office's answer to a command.

    Returns:
        The result on 200, the refusal on a status and reason of the contract's table, and
        None for anything else (a proxy's page, a 5xx): nothing is known, so try again.
    """
    try:
        document: Any = read(raw, CommandReason.MALFORMED)
        if status == 200:  # noqa: PLR2004 - the one status of success
            return CommandResult.model_validate(document)
        refusal = CommandRefusal(CommandReason(document["reason"]), str(document["detail"]))
    except (ContractError, ValidationError, ValueError, KeyError, TypeError):
        return None
    return refusal if refusal.status == status else None


def error_body(reason: str, detail: str) -> bytes:
    """The body of every refusal of both sides: a stable reason, one line without content."""
    return canonical({"reason": str(reason), "detail": detail})
