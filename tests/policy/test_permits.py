"""Permits are exceptions by order: for named parties, for a time, up to a class."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rabta_policy import Action, Allowed, Denied, Policy, decide

FIRST = datetime(2026, 3, 1, tzinfo=UTC)
LAST = datetime(2026, 4, 1, tzinfo=UTC)
TICK = timedelta(microseconds=1)

Build = Callable[[dict[str, Any]], Policy]
Act = Callable[..., Action]


@pytest.mark.parametrize(
    ("now", "in_force"),
    [(FIRST - TICK, False), (FIRST, True), (LAST - TICK, True), (LAST, False)],
)
def test_a_permit_holds_from_its_first_moment_until_just_before_its_last(
    small: Policy, act: Act, now: datetime, in_force: bool
) -> None:
    verdict = decide(small, act("NITB directory FIN"), now)
    assert isinstance(verdict, Allowed) is in_force


def test_a_one_way_permit_does_not_work_backwards(small: Policy, act: Act) -> None:
    assert isinstance(decide(small, act("NITB directory NADRA"), FIRST), Allowed)
    assert isinstance(decide(small, act("NADRA directory NITB"), FIRST), Denied)


def test_a_room_permit_opens_that_room_alone(small: Policy, act: Act) -> None:
    inside = act("NITB invite CERT", "restricted", room="!one")
    outside = act("NITB invite CERT", "restricted", room="!two")
    unnamed = act("NITB invite CERT", "restricted")
    assert isinstance(decide(small, inside, FIRST), Allowed)
    assert isinstance(decide(small, outside, FIRST), Denied)
    assert isinstance(decide(small, unnamed, FIRST), Denied)


def test_of_several_permits_the_one_for_the_highest_class_counts_while_it_lasts(
    network: Any, compiled: Build, act: Act
) -> None:
    plain = network()
    # Restricted for the first days of March only; unclassified all the month.
    plain["permits"] += [
        plain["permits"][0]
        | {"order": order, "destination": "FIN", "max_class": room_class, "until": until}
        for order, room_class, until in (
            ("low", "unclassified", "2026-04-01T00:00:00Z"),
            ("high", "restricted", "2026-03-05T00:00:00Z"),
            ("low again", "unclassified", "2026-03-20T00:00:00Z"),
        )
    ]
    policy = compiled(plain)
    asked = act("NITB invite FIN", "restricted", owner="NITB")
    early = decide(policy, asked, FIRST)
    assert isinstance(early, Allowed)
    assert early.grant.ref == "high"
    assert isinstance(decide(policy, asked, datetime(2026, 3, 5, tzinfo=UTC)), Denied)


def test_a_permit_does_not_outlive_its_organisation_in_the_successors_name(
    network: Any, compiled: Build, act: Act
) -> None:
    plain = network()
    plain["permits"][0]["destination"] = "LAW"
    plain["organisations"][2]["changes"] = [
        {"from": "2026-03-10T00:00:00Z", "status": "retired", "successors": ["FIN"]}
    ]
    policy = compiled(plain)
    asked = act("NITB directory LAW")
    assert isinstance(decide(policy, asked, FIRST), Allowed)
    assert isinstance(decide(policy, asked, datetime(2026, 3, 10, tzinfo=UTC)), Denied)


def test_a_denial_for_a_low_permit_names_the_permit(small: Policy, act: Act) -> None:
    verdict = decide(small, act("NITB invite FIN", "restricted"), FIRST)
    assert isinstance(verdict, Denied)
    assert "1/2026" in verdict.reasons[0].text
