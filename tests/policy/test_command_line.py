"""`rabta policy` with real files: what it prints, how it ends, and what it never does."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from rabta_deploy.cli.policy import policy as command
from rabta_policy import policy_schema

ROOT = Path(__file__).parents[2]
EXAMPLE = str(ROOT / "config/policy.example.yaml")
CASES = str(ROOT / "config/cases.example.yaml")
SEPTEMBER = "2026-09-15T10:00:00+05:00"


def rabta(*words: object) -> Result:
    """Run `rabta policy` with these words."""
    return CliRunner().invoke(command, [str(word) for word in words])


@pytest.fixture(name="draft")
def draft_fixture(tmp_path: Path, network: Callable[[], dict[str, Any]]) -> Path:
    """The small network's policy in a YAML file that never expires in these tests."""
    plain = network() | {"not_after": "2999-01-01T00:00:00Z"}
    path = tmp_path / "policy.yaml"
    path.write_text(yaml.safe_dump(plain, allow_unicode=True), encoding="utf-8")
    return path


@pytest.fixture(name="keys")
def keys_fixture(tmp_path: Path) -> list[Path]:
    """Two key files, and `authority.yaml` beside them that wants both."""
    files = [tmp_path / f"{name}.key" for name in ("alice", "bilal")]
    for number, file in enumerate(files, start=1):
        pinned = ("--authority", tmp_path / "authority.yaml", "--threshold", number)
        assert rabta("keygen", file.stem, file, *pinned).exit_code == 0
    return files


def test_a_key_is_written_for_its_holder_alone_and_never_shown(
    keys: list[Path], tmp_path: Path
) -> None:
    for file in keys:
        secret = file.read_text(encoding="utf-8").split()[2]
        assert file.stat().st_mode & 0o777 == 0o600
        assert secret not in (tmp_path / "authority.yaml").read_text(encoding="utf-8")
    result = rabta("keygen", "carol", tmp_path / "carol.key")
    secret = (tmp_path / "carol.key").read_text(encoding="utf-8").split()[2]
    assert result.output.startswith("ed25519:carol ")
    assert secret not in result.output


def test_a_key_is_never_overwritten(keys: list[Path]) -> None:
    before = keys[0].read_bytes()
    result = rabta("keygen", "again", keys[0])
    assert result.exit_code == 2
    assert keys[0].read_bytes() == before


def test_a_threshold_that_no_keys_can_reach_is_not_written(tmp_path: Path) -> None:
    authority = tmp_path / "authority.yaml"
    result = rabta("keygen", "a", tmp_path / "a.key", "--authority", authority, "--threshold", 2)
    assert result.exit_code == 2
    assert not authority.exists()
    assert not (tmp_path / "a.key").exists()


def test_two_people_sign_one_file_after_the_other_and_a_server_believes_it(
    draft: Path, keys: list[Path], tmp_path: Path
) -> None:
    signed, authority = tmp_path / "policy.json", tmp_path / "authority.yaml"
    assert rabta("sign", draft, "--key", keys[0], "--out", signed).exit_code == 0
    early = rabta("verify", signed, "--authority", authority)
    assert early.exit_code == 1
    assert "policy-signatures-too-few" in early.output
    assert rabta("sign", signed, "--key", keys[1]).exit_code == 0
    late = rabta("verify", signed, "--authority", authority, "--json")
    assert late.exit_code == 0
    assert json.loads(late.output)["serial"] == 7
    older = rabta("verify", signed, "--authority", authority, "--last-serial", 8)
    assert older.exit_code == 1
    assert "policy-serial-too-low" in older.output


def test_explain_with_an_authority_believes_signed_policies_only(
    draft: Path, keys: list[Path], tmp_path: Path
) -> None:
    signed, pinned = tmp_path / "policy.json", ("--authority", tmp_path / "authority.yaml")
    rabta("sign", draft, "--key", keys[0], "--out", signed)
    asked = ("ITT", "keys", "LAW", "--at", "2026-03-15T00:00:00Z")
    assert rabta("explain", signed, *asked).exit_code == 0
    assert rabta("explain", signed, *asked, *pinned).exit_code == 2
    rabta("sign", signed, "--key", keys[1])
    assert rabta("explain", signed, *asked, *pinned).exit_code == 0


def test_a_draft_is_not_overwritten_by_signing(draft: Path, keys: list[Path]) -> None:
    before = draft.read_bytes()
    assert rabta("sign", draft, "--key", keys[0]).exit_code == 2
    assert draft.read_bytes() == before


def test_a_key_that_others_can_read_does_not_sign(draft: Path, keys: list[Path]) -> None:
    keys[0].chmod(0o644)
    result = rabta("sign", draft, "--key", keys[0], "--out", draft.with_suffix(".json"))
    assert result.exit_code == 2
    assert "chmod 600" in result.output


