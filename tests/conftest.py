"""What every house's tests may ask for: real homeservers, real databases, deadlines."""

import asyncio
import inspect
import os
import shutil
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn, Protocol

import pytest
import structlog

from rabta_deploy.homeserver import Homeserver
from rabta_deploy.ports import free_port
from rabta_deploy.postgres import Postgres, PostgresError
from rabta_deploy.process import stop_all

REQUIRE_ALL = os.environ.get("RABTA_REQUIRE_ALL") == "1"
# The homeserver of ITT as main process, two generic workers, a federation sender and an event
# persister on PostgreSQL, where a test does not say otherwise.
TEST_WORKERS = os.environ.get("RABTA_TEST_WORKERS") == "1"
_databases = count(1)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Side by side (`make test` runs two at once), what shares servers stays together."""
    for item in items:
        if item.get_closest_marker("xdist_group") is not None:
            continue
        asked = getattr(item, "fixturenames", ())
        shared = (name for name in ("network", "ministries") if name in asked)
        group = next(shared, item.nodeid.partition("::")[0])
        item.add_marker(pytest.mark.xdist_group(group))


class Eventually(Protocol):
    """`await eventually(condition, within_s=10, what="...")` gives the first truthy answer."""

    async def __call__(
        self, condition: Callable[[], Any], *, within_s: float = 10, what: str = "the condition"
    ) -> Any: ...


def missing_part(reason: str) -> NoReturn:
    """Skip with the reason on a laptop, fail where everything must run (RABTA_REQUIRE_ALL=1)."""
    if REQUIRE_ALL:
        pytest.fail(f"RABTA_REQUIRE_ALL=1, but {reason}", pytrace=False)
    pytest.skip(reason)


def require_programs(*names: str) -> None:
    """Skip or fail, as `missing_part`, when Debian's program is not installed."""
    for name in names:
        if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") is None:
            missing_part(f"{name} is not installed (deploy/machine.sh tests)")


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """What a program of ours sets up for its log in one test is gone in the next."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session", name="missing_part")
def missing_part_fixture() -> Callable[[str], NoReturn]:
    """Call it with the reason when a part of the machine is missing."""
    return missing_part


@pytest.fixture(scope="session")
def eventually() -> Eventually:
    """Ask a plain or an async condition until it is truthy; fail at the deadline."""

    async def ask(
        condition: Callable[[], Any], *, within_s: float = 10, what: str = "the condition"
    ) -> Any:
        deadline = time.monotonic() + within_s
        while True:
            answer = condition()
            if inspect.isawaitable(answer):
                answer = await answer
            if answer:
                return answer
            if time.monotonic() > deadline:
                pytest.fail(f"{what} did not come within {within_s} s")
            await asyncio.sleep(0.05)

    return ask


@pytest.fixture(scope="module")
def homeserver_factory(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Homeserver]]:
    """Start real homeservers on free ports; all are stopped when the module is done.

    `homeserver_factory("itt.gov.test", door=DoorSettings(...), gateway_out_port=...,
    overrides={...}, start=True)`: keywords as `SynapseSettings`; `start=False` only makes it
    (its `verify_key` is known before it runs). Start several without `start`, then
    `.start()` all and `.wait_ready()` all, to save time. `with_workers=True` runs it as many
    processes on a PostgreSQL of the session; RABTA_TEST_WORKERS=1 does so for every `itt`.
    """
    made: list[Homeserver] = []

    def make(
        server_name: str = "itt.gov.test", *, start: bool = True, **further: Any
    ) -> Homeserver:
        ports = [free_port() for _ in range(2)]
        if TEST_WORKERS and server_name == "itt.gov.test" and "database" not in further:
            further = {"with_workers": True, **further}
        if further.get("with_workers"):
            require_programs("redis-server", "nginx")
        if further.get("with_workers") and "database" not in further:
            postgres = request.getfixturevalue("postgres")
            further["database"] = postgres(f"homeserver-{next(_databases)}")
        homeserver = Homeserver(
            server_name,
            tmp_path_factory.mktemp(server_name),
            **{"client_port": ports[0], "federation_port": ports[1], **further},
        )
        made.append(homeserver)
        if start:
            homeserver.start()
            homeserver.wait_ready()
        return homeserver

    yield make
    stop_all(child for homeserver in made for child in homeserver.children.values())


@pytest.fixture(scope="session")
def postgres() -> Iterator[Callable[[str], str]]:
    """A throw-away PostgreSQL; call it with a name for the URL of a new, empty database.

    The URL is `postgresql://...` with its role and password.
    """
    # Not below pytest's own directory, which lets nobody pass, user postgres neither.
    with TemporaryDirectory(prefix="rabta-postgres-") as name:
        directory = Path(name)
        directory.chmod(0o711)
        server = Postgres(directory / "cluster", port=free_port(), throw_away=True)
        try:
            server.start()
        except PostgresError as fault:
            missing_part(str(fault))
        server.wait_ready()
        yield server.database
        server.stop()
