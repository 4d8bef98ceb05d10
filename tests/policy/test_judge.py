"""Every rule of docs/reference/rules.md, as a table an officer could read."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from rabta_policy import Action, Allowed, Denied, Policy, ReasonCode, decide
from rabta_policy.reasons import CATALOGUE

JANUARY = datetime(2026, 1, 15, tzinfo=UTC)
MARCH = datetime(2026, 3, 15, tzinfo=UTC)
MAY = datetime(2026, 5, 15, tzinfo=UTC)
JULY = datetime(2026, 7, 15, tzinfo=UTC)
GRACE = datetime(2026, 12, 5, tzinfo=UTC)
EXPIRED = datetime(2026, 12, 11, tzinfo=UTC)

UNLABELLED: dict[str, Any] = {}
OPEN = {"room_class": "unclassified"}
RESTRICTED = {"room_class": "restricted"}
CONFIDENTIAL = {"room_class": "confidential"}

ALLOWED = [
    # who does what to whom, in which room, when, by which grant
    ("ITT invite FIN", OPEN, MARCH, "R11 division-division"),
    ("ITT invite FIN", RESTRICTED | {"owner": "ITT"}, MARCH, "R11 division-division"),
    ("FIN join ITT", RESTRICTED | {"owner": "ITT"}, MARCH, "R11 division-division"),
    ("ITT directory NITB", UNLABELLED, MARCH, "R11 parent-to-child"),
    ("NITB keys ITT", UNLABELLED, MARCH, "R11 child-to-parent"),
    ("NITB keys CERT", UNLABELLED, MARCH, "R11 siblings"),
    ("ITT create-room ITT", CONFIDENTIAL | {"owner": "ITT"}, MARCH, "R11 same"),
    ("NITB directory FIN", UNLABELLED, MARCH, "R12 1/2026"),
    ("NITB directory NADRA", UNLABELLED, MARCH, "R12 1/2026"),
    ("NITB invite CERT", RESTRICTED | {"room": "!one"}, MARCH, "R12 2/2026"),
    ("CERT join NITB", RESTRICTED | {"room": "!one"}, MARCH, "R12 2/2026"),
    ("ITT keys FIN", UNLABELLED, MAY, "R11 division-division"),
    ("ITT keys LAW", UNLABELLED, GRACE, "R11 division-division"),
    ("ITT invite ITT", CONFIDENTIAL, EXPIRED, "R11 same"),
    ("ITT knock FIN", OPEN, MARCH, "R11 division-division"),
    ("FIN invite FIN", RESTRICTED, JULY, "R11 same"),
    ("ITT invite FIN", OPEN | {"actor": "@a:itt.gov.test"}, MARCH, "R11 division-division"),
]

DENIED = [
    # who does what to whom, in which room, when, by which rules, for which reasons
    ("ITT keys LAW", UNLABELLED, EXPIRED, "R1", "policy-expired"),
    ("ITT invite LAW", OPEN, GRACE, "R2", "policy-in-grace"),
    ("LAW join ITT", OPEN, GRACE, "R2", "policy-in-grace"),
    ("ITT create-room LAW", OPEN, GRACE, "R2", "policy-in-grace"),
    ("ITT invite GHOST", OPEN, MARCH, "R3", "server-unknown"),
    ("GHOST keys GHOST", UNLABELLED, MARCH, "R3", "server-unknown"),
    ("ITT keys NITB", UNLABELLED, JANUARY, "R5 R5", "phase-closed phase-closed"),
    ("ITT keys FIN", UNLABELLED, JULY, "R5", "phase-closed"),
    ("ITT invite FIN", UNLABELLED, MARCH, "R7", "room-missing"),
    ("ITT invite FIN", {"room_class": "private"}, MARCH, "R7", "class-unknown"),
    ("ITT invite ITT", {"room_class": "Secret"}, MARCH, "R7", "class-never-in-a-room"),
    (
        "ITT invite FIN",
        CONFIDENTIAL,
        MARCH,
        "R8 R11",
        "class-does-not-federate class-above-relation",
    ),
    ("ITT invite LAW", RESTRICTED, MARCH, "R9", "class-above-ceiling"),
    ("LAW invite LAW", RESTRICTED, MARCH, "R9", "class-above-ceiling"),
    ("ITT publish FIN", RESTRICTED, MARCH, "R10", "class-not-published"),
    ("ITT knock FIN", RESTRICTED, MARCH, "R10", "class-without-knock"),
    ("ITT presence FIN", UNLABELLED, MARCH, "R11", "no-permit"),
    ("NITB directory ITT", UNLABELLED, MARCH, "R11", "no-permit"),
    ("FIN directory NITB", UNLABELLED, MARCH, "R11", "no-permit"),
    ("NITB invite ITT", RESTRICTED, MARCH, "R11", "class-above-relation"),
    ("NITB directory FIN", UNLABELLED, MAY, "R12", "permit-not-in-force"),
    ("NITB invite FIN", RESTRICTED, MARCH, "R12", "class-above-permit"),
    ("NITB invite CERT", RESTRICTED | {"room": "!other"}, MARCH, "R11", "no-permit"),
    ("ITT invite FIN", OPEN | {"owner": "GHOST"}, MARCH, "R13", "owner-unknown"),
    ("ITT invite FIN", RESTRICTED | {"owner": "CERT"}, MARCH, "R13", "owner-has-no-right"),
    ("FIN join ITT", RESTRICTED | {"owner": "NITB"}, MARCH, "R13", "owner-has-no-right"),
    ("ITT invite FIN", RESTRICTED | {"owner": "LAW"}, MARCH, "R9", "class-above-ceiling"),
    ("ITT keys FIN", {"actor": "@a:fin.gov.test"}, MARCH, "R14", "actor-not-of-origin"),
    ("ITT keys FIN", UNLABELLED, MARCH.replace(tzinfo=None), "R15", "clock-without-zone"),
]

Act = Callable[..., Action]


@pytest.mark.parametrize("row", ALLOWED, ids=lambda row: row[0])
def test_it_is_allowed_by_this_grant(small: Policy, act: Act, row: tuple[Any, ...]) -> None:
    words, room, now, grant = row
    verdict = decide(small, act(words, **room), now)
    assert isinstance(verdict, Allowed), verdict
    assert f"{verdict.grant.rule} {verdict.grant.ref}" == grant


@pytest.mark.parametrize("row", DENIED, ids=lambda row: row[0])
def test_it_is_denied_for_exactly_these_reasons(
    small: Policy, act: Act, row: tuple[Any, ...]
) -> None:
    words, room, now, rules, codes = row
    verdict = decide(small, act(words, **room), now)
    assert isinstance(verdict, Denied)
    assert [reason.code for reason in verdict.reasons] == codes.split()
    assert [reason.rule for reason in verdict.reasons] == rules.split()


def test_an_unclassified_room_of_a_third_owner_takes_whom_the_pair_allows(
    small: Policy, act: Act
) -> None:
    assert isinstance(
        decide(small, act("ITT invite FIN", "unclassified", owner="CERT"), MARCH), Allowed
    )


def test_every_reason_says_its_text_and_its_cure(small: Policy, act: Act) -> None:
    for words, room, now, _, _ in DENIED:
        verdict = decide(small, act(words, **room), now)
        assert isinstance(verdict, Denied)
        for reason in verdict.reasons:
            assert reason.text.endswith(".")
            assert reason.cure.endswith(".")
            assert "{" not in reason.text + reason.cure


STANDINGS = [
    ("planned", ReasonCode.ORGANISATION_PLANNED),
    ("suspended", ReasonCode.ORGANISATION_SUSPENDED),
    ("retired", ReasonCode.ORGANISATION_RETIRED),
]


@pytest.mark.parametrize(("status", "code"), STANDINGS)
def test_an_organisation_that_is_not_active_deals_with_nobody_else(
    network: Any, compiled: Any, act: Act, status: str, code: ReasonCode
) -> None:
    plain = network()
    plain["organisations"][2]["status"] = status
    policy = compiled(plain)
    for words in ("ITT keys LAW", "LAW keys ITT"):
        verdict = decide(policy, act(words), MARCH)
        assert isinstance(verdict, Denied)
        assert [(reason.rule, reason.code) for reason in verdict.reasons] == [("R4", code)]
    assert isinstance(decide(policy, act("LAW keys LAW"), MARCH), Allowed)


@pytest.mark.parametrize("part", ["address", "verify_keys", "tls_ca"])
def test_a_server_without_address_ca_or_key_deals_with_no_other(
    network: Any, compiled: Any, act: Act, part: str
) -> None:
    plain = network()
    if part == "tls_ca":
        del plain["tls_ca"]
        for entry in plain["organisations"]:
            if entry["code"] != "LAW":
                entry["server"]["tls_ca"] = (
                    "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"
                )
    else:
        del plain["organisations"][2]["server"][part]
    verdict = decide(compiled(plain), act("ITT keys LAW"), MARCH)
    assert isinstance(verdict, Denied)
    assert [(reason.rule, str(reason.code)) for reason in verdict.reasons] == [
        ("R6", "server-not-pinned")
    ]


def test_an_organisation_of_a_later_date_has_no_standing_yet(
    network: Any, compiled: Any, act: Act
) -> None:
    plain = network()
    plain["organisations"][2]["from"] = "2026-06-01T00:00:00Z"
    verdict = decide(compiled(plain), act("ITT keys LAW"), MARCH)
    assert isinstance(verdict, Denied)
    assert [(reason.rule, str(reason.code)) for reason in verdict.reasons] == [
        ("R3", "organisation-not-begun")
    ]


def test_the_tables_reach_every_reason_that_there_is() -> None:
    listed = {code for *_, codes in DENIED for code in codes.split()}
    elsewhere = {str(code) for _, code in STANDINGS} | {
        "server-not-pinned",
        "organisation-not-begun",
    }
    assert listed | elsewhere == {str(code) for code in ReasonCode} == set(CATALOGUE)
