"""A ministry with a bridge, on SQLite and on PostgreSQL, and a recorder in the place of Matrix."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

import pytest

from rabta_deploy.clamav import EICAR, Clamav
from rabta_deploy.fault import YardError

sys.path.insert(0, str(Path(__file__).parent))

from events import Telling
from ministry import Hands, Ministry


@pytest.fixture
def hands() -> Hands:
    """A clock that stands until the test moves it."""
    return Hands()


@pytest.fixture
def telling() -> Telling:
    """e-Office of ITT, as a teller of events."""
    return Telling()


@pytest.fixture
def ministry(tmp_path: Path, hands: Hands) -> Ministry:
    """A ministry whose store is SQLite."""
    return Ministry(tmp_path, hands)


@pytest.fixture(params=["sqlite", "postgresql"])
def any_ministry(request: pytest.FixtureRequest, tmp_path: Path, hands: Hands) -> Ministry:
    """A ministry whose store is SQLite, and one whose store is PostgreSQL."""
    if request.param == "sqlite":
        return Ministry(tmp_path, hands)
    database: Callable[[str], str] = request.getfixturevalue("postgres")
    name = f"bridge-{tmp_path.name}"[:60]
    url = database(name).replace("postgresql://", "postgresql+psycopg://")
    return Ministry(tmp_path, hands, database=url)


@pytest.fixture(scope="session")
def clamav(missing_part: Callable[[str], NoReturn]) -> Iterator[Clamav]:
    """A real clamd that knows the EICAR test file."""
    with TemporaryDirectory(prefix="rabta-clamav-") as name:
        scanner = Clamav(Path(name), {"Rabta.Test.Eicar": EICAR})
        try:
            scanner.start()
        except YardError as fault:
            missing_part(str(fault))
        scanner.wait_ready()
        yield scanner
        scanner.stop()


@pytest.fixture
def infected() -> bytes:
    """A file that the scanner knows."""
    return b"%PDF-1.4 " + EICAR
