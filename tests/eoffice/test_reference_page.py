"""The contract's reference page says what the code says."""

import re
from pathlib import Path

import pytest
import yaml

from rabta_contract import COMMAND_ANSWERS, EVENT_ANSWERS, Answer, CommandOutcome, CommandVerb
from rabta_eoffice.acts import Verb
from rabta_eoffice.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reference" / "eoffice-contract.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("heading", "answers"),
    [("## Webhook:", EVENT_ANSWERS), ("## Commands:", COMMAND_ANSWERS)],
)
def test_the_table_of_answers_is_that_of_the_code(
    heading: str, answers: tuple[Answer, ...]
) -> None:
    section = PAGE.split(heading)[1].split("\n## ")[0]
    found = re.findall(r"^\| (\d{3}) \| (?:`([a-z-]+)` )?\| (.+) \|$", section, re.MULTILINE)
    assert found == [
        (str(answer.status), str(answer.reason or ""), answer.meaning) for answer in answers
    ]


@pytest.mark.parametrize("word", [*CommandVerb, *CommandOutcome, *Verb])
def test_every_command_outcome_and_act_is_on_the_page(word: str) -> None:
    assert f"`{word}`" in PAGE


def test_every_setting_is_on_the_page_and_in_the_example() -> None:
    (block,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    example = yaml.safe_load((ROOT / "config" / "eoffice.example.yaml").read_text())
    assert yaml.safe_load(block) == example
    assert set(example) == set(Settings.model_fields)
    assert [name for name in Settings.model_fields if f"`{name}`" not in PAGE] == []
