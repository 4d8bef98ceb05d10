"""The table of enforcement points: no row lacks its test, and no rule or code lacks its row."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/enforcement-points.md").read_text()
SOURCES = sorted((ROOT / "synapse_modules/rabta_synapse").glob("*.py"))


def test_every_row_of_the_paths_names_tests_that_exist() -> None:
    table = PAGE.partition("## Paths")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    written = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    defined = set(re.findall(r"^(?:async )?def (test_\w+)", written, re.MULTILINE))
    assert len(rows) > 20
    for row in rows:
        named = set(re.findall(r"`(test_\w+)`", row))
        assert named, row
        assert named <= defined, row


def test_every_rule_and_reason_code_of_the_door_is_written_down() -> None:
    code = "".join(path.read_text() for path in SOURCES)
    for rule, reason in zip(
        re.findall(r'rule="(D\d+)"', code), re.findall(r'code="([a-z-]+)"', code), strict=True
    ):
        assert re.search(rf"^\| {rule} \|.*`{reason}`", PAGE, re.MULTILINE), (rule, reason)
