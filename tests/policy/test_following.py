"""What a room must change to follow a policy: who is put out, who leaves, what the ACL names."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from synapse.api.room_versions import KNOWN_ROOM_VERSIONS

from rabta_policy import Plan, Policy, know, plan, server_of
from rabta_policy.following import CREATORS_HAVE_FULL_POWER

MARCH = datetime(2026, 3, 15, tzinfo=UTC)
ITT, FIN, LAW, NITB, CERT = (f"{code}.gov.test" for code in ("itt", "fin", "law", "nitb", "cert"))
CHAIR = f"@chair:{ITT}"
CLASSES = ("unclassified", "restricted", "confidential")


@dataclass(frozen=True)
class Event:
    """What is read of a state event."""

    sender: str
    content: Mapping[str, Any]


State = dict[tuple[str, str], Event]


def room(
    people: Mapping[str, str],
    *,
    creator: str = CHAIR,
    room_class: str | None = "restricted",
    version: str = "11",
    acl: tuple[str, ...] | None = None,
) -> State:
    """A room's state: user id -> membership."""
    label = {"org.rabta.room.class": {"class": room_class}} if room_class else {}
    powers = {} if version == "12" else {creator: 100}
    state = {
        ("m.room.create", ""): Event(creator, {"room_version": version, **label}),
        ("m.room.power_levels", ""): Event(creator, {"users": powers}),
    }
    state |= {
        ("m.room.member", who): Event(who, {"membership": how}) for who, how in people.items()
    }
    if acl is not None:
        state[("m.room.server_acl", "")] = Event(creator, {"allow": list(acl)})
    return state


def planned(policy: Policy, state: State, ours: str = ITT, *, patient: bool = True) -> Plan:
    known = know("!r", state, policy, MARCH)
    assert known is not None
    return plan(policy, known, state, ours=ours, now=MARCH, patient=patient)


# In the small network ITT may be in a restricted room with FIN, NITB and CERT; FIN with ITT alone;
# LAW with nobody above unclassified.


@pytest.mark.parametrize("version", ["11", "12"])
def test_the_home_puts_out_whoever_may_not_be_there_and_takes_their_invites_back(
    small: Policy, version: str
) -> None:
    people = {
        CHAIR: "join",
        f"@a:{FIN}": "join",
        f"@b:{LAW}": "join",
        f"@c:{LAW}": "invite",
        f"@d:{LAW}": "leave",
    }
    todo = planned(small, room(people, version=version))
    assert todo.kick == (f"@b:{LAW}", f"@c:{LAW}")
    assert (todo.leave, todo.by) == ((), CHAIR)
    assert todo.acl == {ITT, FIN, NITB, CERT}


def test_a_room_that_follows_already_is_left_alone(small: Policy) -> None:
    people = {CHAIR: "join", f"@a:{FIN}": "join"}
    todo = planned(small, room(people, acl=(ITT, FIN, NITB, CERT)))
    assert todo.changes_nothing


def test_our_people_leave_a_room_whose_home_we_may_not_meet(small: Policy) -> None:
    people = {f"@chair:{FIN}": "join", f"@b:{LAW}": "join", f"@c:{LAW}": "invite", CHAIR: "join"}
    state = room(people, creator=f"@chair:{FIN}")
    assert planned(small, state, ours=LAW) == Plan(leave=(f"@b:{LAW}", f"@c:{LAW}"))
    assert planned(small, state, ours=ITT).changes_nothing


def test_our_people_leave_where_nobody_of_ours_has_the_power_to_put_others_out(
    small: Policy,
) -> None:
    people = {CHAIR: "leave", f"@a:{ITT}": "join", f"@b:{LAW}": "join"}
    assert planned(small, room(people)) == Plan(leave=(f"@a:{ITT}",))


