"""Decides for one room what may be destroyed. Pure: a room, holds and a time in, a value out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rabta_deploy.records.hold import Hold
from rabta_policy import server_of
from rabta_policy.record import RecordCategory


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How many days what is said in a room is kept; None is for ever.

    Attributes:
        categories: By record category; one that is not named is for ever.
        default: Of rooms without a category.
    """

    categories: Mapping[RecordCategory, int | None]
    default: int | None

    def of(self, category: RecordCategory | None, *, by_us: bool) -> timedelta | None:
        """How long, None for ever.

        Args:
            category: Of the room.
            by_us: Whether the room is ours. Another ministry's word lengthens what we keep, and
                never shortens it.
        """
        days = [self.default if category is None else self.categories.get(category)]
        if not by_us:
            days.append(self.default)
        return None if None in days else timedelta(days=max(day for day in days if day))


@dataclass(frozen=True, slots=True)
class RecordRoom:
    """What is known of a room.

    Attributes:
        room_id: Its id.
        category: Its record category.
        people: Everybody with a membership of whatever kind, also who has left or was invited.
        home: The server that made it; None where its state is not known, as it may be of a room
            that everybody left.
    """

    room_id: str
    category: RecordCategory | None
    people: frozenset[str]
    home: str | None


@dataclass(frozen=True, slots=True)
class Purge:
    """What came before `before` may be destroyed."""

    room: RecordRoom
    before: datetime


@dataclass(frozen=True, slots=True)
class Keep:
    """Nothing may be destroyed, for a reason: `on-hold`, `kept-for-ever`, `state-unknown`.

    Attributes:
        holds: Ids of the holds in force.
    """

    room: RecordRoom
    reason: str
    holds: tuple[str, ...] = ()


def decide(
    room: RecordRoom, lifetimes: Lifetimes, holds: Sequence[Hold], bridge: str, now: datetime
) -> Purge | Keep:
    """What may be destroyed in a room.

    Args:
        room: The room.
        lifetimes: How long each category is kept.
        holds: Every hold of the register.
        bridge: User id of the e-Office bridge, on our server. It alone knows which room speaks of
            a file, so a hold on a file holds every room that it is or was in.
        now: The time, with its zone.
    """
    held = tuple(hold.id for hold in holds if hold.in_force(now) and _covers(hold, room, bridge))
    if held:
        return Keep(room, "on-hold", held)
    if room.home is None:
        # Neither its category nor its people can be told.
        return Keep(room, "state-unknown")
    lifetime = lifetimes.of(room.category, by_us=room.home == server_of(bridge))
    if lifetime is None:
        return Keep(room, "kept-for-ever")
    return Purge(room, now - lifetime)


def _covers(hold: Hold, room: RecordRoom, bridge: str) -> bool:
    if hold.kind == "room":
        return hold.subject == room.room_id
    return (hold.subject if hold.kind == "person" else bridge) in room.people


def media_before(
    decisions: Sequence[Purge | Keep], holds: Sequence[Hold], now: datetime
) -> datetime | None:
    """Before when media of our own people may be destroyed; None: none may.

    In encrypted rooms no server sees which file belongs to which room, and a file may be passed
    on to another. So a file goes only when no room of the server could still be keeping it, and
    none while any hold is in force.
    """
    if not decisions or any(hold.in_force(now) for hold in holds):
        return None
    cutoffs = [one.before for one in decisions if isinstance(one, Purge)]
    return min(cutoffs) if len(cutoffs) == len(decisions) else None
