"""Which questions a membership raises, in order; the judge must answer each of them with yes.

Pure: rooms and names in, actions out. A question may be right in more than one way: whoever was
invited may come in where the inviting side has the right to invite, though they could not come of
themselves. A room brings all its servers together, so whoever comes in is judged against every
server already there: a ministry that may not meet another meets it nowhere, whoever invited it.
"""

from collections.abc import Iterable, Iterator

from rabta_policy import Action, ActionKind, Room
from rabta_policy.known_room import server_of

Question = tuple[Action, ...]
"""Actions of which one must be allowed."""


def invite(
    inviter: str, invitee: str, room: Room, residents: Iterable[str] = ()
) -> Iterator[Question]:
    """An invite: first of inviter to invitee, then of the invitee's server and who is there."""
    origin, destination = server_of(inviter), server_of(invitee)
    yield (Action(ActionKind.INVITE, origin, destination, room, inviter),)
    for resident in sorted(set(residents) - {origin, destination}):
        yield meeting(invitee, resident, room, invited=True)


def join(
    user_id: str, room: Room, home: str, residents: Iterable[str], *, invited: bool
) -> Iterator[Question]:
    """A join: first of the room's home, then of every other server in the room."""
    yield meeting(user_id, home, room, invited=invited)
    for resident in sorted(set(residents) - {server_of(user_id), home}):
        yield meeting(user_id, resident, room, invited=invited)


def knock(user_id: str, room: Room, home: str, residents: Iterable[str]) -> Iterator[Question]:
    """A knock: of the room's home; then whether it could meet every other server that hears it."""
    yield (Action(ActionKind.KNOCK, server_of(user_id), home, room, user_id),)
    for resident in sorted(set(residents) - {server_of(user_id), home}):
        yield meeting(user_id, resident, room, invited=True)


def meeting(user_id: str, server: str, room: Room, *, invited: bool) -> Question:
    """Whether a newcomer may be together with a server that is in the room."""
    newcomer = server_of(user_id)
    coming = Action(ActionKind.JOIN, newcomer, server, room, user_id)
    if not invited:
        return (coming,)
    return coming, Action(ActionKind.INVITE, server, newcomer, room)
