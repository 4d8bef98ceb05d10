"""A document's way through the workflow, as values read from Mayan's answers."""

import json
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from rabta_bots.mayan.rest import Mayan, MayanError

COMMAND = "rabta_command"
"""Under which name a transition from chat carries its command's id (`extra_data`)."""

M = TypeVar("M", bound=BaseModel)
Number = Annotated[int, Field(ge=1, lt=2**31)]


class State(BaseModel):
    """A state of the workflow."""

    id: Number
    label: str


class Transition(BaseModel):
    """A transition of the workflow."""

    id: Number
    label: str
    origin_state: State
    destination_state: State


class User(BaseModel):
    """Who acted."""

    id: Number
    username: str


class LogEntry(BaseModel):
    """One step of a document; the first of all is no transition."""

    id: Number
    datetime: AwareDatetime
    comment: str | None = None
    extra_data: str | None = None
    transition: Transition | None = None
    user: User | None = None

    @property
    def command_id(self) -> str | None:
        """The command from chat that made it."""
        try:
            told = json.loads(self.extra_data or "{}")
        except (ValueError, RecursionError):
            return None
        found = told.get(COMMAND) if isinstance(told, dict) else None
        return found if isinstance(found, str) else None


@dataclass(frozen=True, slots=True)
class Step:
    """A transition that was made, and its number among those of the document: the movement."""

    number: int
    entry: LogEntry
    transition: Transition


@dataclass(frozen=True, slots=True)
class Paper:
    """A document in the workflow, with its steps in their order."""

    document: int
    instance: int
    label: str
    steps: tuple[Step, ...]


async def read_paper(mayan: Mayan, token: str, document: int, workflow: int) -> Paper:
    """Read a document and its steps.

    Raises:
        MayanError: `mayan-unknown`: no such document for this token, or not in the workflow.
    """
    told = await mayan.get(token, f"documents/{document}/")
    instance = await instance_of(mayan, token, document, workflow)
    path = f"documents/{document}/workflow_instances/{instance}/log_entries/"
    entries = [_parsed(LogEntry, item) async for item in mayan.pages(token, path)]
    made = [
        (entry, entry.transition)
        for entry in sorted(entries, key=lambda entry: entry.id)
        if entry.transition is not None
    ]
    label = told.get("label")
    if not isinstance(label, str):
        raise MayanError("mayan-malformed")
    steps = tuple(
        Step(number, entry, transition) for number, (entry, transition) in enumerate(made, start=1)
    )
    return Paper(document, instance, label, steps)


async def instance_of(mayan: Mayan, token: str, document: int, workflow: int) -> int:
    """The id of the document's run through the workflow.

    Raises:
        MayanError: `mayan-unknown`: it has none, or this token may not see it.
    """
    async for item in mayan.pages(token, f"documents/{document}/workflow_instances/"):
        template = item.get("workflow_template")
        if isinstance(template, dict) and template.get("id") == workflow:
            return _parsed(_Numbered, item).id
    raise MayanError("mayan-unknown")


async def open_to(mayan: Mayan, token: str, paper: Paper) -> list[Transition]:
    """The transitions that the token's owner may make now: Mayan's ACL decides."""
    path = f"documents/{paper.document}/workflow_instances/{paper.instance}/log_entries/"
    return [_parsed(Transition, item) async for item in mayan.pages(token, f"{path}transitions/")]


class _Numbered(BaseModel):
    id: Number


def _parsed(model: type[M], item: Any) -> M:
    try:
        return model.model_validate(item)
    except ValidationError as error:
        raise MayanError("mayan-malformed") from error