def test_of_two_guests_who_may_not_meet_the_one_with_fewer_people_goes(small: Policy) -> None:
    people = {
        CHAIR: "join",
        f"@a:{FIN}": "join",
        f"@b:{NITB}": "join",
        f"@c:{NITB}": "join",
        f"@d:{FIN}": "invite",
    }
    state = room(people)
    assert planned(small, state).kick == (f"@a:{FIN}", f"@d:{FIN}")
    # The guests come to the same answer by themselves.
    assert planned(small, state, ours=FIN).leave == (f"@a:{FIN}", f"@d:{FIN}")
    assert planned(small, state, ours=NITB) == Plan(waits=True)


def test_our_people_leave_when_the_home_does_not_put_out_whom_we_may_not_meet(
    small: Policy, network: Callable[[], dict[str, Any]], compiled: Callable[..., Policy]
) -> None:
    people = {CHAIR: "join", f"@a:{FIN}": "join", f"@b:{NITB}": "join", f"@c:{NITB}": "join"}
    todo = planned(small, room(people), ours=NITB, patient=False)
    assert todo == Plan(leave=(f"@b:{NITB}", f"@c:{NITB}"))
    # The border lets nothing out to a suspended ministry: its presence drives nobody out.
    plain = network()
    next(one for one in plain["organisations"] if one["code"] == "FIN")["status"] = "suspended"
    assert planned(compiled(plain), room(people), ours=NITB, patient=False).changes_nothing


def test_a_room_without_a_label_is_of_the_strictest_class_that_federates(small: Policy) -> None:
    people = {CHAIR: "join", f"@b:{LAW}": "join"}
    assert planned(small, room(people, room_class=None)).kick == (f"@b:{LAW}",)
    assert planned(small, room(people, room_class="unclassified")).kick == ()


def test_creators_have_full_power_in_the_room_versions_synapse_says() -> None:
    ours = {
        name
        for name, version in KNOWN_ROOM_VERSIONS.items()
        if version.msc4289_creator_power_enabled
    }
    assert ours == CREATORS_HAVE_FULL_POWER


users = st.builds(
    lambda name, server: f"@{name}:{server}",
    st.sampled_from("abc"),
    st.sampled_from([ITT, FIN, LAW, NITB, CERT, "nadra.gov.test", "stranger.test"]),
)
gatherings = st.dictionaries(users, st.sampled_from(["join", "invite", "knock", "leave", "ban"]))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(gatherings, st.sampled_from(CLASSES), users)
def test_a_plan_carried_out_leaves_nothing_to_do(
    small: Policy, people: dict[str, str], room_class: str, creator: str
) -> None:
    people = people | {creator: "join"}
    home = server_of(creator)
    todo = planned(small, room(people, creator=creator, room_class=room_class), ours=home)
    gone = dict.fromkeys((*todo.kick, *todo.leave), "leave")
    assert creator not in gone
    after = room(people | gone, creator=creator, room_class=room_class, acl=tuple(todo.acl or ()))
    assert planned(small, after, ours=home).changes_nothing


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(gatherings, st.sampled_from(CLASSES), users)
def test_every_server_sees_the_same_guests_go(
    small: Policy, people: dict[str, str], room_class: str, creator: str
) -> None:
    state = room(people | {creator: "join"}, creator=creator, room_class=room_class)
    home = server_of(creator)
    by_themselves = {
        user
        for server in {server_of(user) for user in people} - {home}
        for user in planned(small, state, ours=server).leave
    }
    assert by_themselves == set(planned(small, state, ours=home).kick)


@pytest.fixture(name="wide")
def wide_fixture(
    network: Callable[[], dict[str, Any]], compiled: Callable[[dict[str, Any]], Policy]
) -> Policy:
    """The small network in which all divisions may be together."""
    plain = network()
    plain["relations"]["siblings"] = plain["relations"]["division-division"]
    return compiled(plain)


def test_the_same_room_loses_nobody_under_a_policy_that_grants_more(
    small: Policy, wide: Policy
) -> None:
    people = {CHAIR: "join", f"@a:{NITB}": "join", f"@b:{CERT}": "join"}
    assert planned(small, room(people)).kick == (f"@a:{NITB}",)
    assert planned(wide, room(people)).kick == ()