def test_a_file_that_is_no_key_does_not_sign(draft: Path, tmp_path: Path) -> None:
    fake = tmp_path / "fake.key"
    fake.write_text("ed25519 x not-base64!\n", encoding="utf-8")
    fake.chmod(0o600)
    result = rabta("sign", draft, "--key", fake, "--out", tmp_path / "out.json")
    assert result.exit_code == 2
    assert not (tmp_path / "out.json").exists()


def test_a_policy_with_faults_is_not_signed_and_every_fault_is_told(
    draft: Path, keys: list[Path], tmp_path: Path
) -> None:
    text = draft.read_text(encoding="utf-8")
    draft.write_text(
        text.replace("serial: 7", "serial: -7").replace("P10D", "soon"), encoding="utf-8"
    )
    for result in (
        rabta("sign", draft, "--key", keys[0], "--out", tmp_path / "out.json"),
        rabta("check", draft),
    ):
        assert result.exit_code == 2
        assert "serial" in result.output
        assert "grace" in result.output
        assert "policy-malformed" in result.output
    assert not (tmp_path / "out.json").exists()


def test_check_says_what_a_policy_amounts_to() -> None:
    result = rabta("check", EXAMPLE, "--at", SEPTEMBER)
    assert result.exit_code == 0
    assert "69 organisations, 38 of their servers may federate; 3 permits." in result.output


@pytest.mark.parametrize(
    "words",
    [
        ("check", "no-such-file.yaml"),
        ("explain", EXAMPLE, "FIN", "invite", "ITT"),
        ("explain", EXAMPLE, "FIN", "keys", "ITT", "--owner", "FIN"),
        ("explain", EXAMPLE, "FIN", "wave", "ITT"),
        ("explain", EXAMPLE, "FIN", "keys", "ITT", "--at", "tomorrow"),
        ("try", EXAMPLE),
    ],
)
def test_wrong_input_is_told_in_words_and_ends_with_2(words: tuple[str, ...]) -> None:
    result = rabta(*words)
    assert result.exit_code == 2
    assert result.output.strip()
    assert "Traceback" not in result.output


def test_explain_answers_machines_too() -> None:
    asked = ("explain", EXAMPLE, "FIN", "invite", "ITT", "--class", "restricted", "--json")
    allowed = rabta(*asked, "--at", SEPTEMBER)
    denied = rabta(*asked, "--at", "2026-08-15T10:00:00+05:00")
    assert (allowed.exit_code, denied.exit_code) == (0, 1)
    assert json.loads(allowed.output)["grant"]["rule"] == "R11"
    assert [reason["code"] for reason in json.loads(denied.output)["reasons"]] == ["phase-closed"]


def test_the_ten_cases_come_out_as_expected() -> None:
    result = rabta("try", CASES, "--json")
    assert result.exit_code == 0
    trials = json.loads(result.output)
    assert [trial["as_expected"] for trial in trials] == [True] * 10


def test_a_case_that_comes_out_otherwise_is_pointed_at(tmp_path: Path) -> None:
    text = Path(CASES).read_text(encoding="utf-8")
    cases = tmp_path / "cases.yaml"
    cases.write_text(text.replace("R11 same", "R11 siblings"), encoding="utf-8")
    result = rabta("try", cases, "--policy", EXAMPLE)
    assert result.exit_code == 1
    assert "10 cases, 1 not as expected." in result.output
    assert "R11 siblings" in result.output


def test_diff_of_a_policy_with_itself_is_empty() -> None:
    result = rabta("diff", EXAMPLE, EXAMPLE, "--at", SEPTEMBER)
    assert result.exit_code == 0
    assert "Nothing changes" in result.output


def test_diff_says_what_is_opened_and_closed_between_whom(draft: Path, tmp_path: Path) -> None:
    text = draft.read_text(encoding="utf-8")
    new = tmp_path / "new.yaml"
    new.write_text(text.replace("order: 1/2026", "order: 3/2026", 1), encoding="utf-8")
    at = ("--at", "2026-03-15T00:00:00Z")
    assert rabta("diff", draft, new, *at).exit_code == 0
    plain = yaml.safe_load(text)
    plain["permits"].pop(0)
    plain["organisations"][2]["status"] = "suspended"
    new.write_text(yaml.safe_dump(plain), encoding="utf-8")
    result = rabta("diff", draft, new, *at)
    assert result.exit_code == 1
    assert "may not any more:   law.gov.test" in result.output
    assert "nitb.gov.test -> fin.gov.test, nadra.gov.test" in result.output
    assert "closes unclassified: directory, invite" in result.output
    assert "opens" not in result.output
    back = json.loads(rabta("diff", new, draft, *at, "--json").output)
    assert back["joined"] == ["law.gov.test"]


def test_schema_prints_the_schema() -> None:
    assert json.loads(rabta("schema").output) == policy_schema()
