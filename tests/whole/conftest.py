"""Three ministries, started once for all tests of the whole that ask for them."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from three_ministries import FIN, ITT, Ministries

from rabta_deploy.fault import YardError


@pytest.fixture(scope="session")
def ministries(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Ministries]:
    """Three ministries, started once; each test publishes the policy it needs.

    With RABTA_TEST_WORKERS=1 that of ITT runs as many processes on PostgreSQL. With
    RABTA_TEST_SITE=1 ITT and FIN are two trial sites, and their clients arrive by TLS.
    """
    further: dict[str, dict[str, Any]] = {}
    if os.environ.get("RABTA_TEST_WORKERS") == "1":
        database = request.getfixturevalue("postgres")("ministry-itt")
        further[ITT] = {"with_workers": True, "database": database}
    if os.environ.get("RABTA_TEST_SITE") == "1":
        yield from sites(request.getfixturevalue("missing_part"))
        return
    yield from started(Ministries(tmp_path_factory.mktemp("ministries"), further))


def sites(missing_part: Callable[[str], None]) -> Iterator[Ministries]:
    """The same three, of which two are sites."""
    # Below /tmp itself: user postgres must pass through every directory above.
    with TemporaryDirectory(prefix="rabta-sites-") as name, pytest.MonkeyPatch.context() as patch:
        home = Path(name)
        home.chmod(0o711)
        try:
            network = Ministries(home, {}, sites=(ITT, FIN))
        except YardError as fault:
            if fault.reason != "program-missing":
                raise
            missing_part(str(fault))
        # The clients of these tests trust the CA of the trial network.
        patch.setenv("SSL_CERT_FILE", str(network.ca.certificate_file))
        yield from started(network)


def started(network: Ministries) -> Iterator[Ministries]:
    """Start, lend, stop."""
    try:
        network.start()
        yield network
    finally:
        network.stop()
