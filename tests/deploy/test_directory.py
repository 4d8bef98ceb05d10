"""Who is who in the demo: one file, from which e-Office and the bridge are both told."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from rabta_deploy.directory import DirectoryError, load

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "config/demo-directory.yaml"
NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)


def test_the_demo_has_a_section_officer_a_deputy_secretary_one_looking_after_and_a_stranger() -> (
    None
):
    who = load(DEMO)

    assert who.post_of("p-10233", NOW) == "ITT-SO-ADMN2"
    assert who.post_of("p-10040", NOW) == "ITT-DS-ADMN"
    assert who.post_of("p-10077", NOW) == "ITT-SO-IT1"  # the regular post, not the other
    looked_after = [charge.post_id for charge in who.charges if charge.kind == "look_after"]
    assert looked_after == ["ITT-DS-IT"]
    assert who.user_id("p-20015") == "@imran.qureshi:fin.gov.test"


def test_a_person_without_a_charge_holds_no_post() -> None:
    who = load(DEMO)

    assert who.post_of("p-10040", datetime(2025, 12, 31, tzinfo=UTC)) is None


def test_the_bridge_and_eoffice_are_told_the_same_persons(tmp_path: Path) -> None:
    who = load(DEMO)
    passwords = {person: tmp_path / person for person in who.persons}

    seed = who.eoffice_seed(passwords)

    told = {person["person_id"] for person in seed["persons"]}
    assert told == set(who.bridge_document()["persons"])
    assert {charge["post_id"] for charge in seed["charges"]} <= {
        post["post_id"] for post in seed["posts"]
    }


def test_every_fault_of_a_directory_is_told_at_once(tmp_path: Path) -> None:
    document = yaml.safe_load(DEMO.read_text())
    document["persons"]["p-10233"]["org"] = "LAW"
    document["charges"][1]["post_id"] = "ITT-NONE"
    file = tmp_path / "directory.yaml"
    file.write_text(yaml.safe_dump(document))

    with pytest.raises(DirectoryError) as refused:
        load(file)

    assert refused.value.reason == "directory-faulty"
    assert "person p-10233: no server for LAW" in refused.value.text
    assert "no post ITT-NONE" in refused.value.text


def test_an_unknown_key_of_a_directory_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "directory.yaml"
    file.write_text(DEMO.read_text() + "\ncolour: green\n")

    with pytest.raises(DirectoryError) as refused:
        load(file)

    assert "colour" in refused.value.text


@pytest.mark.parametrize("text", ["posts: [", "\x00"])
def test_a_directory_that_is_not_yaml_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "directory.yaml"
    file.write_text(text)

    with pytest.raises(DirectoryError) as refused:
        load(file)

    assert refused.value.reason == "directory-unreadable"
