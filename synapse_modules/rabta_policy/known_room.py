"""What is known of a room, read from its state and never from its id.

A room without a label counts as the strictest class that federates; of a floor and a label, the
stricter holds.
"""

from dataclasses import dataclass
from datetime import datetime

from rabta_policy.actions import Room
from rabta_policy.label import ROOM_CLASS, Label, State, labels_in
from rabta_policy.policy import Policy

CREATE = ("m.room.create", "")
POWER_LEVELS = ("m.room.power_levels", "")
ENCRYPTION = ("m.room.encryption", "")
LABEL = (ROOM_CLASS, "")
ACL = ("m.room.server_acl", "")

STATE_NEEDED: tuple[tuple[str, str | None], ...] = (CREATE, LABEL, ENCRYPTION, POWER_LEVELS)
"""The state to fetch where Synapse does not hand it over."""

STATE_WITH_MEMBERS: tuple[tuple[str, str | None], ...] = (*STATE_NEEDED, ("m.room.member", None))
"""The same with every membership, for joins and invites."""


@dataclass(frozen=True, slots=True)
class KnownRoom:
    """A room as the judge needs it.

    Attributes:
        room: Room id, class and owning organisation.
        home: The server that made the room; joins are asked of its organisation first.
        settled: It has power levels; before them it is still being made.
    """

    room: Room
    home: str
    settled: bool


def server_of(user_id: str) -> str:
    """The server name in a user id, after the first colon; "" when there is none."""
    return user_id.partition(":")[2]


def know(room_id: str, state: State, policy: Policy, now: datetime) -> KnownRoom | None:
    """Read a room from its state.

    Returns:
        The room, or None when the state holds no `m.room.create`: we are not in it.
    """
    create = state.get(CREATE)
    if create is None:
        return None
    home = server_of(create.sender)
    room_class = strictest(policy, labels_in(state))
    return KnownRoom(
        Room(room_id, room_class, owner_of(home, policy, now)), home, POWER_LEVELS in state
    )


def owner_of(server: str, policy: Policy, now: datetime) -> str | None:
    """The code of the organisation behind a server, None for a stranger."""
    organisation = policy.organisation_of(server, now)
    return organisation.code if organisation else None


def people_of(owner: str | None, user_ids: object, policy: Policy, now: datetime) -> frozenset[str]:
    """Those of these user ids whose server belongs to the owning organisation."""
    ids = user_ids if isinstance(user_ids, list | tuple | dict) else ()
    return frozenset(
        user_id
        for user_id in ids
        if isinstance(user_id, str)
        and owner is not None
        and owner_of(server_of(user_id), policy, now) == owner
    )


def residents(state: State) -> frozenset[str]:
    """The servers with a joined member."""
    return _servers_with(state, frozenset({"join"}))


def expected(state: State) -> frozenset[str]:
    """The servers with a member who is in the room or was invited to it."""
    return _servers_with(state, frozenset({"join", "invite"}))


def departed(state: State) -> frozenset[str]:
    """The servers whose people were in the room, or invited to it, and are not any more."""
    return _servers_with(state, frozenset({"leave", "ban"})) - expected(state)


def _servers_with(state: State, memberships: frozenset[str]) -> frozenset[str]:
    return frozenset(
        server_of(state_key)
        for (event_type, state_key), event in state.items()
        if event_type == "m.room.member" and event.content.get("membership") in memberships
    )


def strictest(policy: Policy, labels: tuple[Label | None, ...]) -> str:
    """The strictest class these labels name; unlabelled, the strictest that federates.

    A class the policy does not know is stricter than all: the policy allows nothing in it.
    """
    named = [label.room_class for label in labels if label is not None]
    if not named:
        return policy.strictest_federating_class.name
    return max(named, key=lambda name: policy.room_class(name).rank)
