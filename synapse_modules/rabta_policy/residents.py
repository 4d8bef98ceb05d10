"""Which servers may be in a room: the list behind its `m.room.server_acl`."""

from datetime import datetime

from rabta_policy.actions import Action, ActionKind, Room
from rabta_policy.judge import decide
from rabta_policy.policy import Policy
from rabta_policy.verdicts import Allowed


def servers_allowed_in(policy: Policy, room: Room, home: str, now: datetime) -> frozenset[str]:
    """The servers that may have members in a room.

    Args:
        policy: The policy.
        room: The room's label.
        home: The server of the owning organisation; it is always among them.
        now: The time, with its zone.

    Returns:
        Every server that the home may invite, or that may join of itself. In the days of grace the
        answer is that of the last moment in force, for existing rooms go on; after them, the home
        alone.
        The cost grows with the number of servers.
    """
    if now >= policy.grace_ends:
        return frozenset({home})
    # R2 forbids what is new, not who is there: ask as if the policy were still in force.
    when = now if now < policy.not_after else policy.last_moment
    return frozenset({home}).union(
        name
        for name in policy.federating_servers(now)
        if _may_enter(policy, room, home, name, when)
    )


def _may_enter(policy: Policy, room: Room, home: str, name: str, when: datetime) -> bool:
    ways = (Action(ActionKind.INVITE, home, name, room), Action(ActionKind.JOIN, name, home, room))
    return any(isinstance(decide(policy, way, when), Allowed) for way in ways)
