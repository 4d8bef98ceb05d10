"""The tables of enforcement points: no row lacks its tests, and no rule or code lacks its row."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/enforcement-points.md").read_text()
SOURCES = sorted((ROOT / "synapse_modules/rabta_synapse").glob("*.py"))
DEFINED = {
    name
    for path in (ROOT / "tests").rglob("test_*.py")
    for name in re.findall(r"^ *(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE)
}

MAP = (
    "invite sent",
    "invite received",
    "make_join",
    "send_join",
    "join through a third server",
    "join of a remote room",
    "event in a transaction",
    "typing",
    "presence",
    "to-device message",
    "device list and cross-signing updates",
    "key query, key claim",
    "user devices, profile query",
    "user directory",
    "room directory",
    "alias lookup",
    "hierarchy",
    "media served",
    "media fetched",
    "backfill, missing events, state, event_auth",
    "one event by id",
    "event by time",
    "knock",
    "knock at a remote room",
    "invite to an address (3PID)",
    "openid/userinfo",
    "keys of servers, notary",
    "version",
    "calls, legacy",
    "calls, MatrixRTC",
    "transitive history",
    "membership after a policy change",
    "room upgrade",
)
"""Every way in or out that Synapse 1.163 has, as its source was read before the door was built."""

ATTACKS = (
    "join without make_join",
    "send_join while the ACL denies",
    "join relayed through a third ministry",
    "revoked while resident",
    "keys, devices, profiles enumerated sharing no room",
    "media enumerated sharing no room",
    "aliases enumerated",
    "one-time keys exhausted",
    "to-device message to a stranger",
    "forged stripped state",
    "older policy replayed",
    "expired policy",
    "server administrator",
    "co-creator takeover (room version 12)",
    "label lost on upgrade",
    "peer that never echoes event ids",
    "unauthenticated endpoints",
)


def rows(heading: str) -> list[list[str]]:
    """The cells of each row of the table under a heading."""
    table = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in table.splitlines() if line.startswith("| ")][1:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_path_names_a_test_for_the_pair_with_the_right_and_for_the_pair_without() -> None:
    for path, _, means, allowed, denied in rows("Paths"):
        assert means, path
        if allowed != "closed to all":
            assert allowed.strip("`") in DEFINED, (path, allowed)
        assert denied.strip("`") in DEFINED, (path, denied)


def test_no_way_in_or_out_is_missing_from_the_table() -> None:
    paths = [row[0] for row in rows("Paths")]
    assert [way for way in MAP if way not in paths] == []


def test_every_attack_names_its_test() -> None:
    tried = dict(rows("Attacks"))
    assert [attack for attack in ATTACKS if attack not in tried] == []
    assert [name for name in tried.values() if name.strip("`") not in DEFINED] == []


@pytest.mark.parametrize(
    "heading",
    [
        "When the policy is missing or bad",
        "What each callback answers when the door's own code fails",
    ],
)
def test_every_way_of_failing_names_its_test(heading: str) -> None:
    found = rows(heading)
    assert len(found) >= 8
    named = [row[-1].strip("`") for row in found]
    assert [name for name in named if name not in {*DEFINED, "nothing to close"}] == []


def test_every_rule_and_reason_code_of_the_door_is_written_down() -> None:
    code = "".join(path.read_text() for path in SOURCES)
    for rule, reason in zip(
        re.findall(r'rule="(D\d+)"', code), re.findall(r'code="([a-z-]+)"', code), strict=True
    ):
        assert re.search(rf"^\| {rule} \|.*`{reason}`", PAGE, re.MULTILINE), (rule, reason)
