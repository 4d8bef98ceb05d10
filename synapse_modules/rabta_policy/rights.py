"""Relations and permits made ready: who may do what to whom, for a few dict look-ups."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from heapq import heappop, heappush
from sys import intern
from typing import Protocol

from rabta_policy.actions import ActionKind
from rabta_policy.classes import ROOM_CLASSES
from rabta_policy.permits import Permit, Relations, Right
from rabta_policy.registry import DIVISION_KINDS
from rabta_policy.timeline import Timeline
from rabta_policy.verdicts import Allowed, Grant

RANK = {name: rank for rank, name in enumerate(ROOM_CLASSES)}


@dataclass(frozen=True, slots=True)
class Leave:
    """A right to do one action up to one class.

    Attributes:
        rank: The highest class, as its place in the order.
        verdict: The answer when it covers the act; made once.
    """

    rank: int
    verdict: Allowed


RelationRights = Mapping[str, Mapping[ActionKind, Leave]]
"""By relation seen from the origin, then by action."""

PermitRights = Mapping[ActionKind, Mapping[tuple[str, str], Timeline[Leave]]]
"""By action, then by the two parties (codes or groups); what is in force at a moment."""


class Related(Protocol):
    """What says how one organisation stands to another: `Organisation` and `Seat` have it."""

    @property
    def code(self) -> str:
        """Its code in the registry."""

    @property
    def parent(self) -> str | None:
        """The code of the one it is under."""

    @property
    def kind(self) -> str:
        """What sort of organisation it is."""


def relation(origin: Related, destination: Related) -> str:
    """How the origin stands to the destination. The closest relation counts.

    Returns:
        `same`, `parent-to-child`, `child-to-parent`, `siblings`, `division-division` or `other`.
    """
    if origin.code == destination.code:
        return "same"
    if destination.parent == origin.code:
        return "parent-to-child"
    if origin.parent == destination.code:
        return "child-to-parent"
    if origin.parent is not None and origin.parent == destination.parent:
        return "siblings"
    if origin.kind in DIVISION_KINDS and destination.kind in DIVISION_KINDS:
        return "division-division"
    return "other"


def relation_rights(relations: Relations) -> RelationRights:
    """What each relation allows, by action."""
    rights = {
        "same": relations.same,
        "parent-to-child": relations.parent_child.downward,
        "child-to-parent": relations.parent_child.upward,
        "siblings": relations.siblings,
        "division-division": relations.division_division,
        "other": relations.other,
    }
    return {name: _by_action(name, right) for name, right in rights.items()}


def _by_action(name: str, right: Right) -> dict[ActionKind, Leave]:
    text = f"The relation '{name}' allows it, up to {right.max_class}."
    leave = Leave(RANK[right.max_class], Allowed(Grant(rule="R11", text=text, ref=name)))
    return dict.fromkeys(right.actions, leave)


def permit_rights(permits: Iterable[Permit]) -> PermitRights:
    """The permits by action and pair of parties."""
    pairs: dict[tuple[str, str], list[Permit]] = defaultdict(list)
    for permit in permits:
        # One string for one name: then a look-up compares addresses, and reads no letters.
        origin, destination = intern(permit.origin), intern(permit.destination)
        pairs[origin, destination].append(permit)
        if permit.direction == "both" and origin != destination:
            pairs[destination, origin].append(permit)
    rights: dict[ActionKind, dict[tuple[str, str], Timeline[Leave]]] = defaultdict(dict)
    for pair, found in pairs.items():
        for action, timeline in _timelines(found).items():
            rights[action][pair] = timeline
    return dict(rights)


def parties(table: PermitRights) -> set[str]:
    """Every party that a permit of the table names."""
    return {party for by_pair in table.values() for pair in by_pair for party in pair}


def _timelines(permits: list[Permit]) -> dict[ActionKind, Timeline[Leave]]:
    if len(permits) == 1:
        only = permits[0]
        steps = [(only.from_, _leave(only)), (only.until, None)]
        return dict.fromkeys(only.actions, Timeline(steps))
    by_action: dict[ActionKind, list[Permit]] = defaultdict(list)
    for permit in permits:
        for action in permit.actions:
            by_action[action].append(permit)
    return {action: _best(found) for action, found in by_action.items()}


def _best(permits: list[Permit]) -> Timeline[Leave]:
    # At each moment the permit with the highest class counts; of equals, the first written.
    waiting = sorted(enumerate(permits), key=lambda pair: (pair[1].from_, pair[0]))
    moments = sorted({moment for permit in permits for moment in (permit.from_, permit.until)})
    running: list[tuple[int, int, datetime, Leave]] = []
    steps: list[tuple[datetime, Leave | None]] = []
    at = 0
    for moment in moments:
        while at < len(waiting) and waiting[at][1].from_ <= moment:
            place, permit = waiting[at]
            leave = _leave(permit)
            heappush(running, (-leave.rank, place, permit.until, leave))
            at += 1
        while running and running[0][2] <= moment:
            heappop(running)
        steps.append((moment, running[0][3] if running else None))
    return Timeline(steps)


def _leave(permit: Permit) -> Leave:
    until = permit.until.isoformat()
    text = f"Permit {permit.order} allows it, up to {permit.max_class}, until {until}."
    return Leave(RANK[permit.max_class], Allowed(Grant(rule="R12", text=text, ref=permit.order)))
