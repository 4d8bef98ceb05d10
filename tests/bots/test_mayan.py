"""What a step of Mayan's workflow means; a real Mayan is asked in tests/mayan (`make mayan`)."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from rabta_bots.faults import SettingsError
from rabta_bots.mayan.converting import document_of, event_of_step, file_id_of, is_told
from rabta_bots.mayan.mapping import Mapping, load_mapping
from rabta_bots.mayan.workflow import LogEntry, Paper, Step
from rabta_contract import Event, event_bytes, parse_event

BEGAN = "2026-01-01T00:00:00+05:00"
DOCUMENT: dict[str, Any] = {
    "workflow": 1,
    "classification": "RESTRICTED",
    "posts": {
        "ITT-SO": {"designation": "Section Officer", "org": "ITT"},
        "ITT-DS": {"designation": "Deputy Secretary", "org": "ITT"},
    },
    "persons": {"p-1": {"user": 2}, "p-2": {"user": 3}},
    "charges": [
        {"post": "ITT-SO", "person": "p-1", "from": BEGAN},
        {"post": "ITT-DS", "person": "p-2", "from": BEGAN},
    ],
    "states": {"Draft": "ITT-SO", "With DS": "ITT-DS", "Approved": "ITT-SO"},
    "transitions": {"Put up": "put_up", "Approve": "approve", "Return": "return"},
}


def mapping(**changes: Any) -> Mapping:
    return Mapping.model_validate(DOCUMENT | changes)


def step(label: str, origin: str, goal: str, *, number: int = 1, comment: str = "") -> Step:
    """A step as Mayan 4.12.2 tells it."""
    entry = LogEntry.model_validate(
        {
            "id": 40 + number,
            "datetime": "2026-07-14T05:22:31.147451Z",
            "comment": comment,
            "extra_data": "",
            "transition": {
                "id": 9,
                "label": label,
                "origin_state": {"id": 1, "label": origin},
                "destination_state": {"id": 2, "label": goal},
            },
            "user": {"id": 2, "username": "ayesha"},
        }
    )
    assert entry.transition is not None
    return Step(number, entry, entry.transition)


def event(told: Step, label: str = "F.1-5/2026 — چھٹی", **changes: Any) -> Event:
    paper = Paper(7, 3, label, (told,))
    made = event_of_step(
        mapping(**changes),
        paper,
        told,
        source="/eoffice/ITT",
        sequence=12,
        pages="https://mayan.itt.gov.test",
    )
    # What is made is valid under the contract's schema, by the way of every other event.
    assert parse_event(event_bytes(made)) == made
    return made


@pytest.mark.parametrize(
    ("label", "origin", "goal", "kind"),
    [
        ("Put up", "Draft", "With DS", "eoffice.file.marked.v1"),
        ("Return", "With DS", "Draft", "eoffice.file.returned.v1"),
        ("Approve", "With DS", "Approved", "eoffice.decision.recorded.v1"),
    ],
)
def test_a_transition_is_the_event_that_the_mapping_says(
    label: str, origin: str, goal: str, kind: str
) -> None:
    assert event(step(label, origin, goal)).type == kind


def test_a_document_put_up_names_file_posts_person_and_movement() -> None:
    data = event(step("Put up", "Draft", "With DS", number=3, comment="Please.")).data
    assert data.file is not None
    assert (data.file.file_no, data.file.subject) == ("F.1-5/2026", "چھٹی")
    assert data.movement is not None
    assert data.movement.from_.post_id == "ITT-SO"
    assert [post.post_id for post in data.movement.to] == ["ITT-DS"]
    assert (data.movement.movement_no, data.movement.remarks) == (3, "Please.")
    assert data.actor.person_id == "p-1"


def test_above_the_rooms_nothing_of_a_label_or_comment_is_in_the_event() -> None:
    told = step("Put up", "Draft", "With DS", comment="the plan")
    made = event(told, "F.9 — the plan", classification="SECRET")
    assert "the plan" not in event_bytes(made).decode()


def test_a_label_without_a_separator_is_a_number_without_a_subject() -> None:
    file = event(step("Put up", "Draft", "With DS"), "Stationery").data.file
    assert file is not None
    assert (file.file_no, file.subject) == ("Stationery", None)


def test_a_transition_or_state_that_the_mapping_does_not_name_is_told_to_nobody() -> None:
    assert not is_told(mapping(), step("Shred", "Draft", "With DS"))
    assert not is_told(mapping(), step("Put up", "Draft", "Elsewhere"))


def test_only_a_file_of_mayan_leads_back_to_a_document() -> None:
    assert document_of(file_id_of("ITT", 7)) == 7
    for other in ("ITT-2026-004512", "ITT-MAYAN-0", "ITT-MAYAN-7/../8", "ITT-MAYAN-"):
        assert document_of(other) is None


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"states": {"Draft": "ITT-JS"}}, "ITT-JS has no charge"),
        ({"persons": {"p-1": {"user": 2}, "p-2": {"user": 2}}}, "stands for two persons"),
        ({"persons": {"p-1": {"user": 2}}}, "p-2 is no person of this file"),
        ({"transitions": {"Put up": "promote"}}, "transitions.Put up"),
        ({"colour": "green"}, "colour"),
    ],
)
def test_a_faulty_mapping_is_refused_with_the_place_of_the_fault(
    tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    file = tmp_path / "mayan.yaml"
    file.write_text(yaml.safe_dump(DOCUMENT | changes), encoding="utf-8")
    with pytest.raises(SettingsError, match=told):
        load_mapping(file)


def test_the_mapping_of_the_how_to_page_is_a_mapping() -> None:
    page = Path(__file__).parents[2] / "docs/how-to/connect-mayan.md"
    block = page.read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
    Mapping.model_validate(yaml.safe_load(block))
