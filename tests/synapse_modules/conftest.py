"""A small network of real homeservers with the door, and a hostile one among them."""

import sys
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rabta_deploy.ca import CertificateAuthority
from rabta_deploy.homeserver import Homeserver
from rabta_deploy.ports import free_port

sys.path.insert(0, str(Path(__file__).parent))

with warnings.catch_warnings():
    # Twisted warns about itself when Synapse's servers are imported, once in a process.
    warnings.simplefilter("ignore", DeprecationWarning)
    import synapse.module_api  # noqa: F401

from hostile import Hostile
from network import Network
from network_policy import Seal, server

from rabta_deploy.switchboard import Switchboard


def now_ms() -> int:
    """The real time: federation signatures and events carry it."""
    return time.time_ns() // 1_000_000


def now() -> datetime:
    """The real time, with its zone."""
    return datetime.fromtimestamp(now_ms() / 1000, UTC)


@pytest.fixture(scope="module")
def network(
    tmp_path_factory: pytest.TempPathFactory,
    homeserver_factory: Callable[..., Homeserver],
    request: pytest.FixtureRequest,
) -> Iterator[Network]:
    """Homeservers of ITT (and FIN, when the module asks for it), hostile LAW and WAR.

    A module sets `HOMESERVERS = ("ITT", "FIN")` to have two real ones; by default FIN is hostile
    too. `DOOR` adds to the door's settings of ITT. With `ITT_WITH_WORKERS = True` ITT runs as many
    processes. Nothing is started and no policy is issued yet.
    """
    directory = tmp_path_factory.mktemp("door")
    real = getattr(request.module, "HOMESERVERS", ("ITT",))
    overrides = getattr(request.module, "OVERRIDES", {})
    board = Switchboard()
    seal = Seal(directory)
    tls_ca = CertificateAuthority(directory / "ca").pem
    homeservers: dict[str, Homeserver] = {}
    hostiles: dict[str, Hostile] = {}
    servers: dict[str, dict[str, Any]] = {}
    for code in ("ITT", "FIN", "LAW", "WAR"):
        name = f"{code.lower()}.gov.test"
        if code in real:
            door = {
                "policy_file": str(seal.policy_file),
                "authority_file": str(seal.authority_file),
                "reload_interval_ms": 200,
                "audit_directory": str(directory / "audit" / code),
                **(getattr(request.module, "DOOR", {}) if code == "ITT" else {}),
            }
            module = {"module": "rabta_synapse.Door", "config": door}
            workers = getattr(request.module, "ITT_WITH_WORKERS", False) and code == "ITT"
            made = homeserver_factory(
                name,
                start=False,
                **({"with_workers": True} if workers else {"metrics_port": free_port()}),
                gateway_out_port=board.port,
                overrides={"modules": [module], **overrides},
            )
            homeservers[code] = made
            board.homeserver(name, made.settings.federation_port)
            servers[code] = server(name, dict([made.verify_key]), tls_ca)
        else:
            peer = Hostile(name, now_ms)
            hostiles[code] = peer
            board.peer(name, peer.answer)
            servers[code] = server(name, peer.verify_keys, tls_ca)
    yield Network(
        homeservers=homeservers,
        hostiles=hostiles,
        servers=servers,
        seal=seal,
        board=board,
        audit=directory / "audit",
        now=now,
    )
    board.close()
