"""What may be destroyed in a room, as a table that a records officer can read."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import TypeAdapter

from rabta_deploy.records.deciding import Keep, Lifetimes, Purge, RecordRoom, decide, media_before
from rabta_deploy.records.hold import Hold, Lift
from rabta_policy.record import RecordCategory

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
A, B, C, D = RecordCategory
LIFETIMES = Lifetimes({A: None, B: 3650, C: 1095, D: 365}, default=None)
BRIDGE = "@rabta:itt.gov.test"
HOME = "itt.gov.test"
PEOPLE = frozenset({"@amna:itt.gov.test", "@gone:itt.gov.test", BRIDGE})


def hold(kind: str, subject: str, until: datetime | None = None, *, lifted: bool = False) -> Hold:
    lift = Lift(order="2", by="a", countersigned="b", at=NOW) if lifted else None
    return TypeAdapter(Hold).validate_python(
        {
            "id": "H0007",
            "kind": kind,
            "subject": subject,
            "order": "1",
            "by": "a",
            "at": NOW - timedelta(days=9),
            "until": until,
            "lift": lift,
        }
    )


@pytest.mark.parametrize(
    ("category", "days"), [(None, None), (A, None), (B, 3650), (C, 1095), (D, 365)]
)
def test_a_room_is_kept_as_long_as_its_category(
    category: RecordCategory | None, days: int | None
) -> None:
    room = RecordRoom("!r", category, PEOPLE, HOME)
    expected = (
        Keep(room, "kept-for-ever") if days is None else Purge(room, NOW - timedelta(days=days))
    )
    assert expected == decide(room, LIFETIMES, [], BRIDGE, NOW)


@pytest.mark.parametrize(
    ("category", "default", "days"),
    [(D, None, None), (D, 2000, 2000), (D, 100, 365), (B, 100, 3650), (A, 100, None)],
)
def test_another_ministrys_category_lengthens_what_we_keep_and_never_shortens_it(
    category: RecordCategory, default: int | None, days: int | None
) -> None:
    room = RecordRoom("!r", category, PEOPLE, "fin.gov.test")
    lifetimes = Lifetimes(LIFETIMES.categories, default)
    expected = (
        Keep(room, "kept-for-ever") if days is None else Purge(room, NOW - timedelta(days=days))
    )
    assert expected == decide(room, lifetimes, [], BRIDGE, NOW)


def test_a_category_that_the_site_does_not_name_is_for_ever() -> None:
    room = RecordRoom("!r", D, PEOPLE, HOME)
    assert decide(room, Lifetimes({}, default=1), [], BRIDGE, NOW) == Keep(room, "kept-for-ever")


@pytest.mark.parametrize(
    ("placed", "holds"),
    [
        (hold("room", "!r"), True),
        (hold("room", "!other"), False),
        (hold("person", "@amna:itt.gov.test"), True),
        (hold("person", "@gone:itt.gov.test"), True),
        (hold("person", "@nobody:itt.gov.test"), False),
        # Only the bridge knows which of its rooms speaks of a file.
        (hold("file", "No.F.8-2/2004-Admn-II"), True),
        (hold("room", "!r", NOW + timedelta(seconds=1)), True),
        (hold("room", "!r", NOW), False),
        (hold("room", "!r", lifted=True), False),
    ],
)
def test_a_hold_keeps_what_it_names_while_it_is_in_force(placed: Hold, *, holds: bool) -> None:
    room = RecordRoom("!r", D, PEOPLE, HOME)
    found = decide(room, LIFETIMES, [placed], BRIDGE, NOW)
    assert isinstance(found, Keep) is holds
    if isinstance(found, Keep):
        assert (found.reason, found.holds) == ("on-hold", ("H0007",))


def test_a_hold_on_a_file_leaves_rooms_alone_where_the_bridge_never_was() -> None:
    room = RecordRoom("!r", D, PEOPLE - {BRIDGE}, HOME)
    assert isinstance(decide(room, LIFETIMES, [hold("file", "x")], BRIDGE, NOW), Purge)


def test_nothing_is_destroyed_in_a_room_whose_state_is_not_known() -> None:
    room = RecordRoom("!r", None, frozenset(), home=None)
    default = Lifetimes({}, default=1)
    assert decide(room, default, [], BRIDGE, NOW) == Keep(room, "state-unknown")


def test_media_go_when_no_room_could_still_be_keeping_them() -> None:
    old, older = (
        Purge(RecordRoom("!r", None, PEOPLE, HOME), NOW - timedelta(days=n)) for n in (9, 99)
    )
    kept = Keep(RecordRoom("!k", A, PEOPLE, HOME), "kept-for-ever")
    assert media_before([old, older], [], NOW) == older.before
    assert media_before([old, kept], [], NOW) is None
    assert media_before([], [], NOW) is None
    assert media_before([old], [hold("person", "@x:y.test")], NOW) is None
    assert media_before([old], [hold("person", "@x:y.test", lifted=True)], NOW) == old.before
