"""What holds of every policy, tried by hypothesis."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from rabta_policy import Action, ActionKind, Allowed, Denied, Policy, Room, decide
from rabta_policy.timeline import Timeline

CODES = ("ITT", "FIN", "LAW", "NITB", "CERT", "NADRA")
CLASSES = ("unclassified", "restricted", "confidential")
START = datetime(2026, 1, 1, tzinfo=UTC)

# The machine that runs this may be busy with homeservers: time says nothing about these properties.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

Plain = dict[str, Any]
Network = Callable[[], Plain]
Build = Callable[[Plain], Policy]

moments = st.integers(0, 400 * 24).map(lambda hours: START + timedelta(hours=hours))
kinds = st.sampled_from(list(ActionKind))
servers = st.sampled_from([f"{code.lower()}.gov.test" for code in CODES])
rooms = st.none() | st.builds(
    Room,
    st.none() | st.sampled_from(["!one", "!two"]),
    st.sampled_from(CLASSES),
    st.none() | st.sampled_from(CODES),
)
actions = st.builds(Action, kinds, servers, servers, rooms)

anything = st.text(max_size=30)
wild_rooms = st.none() | st.builds(Room, st.none() | anything, anything, st.none() | anything)
wild_actions = st.builds(
    Action,
    kinds,
    servers | anything,
    servers | anything,
    rooms | wild_rooms,
    st.none() | anything,
)
wild_moments = st.datetimes(
    timezones=st.none()
    | st.just(UTC)
    | st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
)

permits = st.builds(
    lambda origin, destination, direction, room, kinds, room_class, start, hours: (
        {
            "order": "drawn",
            "origin": origin,
            "destination": destination,
            "direction": direction,
            "actions": [str(kind) for kind in kinds],
            "max_class": room_class,
            "from": start.isoformat(),
            "until": (start + timedelta(hours=hours)).isoformat(),
        }
        | ({"room": room} if room else {})
    ),
    st.sampled_from([*CODES, "circle"]),
    st.sampled_from([*CODES, "circle"]),
    st.sampled_from(["both", "one-way"]),
    st.sampled_from([None, "!one"]),
    st.sets(kinds, min_size=1),
    st.sampled_from(CLASSES[:2]),
    moments,
    st.integers(1, 2000),
)


facts = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from(["suspended", "planned", "retired"]),
        "ceiling": st.sampled_from(CLASSES),
        "phase": st.sampled_from(["federal", "nationwide"]),
        "changes": st.builds(
            lambda start, status: [{"from": start.isoformat(), "status": status}],
            moments.filter(lambda moment: moment > START),
            st.sampled_from(["active", "retired"]),
        ),
    },
)
rights = st.builds(
    lambda actions, room_class: {"actions": list(map(str, actions)), "max_class": room_class},
    st.sets(kinds),
    st.sampled_from(CLASSES),
)
drawn = st.tuples(
    st.lists(st.tuples(st.integers(0, len(CODES) - 1), facts), max_size=3),
    st.dictionaries(
        st.sampled_from(["same", "siblings", "division-division", "other"]), rights, max_size=3
    ),
    st.lists(permits, max_size=5),
)
"""Facts, rights and permits that make another network of the small one; each of them parses."""


def changed(plain: Plain, drawn: Any) -> Plain:
    """The small network with what was drawn."""
    organisations, relations, exceptions = drawn
    for at, new in organisations:
        plain["organisations"][at] |= new
    plain["relations"] |= relations
    plain["permits"] = list(exceptions)
    return plain


@given(st.lists(st.tuples(moments, st.none() | st.integers(0, 2)), max_size=6), moments)
def test_a_timeline_answers_as_its_steps_read_one_by_one(
    steps: list[tuple[datetime, int | None]], now: datetime
) -> None:
    steps.sort(key=lambda step: step[0])
    passed = [value for start, value in steps if start <= now]
    assert Timeline(steps).at(now) == (passed[-1] if passed else None)


@unhurried
@given(st.data(), wild_actions, wild_moments)
def test_decide_always_answers(
    network: Network, compiled: Build, data: st.DataObject, action: Action, now: datetime
) -> None:
    verdict = decide(compiled(changed(network(), data.draw(drawn))), action, now)
    assert isinstance(verdict, Allowed) or verdict.reasons
    for reason in verdict.reasons if isinstance(verdict, Denied) else ():
        assert reason.text
        assert reason.cure
        assert reason.rule.startswith("R")


@unhurried
@given(st.data(), st.tuples(actions, moments))
def test_adding_an_organisation_changes_no_verdict_about_others(
    network: Network,
    compiled: Build,
    organisation: Callable[..., Plain],
    data: st.DataObject,
    asked: tuple[Action, datetime],
) -> None:
    plain = changed(network(), data.draw(drawn))
    before = decide(compiled(plain), *asked)
    parent = data.draw(st.sampled_from([{}, *({"parent": code} for code in CODES)]))
    plain["organisations"].append(organisation("NEW", **parent))
    if data.draw(st.booleans()):
        plain["groups"]["circle"].append("NEW")
    assert decide(compiled(plain), *asked) == before


@unhurried
@given(st.data(), actions, moments)
def test_no_permit_allows_outside_its_dates(
    network: Network, compiled: Build, data: st.DataObject, action: Action, now: datetime
) -> None:
    plain = changed(network(), data.draw(drawn))
    over = [
        permit
        for permit in plain["permits"]
        if not datetime.fromisoformat(permit["from"])
        <= now
        < datetime.fromisoformat(permit["until"])
    ]
    with_them = decide(compiled(plain), action, now)
    plain["permits"] = [permit for permit in plain["permits"] if permit not in over]
    without = decide(compiled(plain), action, now)
    assert isinstance(with_them, Allowed) is isinstance(without, Allowed)


@unhurried
@given(st.data(), actions, moments)
def test_nothing_crosses_servers_but_between_federating_ones(
    network: Network, compiled: Build, data: st.DataObject, action: Action, now: datetime
) -> None:
    policy = compiled(changed(network(), data.draw(drawn)))
    assume(action.origin != action.destination)
    if isinstance(decide(policy, action, now), Allowed):
        assert {action.origin, action.destination} <= policy.federating_servers(now)


def _fewer_actions(plain: Plain, draw: Callable[..., Any]) -> None:
    name = draw(st.sampled_from(["same", "siblings", "division-division", "other"]))
    right = {"actions": [], "max_class": CLASSES[0]} | plain["relations"].get(name, {})
    right["actions"] = right["actions"][: draw(st.integers(0, len(right["actions"])))]
    right["max_class"] = draw(st.sampled_from(CLASSES[: CLASSES.index(right["max_class"]) + 1]))
    plain["relations"][name] = right


def _lower_ceiling(plain: Plain, draw: Callable[..., Any]) -> None:
    entry = draw(st.sampled_from(plain["organisations"]))
    entry["ceiling"] = draw(st.sampled_from(CLASSES[: CLASSES.index(entry["ceiling"]) + 1]))


def _suspend(plain: Plain, draw: Callable[..., Any]) -> None:
    entry = draw(st.sampled_from(plain["organisations"]))
    entry |= {"status": "suspended", "changes": []}


def _fewer_permits(plain: Plain, draw: Callable[..., Any]) -> None:
    plain["permits"] = plain["permits"][draw(st.integers(0, len(plain["permits"]))) :]


def _lesser_permits(plain: Plain, draw: Callable[..., Any]) -> None:
    for permit in plain["permits"]:
        start, end = (datetime.fromisoformat(permit[key]) for key in ("from", "until"))
        later, sooner = (timedelta(hours=draw(st.integers(0, 48))) for _ in range(2))
        if start + later < end - sooner:
            permit |= {"from": (start + later).isoformat(), "until": (end - sooner).isoformat()}
        if draw(st.booleans()):
            permit["direction"] = "one-way"
        if draw(st.booleans()):
            permit["max_class"] = CLASSES[0]
        permit["actions"] = permit["actions"][: draw(st.integers(1, len(permit["actions"])))]


def _smaller_group(plain: Plain, draw: Callable[..., Any]) -> None:
    plain["groups"]["circle"] = plain["groups"]["circle"][: draw(st.integers(1, 2))]


def _no_phase(plain: Plain, draw: Callable[..., Any]) -> None:
    plain["phases"].pop(draw(st.sampled_from(["pilot", "federal"])))


def _sooner_over(plain: Plain, draw: Callable[..., Any]) -> None:
    plain["not_after"] = draw(moments.filter(lambda moment: moment > START)).isoformat()
    assume(plain["not_after"] <= "2026-12-01")


def _closer_class(plain: Plain, draw: Callable[..., Any]) -> None:
    plain["classes"]["restricted"]["federation"] = "none"
    plain["permits"] = [one for one in plain["permits"] if one["max_class"] == "unclassified"]
    if draw(st.booleans()):
        plain["classes"]["unclassified"]["federation"] = "listed"


NARROWINGS = [
    _fewer_actions,
    _lower_ceiling,
    _suspend,
    _fewer_permits,
    _lesser_permits,
    _smaller_group,
    _no_phase,
    _sooner_over,
    _closer_class,
]


@unhurried
@given(st.data(), st.sampled_from(NARROWINGS), st.tuples(actions, moments))
def test_a_narrower_policy_never_allows_more(
    network: Network,
    compiled: Build,
    data: st.DataObject,
    narrow: Callable[[Plain, Callable[..., Any]], None],
    asked: tuple[Action, datetime],
) -> None:
    plain = changed(network(), data.draw(drawn))
    wide = decide(compiled(plain), *asked)
    narrow(plain, data.draw)
    if isinstance(decide(compiled(plain), *asked), Allowed):
        assert isinstance(wide, Allowed)
