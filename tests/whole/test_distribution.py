"""What is shipped: one distribution, whole, locked, and light enough for a Synapse environment."""

import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import requires
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCK = (ROOT / "requirements.lock").read_text()
SHELVES = ("synapse_modules", "bots", "config", "deploy", "tests")


def names(requirements: list[str]) -> set[str]:
    """The canonical names in a list of requirement lines."""
    return {canonicalize_name(Requirement(line).name) for line in requirements}


def test_the_base_install_adds_nothing_to_what_synapse_carries() -> None:
    synapse = {
        canonicalize_name(requirement.name)
        for requirement in map(Requirement, requires("matrix-synapse") or [])
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    }
    assert names(PYPROJECT["project"]["dependencies"]) - synapse == set()


def test_every_requirement_is_locked_with_a_hash() -> None:
    project = PYPROJECT["project"]
    wanted = names([*project["dependencies"], *chain(*project["optional-dependencies"].values())])
    locked = {
        canonicalize_name(name)
        for name in re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==", LOCK, re.MULTILINE)
    }
    unhashed = re.findall(r"^\S+==\S+$", LOCK, re.MULTILINE)
    assert wanted - locked == set()
    assert unhashed == []


@pytest.mark.parametrize(
    "lock", ["requirements.lock", "deploy/officer/package-lock.json", "deploy/officer/.npmrc"]
)
def test_no_lock_names_a_registry(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert (
        re.findall(
            r'"resolved": *"https?:|^(?:--(?:extra-)?index-url)|^registry *=', text, re.MULTILINE
        )
        == []
    )


def test_the_wheel_holds_every_file_of_every_house(tmp_path: Path) -> None:
    """Hatchling drops a misspelt package without a word; this finds it missing."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    shipped = set(zipfile.ZipFile(wheel).namelist())
    tracked = subprocess.run(
        ["git", "ls-files", "synapse_modules", "bots", "deploy/rabta_deploy"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    houses = {file.split("/", 1)[1] for file in tracked}
    assert houses - shipped == set()
    assert houses


def test_shelves_are_not_packages() -> None:
    assert [shelf for shelf in SHELVES if (ROOT / shelf / "__init__.py").exists()] == []
