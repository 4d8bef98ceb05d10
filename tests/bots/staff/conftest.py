"""A staff service for each test."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from staff_service import Staff


@pytest.fixture
def staff(tmp_path: Path) -> Iterator[Staff]:
    """A service without a homeserver: what is to be carried waits."""
    made = Staff(tmp_path)
    with made.running():
        yield made


@pytest.fixture(name="make_staff")
def make_staff_fixture(tmp_path: Path) -> Callable[..., Staff]:
    """Makes a service that the test starts itself."""
    return lambda **further: Staff(tmp_path, **further)
