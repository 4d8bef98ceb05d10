"""The trial network's authority: what it signs, the judge opens; serials only rise."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rabta_deploy.authority import NetworkAuthority
from rabta_policy import Authority, Policy, PolicyError, load_document, open_signed

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)
ROOT = Path(__file__).parents[2]


def demo_policy() -> dict[str, Any]:
    return load_document((ROOT / "config/demo-policy.yaml").read_text(encoding="utf-8"))


def opened(authority: NetworkAuthority, *, last_serial: int = 0) -> Policy:
    pinned = Authority.parse(authority.files.authority.read_text())
    return open_signed(authority.files.policy.read_bytes(), pinned, last_serial=last_serial)


def test_what_it_publishes_is_believed_by_two_of_three_keys_for_thirty_days(tmp_path: Path) -> None:
    authority = NetworkAuthority(tmp_path)

    assert authority.publish(demo_policy(), now=NOW) == 1

    policy = opened(authority)
    assert (policy.serial, policy.not_after) == (1, NOW + timedelta(days=30))
    pinned = Authority.parse(authority.files.authority.read_text())
    assert (pinned.threshold, len(pinned.keys)) == (2, 3)


def test_the_same_policy_keeps_its_serial_until_half_of_its_time_is_over(tmp_path: Path) -> None:
    authority = NetworkAuthority(tmp_path)
    authority.publish(demo_policy(), now=NOW)

    assert authority.publish(demo_policy(), now=NOW + timedelta(days=14)) == 1
    assert authority.publish(demo_policy(), now=NOW + timedelta(days=16)) == 2


def test_a_changed_policy_gets_the_next_serial_after_a_restart_too(tmp_path: Path) -> None:
    NetworkAuthority(tmp_path).publish(demo_policy(), now=NOW)
    changed = demo_policy() | {"grace": "P3D"}

    assert NetworkAuthority(tmp_path).publish(changed, now=NOW) == 2

    assert opened(NetworkAuthority(tmp_path), last_serial=1).serial == 2


def test_a_serial_is_never_given_twice_though_an_older_file_was_put_back(tmp_path: Path) -> None:
    authority = NetworkAuthority(tmp_path)
    authority.publish(demo_policy(), now=NOW)
    older = authority.files.policy.read_bytes()
    authority.publish(demo_policy() | {"grace": "P3D"}, now=NOW)
    authority.replace(older)

    assert authority.publish(demo_policy() | {"grace": "P4D"}, now=NOW) == 3


def test_a_faulty_policy_is_not_signed_and_the_last_one_stays(tmp_path: Path) -> None:
    authority = NetworkAuthority(tmp_path)
    authority.publish(demo_policy(), now=NOW)
    before = authority.files.policy.read_bytes()

    with pytest.raises(PolicyError) as refused:
        authority.publish(demo_policy() | {"grace": "soon", "colour": "green"}, now=NOW)

    assert {fault.path for fault in refused.value.faults} == {"grace", "colour"}
    assert authority.files.policy.read_bytes() == before
    assert authority.last_serial == 1


def test_a_policy_changed_after_signing_is_not_believed(tmp_path: Path) -> None:
    authority = NetworkAuthority(tmp_path)
    authority.publish(demo_policy(), now=NOW)
    document = json.loads(authority.files.policy.read_bytes()) | {"serial": 9}
    authority.replace(json.dumps(document, sort_keys=True, separators=(",", ":")).encode())

    with pytest.raises(PolicyError):
        opened(authority)
