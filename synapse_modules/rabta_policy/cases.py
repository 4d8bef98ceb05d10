"""A table of cases: questions to a policy with the answers an officer expects."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rabta_policy.actions import Action, ActionKind, Room
from rabta_policy.explanation import Explanation, explain
from rabta_policy.faults import Fault, PolicyError
from rabta_policy.moments import Moment
from rabta_policy.policy import Policy
from rabta_policy.reading import read_yaml, spell
from rabta_policy.reasons import ReasonCode
from rabta_policy.verdicts import Allowed


class CaseRoom(BaseModel):
    """The room of a case."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    room_class: str = Field(alias="class")
    owner: str | None = None
    id: str | None = None


class Case(BaseModel):
    """One question and its expected answer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="the case as a sentence")
    at: Moment
    origin: str = Field(description="an organisation's code or a server name")
    action: ActionKind
    destination: str = Field(description="an organisation's code or a server name")
    room: CaseRoom | None = None
    actor: str | None = None
    expect: Literal["allowed", "denied"]
    grant: Annotated[str, Field(pattern=r"^R[0-9]+( .+)?$")] | None = Field(
        default=None, description="the rule it is allowed by, with its reference if it matters"
    )
    reasons: tuple[ReasonCode, ...] = Field(
        default=(), description="why it is denied: every code, in any order"
    )


class _CaseFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    policy: str | None = Field(default=None, description="the policy's file, beside this one")
    cases: tuple[Case, ...] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Cases:
    """A table of cases, and the policy file it is meant for."""

    policy: str | None
    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True)
class Trial:
    """A case put to a policy.

    Attributes:
        case: The question.
        explanation: The answer.
        got: The answer in a word or two, as the table would write it.
        as_expected: Whether it is the one expected.
    """

    case: Case
    explanation: Explanation
    got: str
    as_expected: bool


def parse_cases(text: str) -> Cases:
    """Read a table of cases.

    Raises:
        PolicyError: `cases-malformed`, with every fault.
    """
    plain, lines = read_yaml(text)
    try:
        found = _CaseFile.model_validate(plain)
    except ValidationError as error:
        raise PolicyError(
            (
                Fault(
                    spell(item["loc"]),
                    f"{item['msg']}.",
                    "See docs/how-to/explain-a-decision.md.",
                    lines.get(tuple(item["loc"])),
                )
                for item in error.errors(include_url=False)
            ),
            "cases-malformed",
        ) from None
    return Cases(found.policy, found.cases)


def action_of(
    policy: Policy,
    kind: ActionKind,
    parties: tuple[str, str],
    room: Room | None = None,
    actor: str | None = None,
) -> Action:
    """An action between two parties, each given as an organisation's code or a server name."""
    origin, destination = (policy.server_of(party) or party for party in parties)
    return Action(kind, origin, destination, room, actor)


def put(policy: Policy, case: Case) -> Trial:
    """Put one case to a policy."""
    room = None
    if case.room is not None:
        room = Room(case.room.id, case.room.room_class, case.room.owner)
    parties = (case.origin, case.destination)
    action = action_of(policy, case.action, parties, room, case.actor)
    explanation = explain(policy, action, case.at)
    verdict = explanation.verdict
    if isinstance(verdict, Allowed):
        got = f"allowed {verdict.grant.rule} {verdict.grant.ref}"
        wanted = case.grant or verdict.grant.rule
        fits = wanted in {verdict.grant.rule, f"{verdict.grant.rule} {verdict.grant.ref}"}
        return Trial(case, explanation, got, case.expect == "allowed" and fits)
    codes = {reason.code for reason in verdict.reasons}
    got = "denied " + ", ".join(sorted(codes))
    fits = not case.reasons or set(case.reasons) == codes
    return Trial(case, explanation, got, case.expect == "denied" and fits)
