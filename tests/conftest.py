"""What every house's tests may ask for: real homeservers, real databases, deadlines."""

import asyncio
import inspect
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn, Protocol

import pytest

from rabta_deploy.homeserver import Homeserver
from rabta_deploy.ports import free_port
from rabta_deploy.process import spawn, stop_all, until

REQUIRE_ALL = os.environ.get("RABTA_REQUIRE_ALL") == "1"


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
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[..., Homeserver]]:
    """Start real homeservers on free ports; all are stopped when the module is done.

    `homeserver_factory("itt.gov.test", door=DoorSettings(...), gateway_out_port=...,
    overrides={...}, start=True)`: keywords as `SynapseSettings`; `start=False` only makes it
    (its `verify_key` is known before it runs). Start several without `start`, then
    `.start()` all and `.wait_ready()` all, to save time.
    """
    made: list[Homeserver] = []

    def make(
        server_name: str = "itt.gov.test", *, start: bool = True, **further: Any
    ) -> Homeserver:
        ports = [free_port() for _ in range(2)]
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
    stop_all(homeserver.child for homeserver in made if homeserver.child)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """A throw-away PostgreSQL; call it with a name for the URL of a new, empty database.

    The URL is `postgresql://...`; Debian's binaries are used, as user postgres when run by root.
    """
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not binaries:
        missing_part("PostgreSQL is not installed (apt install postgresql)")
    tools = binaries[-1]
    directory = tmp_path_factory.mktemp("postgres")
    # setpriv becomes the program, so the pid is PostgreSQL's own, and dies with the tests.
    user = ["--reuid=postgres", "--regid=postgres", "--clear-groups", "--pdeathsig=QUIT"]
    as_postgres = ["setpriv", *user, "--"] if os.geteuid() == 0 else []
    if as_postgres:
        # initdb refuses root; every directory above must let user postgres through.
        for above in (directory, *directory.parents[:3]):
            if above.owner() == "root" and above != Path("/tmp"):  # noqa: S108 - never widened
                above.chmod(above.stat().st_mode | 0o011)
        shutil.chown(directory, "postgres", "postgres")
    data = directory / "data"
    subprocess.run(
        [
            *as_postgres,
            tools / "initdb",
            "-D",
            data,
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        ],
        check=True,
        capture_output=True,
        cwd=directory,
    )
    port = free_port()
    quick = [f"-c{name}=off" for name in ("fsync", "synchronous_commit", "full_page_writes")]
    server = spawn(
        [
            *as_postgres,
            tools / "postgres",
            "-D",
            data,
            "-p",
            str(port),
            "-k",
            directory,
            "-c",
            "listen_addresses=127.0.0.1",
            *quick,
        ],
        name="PostgreSQL",
        log_file=tmp_path_factory.mktemp("postgres-log") / "postgres.log",
        directory=directory,
    )

    def sql(statement: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [
                tools / "psql",
                "-h",
                "127.0.0.1",
                "-p",
                str(port),
                "-U",
                "postgres",
                "-qtAc",
                statement,
            ],
            check=False,
            capture_output=True,
            text=True,
        )

    server.wait_ready(lambda: sql("select 1").returncode == 0, within_s=30)

    def database(name: str) -> str:
        made = sql(f'create database "{name}"')
        assert made.returncode == 0, made.stderr
        return f"postgresql://postgres@127.0.0.1:{port}/{name}"

    yield database
    stop_all([server])
    assert until(lambda: not server.running, within_s=10)
