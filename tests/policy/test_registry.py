"""Organisations are dated facts: merged, renamed, split and moved, while user ids stay."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from rabta_policy import Action, Allowed, Denied, Policy, decide

ORDER = datetime(2026, 4, 1, tzinfo=UTC)
BEFORE = ORDER - timedelta(microseconds=1)
CHANGE = {"from": "2026-04-01T05:00:00+05:00", "order": "SRO 1/2026"}

Build = Callable[[dict[str, Any]], Policy]
Act = Callable[..., Action]


def changed(network: Any, code: str, **change: Any) -> dict[str, Any]:
    """The small network with one more change of one organisation."""
    plain: dict[str, Any] = network()
    for entry in plain["organisations"]:
        if entry["code"] == code:
            entry.setdefault("changes", []).append(CHANGE | change)
    return plain


def test_a_merged_ministrys_server_speaks_for_its_successor_from_the_day_of_the_order(
    network: Any, compiled: Build, act: Act
) -> None:
    policy = compiled(changed(network, "LAW", status="retired", successors=["FIN"]))
    before = policy.organisation_of("law.gov.test", BEFORE)
    after = policy.organisation_of("law.gov.test", ORDER)
    assert before is not None
    assert after is not None
    assert (before.code, after.code) == ("LAW", "FIN")
    assert "law.gov.test" in policy.federating_servers(ORDER)
    verdict = decide(policy, act("LAW invite FIN", "restricted"), ORDER)
    assert isinstance(verdict, Allowed)
    assert verdict.grant.ref == "same"


def test_a_split_ministrys_server_stays_with_the_first_successor(
    network: Any, compiled: Build
) -> None:
    policy = compiled(changed(network, "LAW", status="retired", successors=["ITT", "FIN"]))
    after = policy.organisation_of("law.gov.test", ORDER)
    assert after is not None
    assert after.code == "ITT"


def test_successors_are_followed_through_later_mergers(network: Any, compiled: Build) -> None:
    plain = changed(network, "LAW", status="retired", successors=["FIN"])
    plain["organisations"][1]["changes"] = [
        {"from": "2026-05-01T00:00:00Z", "status": "retired", "successors": ["ITT"]}
    ]
    policy = compiled(plain)
    then = policy.organisation_of("law.gov.test", datetime(2026, 5, 1, tzinfo=UTC))
    assert then is not None
    assert then.code == "ITT"


def test_a_successor_that_is_suspended_takes_the_merged_server_along(
    network: Any, compiled: Build
) -> None:
    plain = changed(network, "LAW", status="retired", successors=["FIN"])
    plain["organisations"][1]["changes"] = [{"from": "2026-05-01T00:00:00Z", "status": "suspended"}]
    federating = compiled(plain).federating_servers(datetime(2026, 5, 1, tzinfo=UTC))
    assert {"law.gov.test", "fin.gov.test"}.isdisjoint(federating)


def test_a_new_parent_changes_the_relation_from_that_day(
    network: Any, compiled: Build, act: Act
) -> None:
    policy = compiled(changed(network, "NITB", parent="FIN"))
    inward = act("FIN directory NITB")
    assert isinstance(decide(policy, inward, BEFORE), Denied)
    assert isinstance(decide(policy, inward, ORDER), Allowed)
    assert isinstance(decide(policy, act("ITT directory NITB"), ORDER), Denied)


def test_null_takes_the_parent_away_and_silence_keeps_it(network: Any, compiled: Build) -> None:
    freed = compiled(changed(network, "NITB", parent=None))
    renamed = compiled(changed(network, "NITB", name="New Name"))
    of_freed = freed.organisation_of("nitb.gov.test", ORDER)
    of_renamed = renamed.organisation_of("nitb.gov.test", ORDER)
    assert of_freed is not None
    assert of_renamed is not None
    assert of_freed.parent is None
    assert (of_renamed.parent, of_renamed.name, of_renamed.code) == ("ITT", "New Name", "NITB")


def test_an_organisation_that_is_revived_speaks_for_itself_again(
    network: Any, compiled: Build
) -> None:
    plain = changed(network, "LAW", status="retired", successors=["FIN"])
    plain["organisations"][2]["changes"].append(
        {"from": "2026-06-01T00:00:00Z", "status": "active"}
    )
    now = datetime(2026, 6, 1, tzinfo=UTC)
    found = compiled(plain).organisation_of("law.gov.test", now)
    assert found is not None
    assert (found.code, found.successors) == ("LAW", ())
