"""The policy document: one for the whole network, whole or refused with every fault it has."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rabta_policy.classes import RoomClasses
from rabta_policy.coherence import Sections, incoherences
from rabta_policy.faults import Fault, PolicyError
from rabta_policy.moments import Moment, Span
from rabta_policy.permits import Groups, Permit, Relations
from rabta_policy.reading import Path, Plain, read_text, spell
from rabta_policy.registry import Certificates, OrganisationEntry, PhaseName


class Phase(BaseModel):
    """When the organisations of a phase may federate."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    opens: Moment
    closes: Moment | None = None


class PolicyDocument(BaseModel):
    """The whole policy of a network, as it is written and signed."""

    model_config = ConfigDict(extra="forbid", frozen=True, title="Rabta policy")

    format: Literal[1] = 1
    network: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,99}$", examples=["rabta.test"])]
    serial: int = Field(ge=1, le=2**53 - 1, strict=True, description="rises with every issue")
    issued_at: Moment
    not_after: Moment = Field(description="until when it is in force")
    grace: Span = Field(description="how long after `not_after` existing rooms go on")
    tls_ca: Certificates | None = Field(
        default=None, description="the network's CA, for every server without one of its own"
    )
    phases: dict[PhaseName, Phase]
    classes: RoomClasses
    relations: Relations
    organisations: tuple[OrganisationEntry, ...] = Field(min_length=1)
    groups: Groups = Field(default_factory=dict)
    permits: tuple[Permit, ...] = ()


def load_document(text: str) -> Plain:
    """Read a policy's YAML or JSON text into plain values, without judging them.

    For whoever fills in a template (`fill_servers`, `reissue`) and signs it (`sign_document`).

    Raises:
        PolicyError: `policy-malformed`, with duplicate keys, aliases and syntax errors.
    """
    return read_text(text)[0]


def parse_document(
    plain: Mapping[str, Any], lines: Mapping[Path, int] | None = None
) -> PolicyDocument:
    """Turn plain values into a document that holds together.

    Args:
        plain: The document without its signatures.
        lines: The line of each path, for the faults.

    Raises:
        PolicyError: `policy-malformed`, with every fault.
    """
    faults: list[Fault] = []
    document: PolicyDocument | None = None
    try:
        document = PolicyDocument.model_validate(dict(plain))
    except ValidationError as error:
        faults += (_fault(dict(item)) for item in error.errors(include_url=False))
    faults += incoherences(_sections(plain, document))
    if faults or document is None:
        raise PolicyError(_with_lines(faults, lines or {}))
    return document


def _sections(plain: Mapping[str, Any], document: PolicyDocument | None) -> Sections:
    # What can be read of each part, so that one bad entry does not hide the faults of the others.
    def entries(key: str, model: type[BaseModel]) -> list[tuple[int, Any]]:
        found = plain.get(key)
        if not isinstance(found, list | tuple):
            return []
        return [
            (at, one) for at, item in enumerate(found) if (one := _try(model, item)) is not None
        ]

    if document is not None:
        return Sections(
            head=document,
            phases={str(name): phase for name, phase in document.phases.items()},
            classes=document.classes,
            organisations=list(enumerate(document.organisations)),
            known_codes={entry.code for entry in document.organisations},
            groups=document.groups,
            permits=list(enumerate(document.permits)),
        )
    raw = plain.get("organisations")
    codes = {
        item["code"]
        for item in (raw if isinstance(raw, list) else [])
        if isinstance(item, dict) and isinstance(item.get("code"), str)
    }
    groups = plain.get("groups")
    return Sections(
        head=None,
        phases=_phases(plain.get("phases")),
        classes=_try(RoomClasses, plain.get("classes")),
        organisations=entries("organisations", OrganisationEntry),
        known_codes=codes,
        groups={
            name: tuple(member for member in members if isinstance(member, str))
            for name, members in (groups if isinstance(groups, dict) else {}).items()
            if isinstance(members, list)
        },
        permits=entries("permits", Permit),
    )


def _phases(raw: Any) -> dict[str, Phase]:
    found = {
        name: _try(Phase, item) for name, item in (raw if isinstance(raw, dict) else {}).items()
    }
    return {str(name): phase for name, phase in found.items() if phase is not None}


def _try(model: type[BaseModel], value: Any) -> Any:
    try:
        return model.model_validate(value)
    except ValidationError:
        return None


_CURES = {
    "extra_forbidden": "Take it out, or mend its spelling; the schema lists what is allowed.",
    "missing": "Write it; it has no default.",
    "string_pattern_mismatch": "Write it as the schema shows.",
    "literal_error": "Choose one of the words named.",
    "enum": "Choose one of the words named.",
    "value_error": "Write it as shown.",
    "string_type": "Write text; put quotes round a number that is meant as text.",
    "int_type": "Write a whole number without quotes.",
    "bool_type": "Write true or false.",
    "bool_parsing": "Write true or false.",
}


def _fault(item: dict[str, Any]) -> Fault:
    path: Path = tuple(part for part in item["loc"] if part != "[key]")
    message = str(item["msg"]).removeprefix("Value error, ").rstrip(".")
    if item["type"] == "extra_forbidden":
        message = "is not known"
        if path[:1] == ("classes",):
            message += ": rooms have three classes, and secret and above never live in a room"
    elif item["type"] == "missing":
        message = "is missing"
    cure = _CURES.get(item["type"], "See docs/reference/policy-document.md.")
    return Fault(spell(path), f"{message}.", cure)


def _with_lines(faults: list[Fault], lines: Mapping[Path, int]) -> list[Fault]:
    by_spelling = {spell(path): line for path, line in lines.items()}

    def line_of(path: str) -> int | None:
        while path not in by_spelling and path:
            cut = max(path.rfind("."), path.rfind("["))
            path = path[:cut] if cut > 0 else ""
        return by_spelling.get(path)

    return [Fault(f.path, f.message, f.cure, line_of(f.path)) for f in faults]
