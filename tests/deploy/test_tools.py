"""A missing tool is named, with its cure, before anything is started."""

from pathlib import Path

import pytest

from rabta_deploy.tools import NEEDED, ToolMissingError, require_tools


def test_every_missing_part_is_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "node").touch()
    needed = {name: tmp_path / name for name in ("node", "page", "packages")}

    with pytest.raises(ToolMissingError) as refused:
        require_tools(needed)

    assert refused.value.reason == "tool-missing"
    assert f"page ({tmp_path / 'page'}); packages (" in refused.value.text
    assert "node (" not in refused.value.text
    assert "make install" in refused.value.cure


def test_this_checkout_has_what_the_yard_needs() -> None:
    require_tools(NEEDED)
