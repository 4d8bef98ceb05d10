"""The reference page and the code name the same reasons, settings and tables."""

import re
from pathlib import Path

import rabta_bots.matrix
from rabta_bots.matrix import MatrixSettings, metadata

SOURCE = Path(rabta_bots.matrix.__file__).parent
PAGE = (Path(__file__).parents[3] / "docs/reference/bridge-crypto.md").read_text()


def test_every_reason_that_can_be_raised_is_on_the_page() -> None:
    source = "".join(path.read_text() for path in SOURCE.glob("*.py"))
    reasons = set(re.findall(r'MatrixError\(\s*"([a-z-]+)"', source))
    assert len(reasons) > 20
    assert [one for one in sorted(reasons) if f"`{one}`" not in PAGE] == []


def test_every_setting_and_table_is_on_the_page() -> None:
    names = [*MatrixSettings.model_fields, *metadata.tables]
    assert [one for one in names if f"`{one}`" not in PAGE] == []
