"""`rabta demo` refuses what it cannot run with, in words, before it starts anything."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from rabta_deploy.cli import main

ROOT = Path(__file__).parents[2]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The demo's own configuration, to be spoilt."""
    copied = tmp_path / "config"
    shutil.copytree(ROOT / "config", copied)
    monkeypatch.setattr("rabta_deploy.network.CONFIG", copied)
    return copied


def told(tmp_path: Path) -> dict[str, str]:
    """What it refuses with; that it started nothing is seen from its state."""
    result = CliRunner().invoke(main, ["demo", "--state", str(tmp_path / "state"), "--json"])
    assert result.exit_code == 1, result.output
    assert not list((tmp_path / "state").rglob("*.log"))
    last: dict[str, str] = json.loads(result.stderr.splitlines()[-1])
    return last


def test_a_policy_with_faults_is_refused_with_all_of_them(tmp_path: Path, config: Path) -> None:
    policy = config / "demo-policy.yaml"
    policy.write_text(policy.read_text().replace("grace: P2D", "grace: soon\ncolour: green"))

    refused = told(tmp_path)

    assert refused["error"] == "policy-malformed"
    assert "grace" in refused["text"]
    assert "colour" in refused["text"]


def test_a_directory_with_faults_is_refused_with_all_of_them(tmp_path: Path, config: Path) -> None:
    file = config / "demo-directory.yaml"
    document = yaml.safe_load(file.read_text())
    document["persons"]["p-10233"]["language"] = "fr"
    document["posts"]["ITT-DS-ADMN"]["bps"] = 99
    file.write_text(yaml.safe_dump(document))

    refused = told(tmp_path)

    assert refused["error"] == "directory-faulty"
    assert "persons.p-10233.language" in refused["text"]
    assert "posts.ITT-DS-ADMN.bps" in refused["text"]


@pytest.mark.usefixtures("config")
def test_a_spoilt_list_of_ports_is_refused_with_its_cure(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "ports.json").write_text("spoilt")

    refused = told(tmp_path)

    assert (refused["error"], "remove it" in refused["cure"]) == ("state-unreadable", True)
