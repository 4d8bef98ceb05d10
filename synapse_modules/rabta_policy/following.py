"""What must change in one room for it to follow a policy. Pure: state in, plan out.

A homeserver carries these plans out when a new policy comes, and `rabta policy impact` shows
them before it is signed: both ask here and nowhere else.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from rabta_policy.actions import Action, ActionKind, Room
from rabta_policy.judge import decide
from rabta_policy.known_room import ACL, CREATE, POWER_LEVELS, KnownRoom, server_of
from rabta_policy.label import State
from rabta_policy.policy import Policy
from rabta_policy.residents import servers_allowed_in
from rabta_policy.verdicts import Allowed

FULL_POWER = 100
CREATORS_HAVE_FULL_POWER = frozenset({"12", "org.matrix.hydra.11"})
"""Room versions in which creators stand above every level (MSC4289)."""

_HERE = frozenset({"join", "invite", "knock"})


@dataclass(frozen=True, slots=True)
class Plan:
    """What must change in one room.

    Attributes:
        kick: People of servers that may no longer be there.
        leave: Our own people, where we cannot or need not put others out.
        acl: The servers the ACL must name; None when it names them, or is not ours to write.
        by: The local user with full power who does it, None when there is none.
        waits: The home should put out somebody whom we may not meet; look again soon.
    """

    kick: tuple[str, ...] = ()
    leave: tuple[str, ...] = ()
    acl: frozenset[str] | None = None
    by: str | None = None
    waits: bool = False

    @property
    def changes_nothing(self) -> bool:
        """Whether the room follows the policy already."""
        return not self.kick and not self.leave and self.acl is None


def plan(
    policy: Policy,
    known: KnownRoom,
    state: State,
    *,
    ours: str,
    now: datetime,
    patient: bool = True,
) -> Plan:
    """What a policy asks one homeserver to do in one room.

    Args:
        policy: The policy.
        known: The room, as `know` reads it from the same state by the same policy.
        state: The room's state with every membership and the ACL.
        ours: The server that asks.
        now: The time, with its zone.
        patient: Wait for the home of the room to put out whom we may not meet; False when it
            has had its time, and our people leave instead.

    Returns:
        The home of the room puts out whoever may not be there; in a room of another home, and
        where nobody of ours has the power, our own people leave.
    """
    allowed = servers_allowed_in(policy, known.room, known.home, now)
    people = dict(here(state))
    out = {server_of(user) for user in people} - allowed
    out |= _apart(policy, known, people, out, now)
    local = tuple(sorted(user for user in people if server_of(user) == ours))
    strangers = tuple(sorted(user for user in people if server_of(user) in out))
    if known.home != ours:
        # What is said in a room goes from us straight to every server in it. To one that does
        # not federate the border lets nothing out, and we need not go for its sake.
        unmet = local and any(
            not _may_meet(policy, ours, server, known.room, now)
            for server in out & policy.federating_servers(now)
        )
        leaves = ours in out or (unmet and not patient)
        return Plan(leave=local if leaves else (), waits=bool(unmet) and not leaves)
    by = with_full_power(state, [user for user in local if people[user] == "join"])
    if by is None:
        return Plan(leave=local if strangers else ())
    acl = state.get(ACL)
    named = acl.content.get("allow") if acl else None
    stale = not isinstance(named, list | tuple) or set(named) != allowed
    return Plan(kick=strangers, acl=allowed if stale else None, by=by)


def here(state: State) -> Iterator[tuple[str, str]]:
    """Everybody who is in a room or on the way in: user id and membership."""
    for (event_type, state_key), event in state.items():
        membership = event.content.get("membership")
        if event_type == "m.room.member" and membership in _HERE:
            yield state_key, str(membership)


def _apart(
    policy: Policy, known: KnownRoom, people: dict[str, str], out: set[str], now: datetime
) -> set[str]:
    """Servers that must go because they may not meet one that stays.

    The home stays. Of two others the one with more people in the room stays, then the first by
    name: every server in the room sees the same state and comes to the same answer.
    """
    joined = Counter(server_of(user) for user, stands in people.items() if stands == "join")
    present = {server_of(user) for user in people} - out - {known.home}
    staying: list[str] = []
    going: set[str] = set()
    for server in sorted(present, key=lambda name: (-joined[name], name)):
        if all(_may_meet(policy, server, other, known.room, now) for other in staying):
            staying.append(server)
        else:
            going.add(server)
    return going


def _may_meet(policy: Policy, one: str, other: str, room: Room, now: datetime) -> bool:
    # R2 forbids what is new, not who is there: ask as if the policy were still in force.
    when = now if now < policy.not_after else policy.last_moment
    return any(
        isinstance(decide(policy, Action(kind, origin, destination, room), when), Allowed)
        for kind in (ActionKind.JOIN, ActionKind.INVITE)
        for origin, destination in ((one, other), (other, one))
    )


def with_full_power(state: State, joined: list[str]) -> str | None:
    """A joined local user with full power: a creator, or by level."""
    create = state[CREATE]
    powers = state[POWER_LEVELS].content if POWER_LEVELS in state else {}
    users = powers.get("users") or {}
    creators = (
        {create.sender, *(create.content.get("additional_creators") or ())}
        if create.content.get("room_version") in CREATORS_HAVE_FULL_POWER
        else set()
    )
    by_default = powers.get("users_default", 0)
    for user in joined:
        level = users.get(user, by_default)
        if user in creators or (isinstance(level, int) and level >= FULL_POWER):
            return user
    return None
