"""A site with every part, described in one place for these tests."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from rabta_deploy.site.description import Site
from rabta_deploy.site.reading import parse

EXAMPLES = Path(__file__).parents[3] / "config"


@pytest.fixture(scope="session")
def whole_document() -> dict[str, Any]:
    """The example that names every part there is."""
    document: dict[str, Any] = yaml.safe_load((EXAMPLES / "site.example.yaml").read_text())
    return document


@pytest.fixture(scope="session")
def whole(whole_document: dict[str, Any]) -> Site:
    return parse(yaml.safe_dump(whole_document))
