"""Decides who belongs in a room of several posts. Pure."""

from collections.abc import Callable, Collection, Sequence

from rabta_bots.addresses import Address, RoomKind
from rabta_bots.officers import Officer, Roll


def posts_for(address: Address, named: Collection[str], roll: Roll) -> Sequence[str]:
    """The posts that a room is for.

    Args:
        address: The room.
        named: The posts that the room names itself (a case, two divisions, a list).
        roll: Who holds what now.
    """
    match address.kind:
        case RoomKind.SECTION:
            return roll.sections.get(address.about, ())
        case RoomKind.POST:
            return (address.about,)
        case RoomKind.ANNOUNCEMENTS if address.about in roll.organisations:
            return roll.organisations[address.about]
        case RoomKind.ANNOUNCEMENTS if address.about in roll.sections:
            return roll.sections[address.about]
        case _:
            return sorted(named)


def who_belongs(
    address: Address,
    named: Collection[str],
    roll: Roll,
    may_enter: Callable[[Officer, Address], bool],
) -> dict[str, Officer]:
    """The officers who belong in the room, by Matrix user: whoever holds one of its posts now."""
    found = {}
    for post_id in posts_for(address, named, roll):
        held = roll.holders.get(post_id)
        if held is not None and may_enter(held[1], address):
            found[held[1].user_id] = held[1]
    return found
