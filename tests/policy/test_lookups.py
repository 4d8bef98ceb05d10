"""What the shells ask a policy beside verdicts: servers, classes, standing, residents of a room."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import FrameType
from typing import Any

import pytest

from rabta_policy import (
    Action,
    ActionKind,
    Address,
    Policy,
    PolicyError,
    Room,
    Server,
    Standing,
    decide,
    fill_servers,
    parse_document,
    reissue,
    servers_allowed_in,
)

MARCH = datetime(2026, 3, 15, tzinfo=UTC)
END = datetime(2026, 12, 1, tzinfo=UTC)
TICK = timedelta(microseconds=1)
ITT, FIN, LAW = "itt.gov.test", "fin.gov.test", "law.gov.test"

Build = Callable[[dict[str, Any]], Policy]


@pytest.mark.parametrize(
    ("now", "standing"),
    [
        (END - TICK, Standing.IN_FORCE),
        (END, Standing.GRACE),
        (END + timedelta(days=10) - TICK, Standing.GRACE),
        (END + timedelta(days=10), Standing.EXPIRED),
    ],
)
def test_a_policy_is_in_force_then_in_grace_then_expired(
    small: Policy, now: datetime, standing: Standing
) -> None:
    assert small.standing(now) is standing
    assert bool(small.federating_servers(now)) is (standing is not Standing.EXPIRED)


def test_a_server_without_a_ca_of_its_own_has_the_networks(small: Policy) -> None:
    server = small.server(ITT)
    assert server is not None
    assert server.tls_ca == small.document.tls_ca
    assert server.address == Address(host="127.0.0.1", port=8448)
    assert small.server("ghost.gov.test") is None
    assert small.server_of("ITT") == ITT


def test_a_room_without_a_label_counts_as_the_strictest_class_that_federates(
    small: Policy, network: Any, compiled: Build
) -> None:
    assert small.strictest_federating_class.name == "restricted"
    plain = network()
    for name in ("unclassified", "restricted"):
        plain["classes"][name]["federation"] = "none"
    plain["permits"] = []
    assert compiled(plain).strictest_federating_class.name == "confidential"


@pytest.mark.parametrize("name", ["SECRET", "TOP_SECRET", "secret", "", "cosmic"])
def test_what_is_no_room_class_allows_nothing_on_a_card(small: Policy, name: str) -> None:
    found = small.room_class(name)
    card = found.card
    assert (card.subject, card.remarks, card.attachments, card.decide) == (False,) * 3 + ("no",)
    assert found.federation == "none"
    assert not found.media.covers("text/plain", 0)


def test_classes_are_found_in_any_letter_case_and_know_what_they_allow(small: Policy) -> None:
    found = small.room_class("UNCLASSIFIED")
    assert (found.name, found.rank) == ("unclassified", 0)
    assert found.allows_history("joined")
    assert found.allows_history("shared")
    assert not found.allows_history("world_readable")
    assert not found.allows_history("nonsense")
    assert found.allows_join_rule("knock")
    assert not found.allows_join_rule("public")
    assert found.media.covers("image/png", 1000)
    assert not found.media.covers("image/png", 1001)
    assert not found.media.covers("video/mp4", 1)


def test_a_room_may_hold_exactly_the_servers_its_home_may_meet(small: Policy) -> None:
    restricted = Room("!r", "restricted", "ITT")
    assert servers_allowed_in(small, restricted, ITT, MARCH) == {
        ITT,
        FIN,
        "nitb.gov.test",
        "cert.gov.test",
    }
    confidential = Room("!c", "confidential", "ITT")
    assert servers_allowed_in(small, confidential, ITT, MARCH) == {ITT}


def test_in_grace_a_room_keeps_its_servers_and_after_it_only_its_home(small: Policy) -> None:
    room = Room("!r", "unclassified", "ITT")
    assert servers_allowed_in(small, room, ITT, END) == servers_allowed_in(
        small, room, ITT, END - TICK
    )
    assert servers_allowed_in(small, room, ITT, END + timedelta(days=10)) == {ITT}


def test_a_template_is_filled_without_touching_the_original(network: Any) -> None:
    plain = network()
    before = network()
    key = {"ed25519:new": "A" * 43}
    server = Server(name=LAW, address=Address(host="::1", port=1), verify_keys=key)
    filled = fill_servers(plain, {"LAW": server})
    issue = reissue(
        filled | {"signatures": {}}, serial=9, issued_at=MARCH, not_after=END, grace=timedelta(0)
    )
    assert plain == before
    policy = parse_document(issue)
    assert (policy.serial, policy.issued_at, policy.not_after) == (9, MARCH, END)
    assert policy.organisations[2].server == server
    with pytest.raises(PolicyError):
        fill_servers(plain, {"GHOST": server})


def _calls(policy: Policy, action: Action) -> int:
    """How many Python calls one decision takes: a measure no busy machine can disturb."""
    count = 0

    def profile(_frame: FrameType, _event: str, _arg: Any) -> None:
        nonlocal count
        count += 1

    sys.setprofile(profile)
    try:
        decide(policy, action, MARCH)
    finally:
        sys.setprofile(None)
    return count


def test_a_decision_takes_as_many_steps_among_thousands_as_among_six(
    network: Any, compiled: Build, organisation: Callable[..., dict[str, Any]]
) -> None:
    plain = network()
    small = compiled(plain)
    plain["organisations"] += [
        organisation(f"X{n}", kind="attached", parent="ITT") for n in range(2000)
    ]
    plain["permits"] += [
        plain["permits"][0] | {"order": str(n), "origin": f"X{n}", "destination": f"X{n + 1}"}
        for n in range(1999)
    ]
    plain["permits"] += [
        plain["permits"][0]
        | {"order": str(n), "destination": "FIN", "until": f"2026-03-20T00:00:00.{n:06}Z"}
        for n in range(2000)
    ]
    large = compiled(plain)
    for action in (
        Action(ActionKind.INVITE, ITT, FIN, Room("!a", "restricted", "ITT")),
        Action(ActionKind.DIRECTORY, "nitb.gov.test", FIN),
        Action(ActionKind.PRESENCE, ITT, LAW),
        Action(ActionKind.KEYS, ITT, "ghost.gov.test"),
    ):
        # FIN has permits of its own now, beside those of its group: one more look-up.
        assert abs(_calls(large, action) - _calls(small, action)) <= 12, action
