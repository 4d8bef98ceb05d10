"""Three ministries, started once for all tests of the whole that ask for them."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from three_ministries import ITT, Ministries


@pytest.fixture(scope="session")
def ministries(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Ministries]:
    """Three ministries, started once; each test publishes the policy it needs.

    With RABTA_TEST_WORKERS=1 that of ITT runs as many processes on PostgreSQL.
    """
    further: dict[str, dict[str, Any]] = {}
    if os.environ.get("RABTA_TEST_WORKERS") == "1":
        database = request.getfixturevalue("postgres")("ministry-itt")
        further[ITT] = {"with_workers": True, "database": database}
    network = Ministries(tmp_path_factory.mktemp("ministries"), further)
    try:
        network.start()
        yield network
    finally:
        network.stop()
