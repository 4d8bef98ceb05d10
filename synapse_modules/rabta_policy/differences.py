"""What a new policy opens and closes: between whom, for which acts, up to which class."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import product

from rabta_policy.actions import Action, ActionKind, Room
from rabta_policy.judge import decide
from rabta_policy.policy import Policy
from rabta_policy.rights import parties, relation
from rabta_policy.seats import Seat
from rabta_policy.verdicts import Allowed

Reach = frozenset[tuple[ActionKind, str]]
"""What one server may do to another: each action with each class it is allowed in."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What changes from one organisation to others.

    Attributes:
        origin: The server that acts.
        destinations: The servers acted on, in order.
        opened: Action and class, newly allowed.
        closed: Action and class, allowed no more.
        room: The one room it is about; None for every room.
    """

    origin: str
    destinations: tuple[str, ...]
    opened: Reach
    closed: Reach
    room: str | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """The difference between two policies at one moment.

    Attributes:
        joined: Servers that may federate and could not before.
        left: Servers that may federate no more.
        turns: What changes between servers.
        classes: Class rules that changed, as `restricted.federation: listed -> none`.
    """

    joined: tuple[str, ...]
    left: tuple[str, ...]
    turns: tuple[Turn, ...]
    classes: tuple[str, ...]

    @property
    def nothing(self) -> bool:
        """Whether the two policies say the same at that moment."""
        return not (self.joined or self.left or self.turns or self.classes)


def difference(old: Policy, new: Policy, now: datetime) -> Difference:
    """Compare two policies at one moment, pair by pair.

    The cost grows with the square of the number of servers; pairs that stand alike are judged once.
    """
    before, after = old.federating_servers(now), new.federating_servers(now)
    return Difference(
        joined=tuple(sorted(after - before)),
        left=tuple(sorted(before - after)),
        turns=tuple(_turns(old, new, now)),
        classes=tuple(_class_changes(old, new)),
    )


class _View:
    """What one policy allows between servers at one moment; pairs that stand alike are kept."""

    def __init__(self, policy: Policy, now: datetime) -> None:
        self._policy = policy
        self._now = now
        self._alike: dict[object, Reach] = {}
        self._named = parties(policy.permit_rights)

    def named_in(self, room: str) -> set[str]:
        """The servers that the permits of a room name."""
        table = self._policy.room_permit_rights.get(room, {})
        named = parties(table)
        return {
            name
            for name in self._policy.server_names
            if (seat := self._policy.seat_of_server(name, self._now)) is not None
            and not named.isdisjoint(seat.parties)
        }

    def reach(self, origin: str, destination: str, room: str | None = None) -> Reach:
        one = self._policy.seat_of_server(origin, self._now)
        other = self._policy.seat_of_server(destination, self._now)
        if one is None or other is None or room is not None:
            return self._judge(origin, destination, room)
        stands = (
            origin == destination,
            relation(one, other),
            self._likeness(one),
            self._likeness(other),
        )
        if stands not in self._alike:
            self._alike[stands] = self._judge(origin, destination, room)
        return self._alike[stands]

    def _likeness(self, seat: Seat) -> tuple[int, bool, frozenset[str]]:
        return seat.rank, bool(seat.barred), frozenset(self._named.intersection(seat.parties))

    def _judge(self, origin: str, destination: str, room: str | None) -> Reach:
        return frozenset(
            (kind, one.name)
            for kind in ActionKind
            for one in self._policy.room_classes
            if isinstance(
                decide(
                    self._policy,
                    Action(kind, origin, destination, Room(room, one.name)),
                    self._now,
                ),
                Allowed,
            )
        )


def _turns(old: Policy, new: Policy, now: datetime) -> Iterator[Turn]:
    before, after = _View(old, now), _View(new, now)
    servers = sorted(old.server_names | new.server_names)
    alike: dict[tuple[str, Reach, Reach, str | None], list[str]] = defaultdict(list)
    general: dict[tuple[str, str], tuple[Reach, Reach]] = {}
    for origin, destination in product(servers, servers):
        was, will = before.reach(origin, destination), after.reach(origin, destination)
        general[origin, destination] = change = (will - was, was - will)
        if was != will:
            alike[origin, *change, None].append(destination)
    for room in sorted({*old.room_permit_rights, *new.room_permit_rights}):
        inside = sorted(before.named_in(room) | after.named_in(room))
        for origin, destination in product(inside, inside):
            was = before.reach(origin, destination, room)
            will = after.reach(origin, destination, room)
            change = (will - was, was - will)
            if was != will and change != general[origin, destination]:
                alike[origin, *change, room].append(destination)
    for (origin, opened, closed, where), destinations in alike.items():
        yield Turn(origin, tuple(destinations), opened, closed, where)


def _class_changes(old: Policy, new: Policy) -> Iterator[str]:
    for was, will in zip(old.room_classes, new.room_classes, strict=True):
        before, after = was.model_dump(mode="json"), will.model_dump(mode="json")
        for field, value in before.items():
            if after[field] != value:
                yield f"{was.name}.{field}: {value} -> {after[field]}"
