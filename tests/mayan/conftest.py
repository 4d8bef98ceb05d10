"""A real Mayan with a workflow, and a bridge whose e-Office it is (`make mayan`)."""

import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "bots"))

from ministry import Ministry, Running, running

from rabta_bots.clock import system_clock
from rabta_deploy.mayan import MayanServer
from rabta_deploy.mayan_library import Library, make_library, mayan_settings
from rabta_deploy.ports import free_port

HOME = os.environ.get("RABTA_MAYAN")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without `make mayan` there is no Mayan, and nothing stands in its place."""
    for item in items:
        if HOME is None and "library" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.skip(reason="run by `make mayan`"))


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """A Mayan with people, permissions and a workflow whose states hook the bridge."""
    assert HOME is not None, "run by `make mayan`"
    server = MayanServer(Path(HOME), tmp_path_factory.mktemp("mayan") / "media", free_port())
    server.prepare()
    server.start()
    try:
        yield make_library(server, bridge_port=free_port())
    finally:
        server.stop()


@pytest.fixture
async def bridged(library: Library, tmp_path: Path) -> AsyncIterator[Running]:
    """A bridge whose e-Office is Mayan, on the machine's clock: Mayan's is no other."""
    ministry = Ministry(tmp_path, system_clock)  # type: ignore[arg-type] # a clock all the same
    async with running(ministry, **mayan_settings(library, tmp_path)) as bridge:
        yield bridge
