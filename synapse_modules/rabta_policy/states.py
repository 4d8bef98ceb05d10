"""What an organisation is at a given moment: its entry with every change up to then."""

from dataclasses import dataclass, replace
from datetime import datetime
from sys import intern

from rabta_policy.registry import Change, OrganisationEntry


@dataclass(frozen=True, slots=True)
class Organisation:
    """An organisation as it stands at one moment.

    Attributes:
        code: Its code in the registry.
        kind, parent, name, name_ur, phase, status, ceiling: As in the policy document.
        successors: Who follows it, once retired.
        server_name: Its own server; None where it has none.
    """

    code: str
    kind: str
    parent: str | None
    name: str
    name_ur: str
    phase: str
    status: str
    ceiling: str
    successors: tuple[str, ...]
    server_name: str | None


def states(entry: OrganisationEntry) -> list[tuple[datetime, Organisation]]:
    """Every state of an organisation with the moment it begins, in order."""
    state = Organisation(
        code=intern(entry.code),
        kind=entry.kind,
        parent=intern(entry.parent) if entry.parent else None,
        name=entry.name,
        name_ur=entry.name_ur,
        phase=entry.phase,
        status=entry.status,
        ceiling=entry.ceiling,
        successors=entry.successors,
        server_name=entry.server.name if entry.server else None,
    )
    found = [(entry.from_, state)]
    for change in entry.changes:
        state = _changed(state, change)
        found.append((change.from_, state))
    return found


def _changed(state: Organisation, change: Change) -> Organisation:
    written = change.model_fields_set
    new = {
        field: getattr(change, field)
        for field in ("kind", "name", "name_ur", "phase", "status", "ceiling")
        if getattr(change, field) is not None
    }
    if "parent" in written:
        new["parent"] = intern(change.parent) if change.parent else None
    if "successors" in written:
        new["successors"] = change.successors
    elif new.get("status", "retired") != "retired":
        # An organisation that is revived has no successor any more.
        new["successors"] = ()
    return replace(state, **new)


def state_at(entry: OrganisationEntry, when: datetime) -> Organisation | None:
    """The state at a moment; None before the organisation's first."""
    found = None
    for start, state in states(entry):
        if start <= when:
            found = state
    return found
