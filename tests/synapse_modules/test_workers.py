"""With a worker beside the main process: the policy is in force in both, within seconds."""

import shutil
import sys
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from network import Network, Person

from rabta_deploy.jsonhttp import answers
from rabta_deploy.ports import free_port
from rabta_deploy.process import spawn, stop_all

pytestmark = pytest.mark.network

ASK = "/_matrix/federation/v1/query/directory?room_alias=%23none%3Aitt.gov.test"


async def test_a_new_policy_is_in_force_in_every_process(
    network: Network,
    postgres: Callable[[str], str],
    missing_part: Callable[[str], None],
    eventually: Any,
) -> None:
    if shutil.which("redis-server") is None:
        missing_part("Redis is not installed (apt install redis-server)")
    itt = network.homeservers["ITT"]
    redis, replication, worker = free_port(), free_port(), free_port()
    started = [
        spawn(
            ["redis-server", "--port", str(redis), "--bind", "127.0.0.1", "--save", ""],
            name="Redis",
            log_file=itt.files.directory / "redis.log",
            directory=itt.files.directory.parent,
        )
    ]
    try:
        itt.settings = itt.settings.model_copy(
            update={
                "database": postgres("workers"),
                "overrides": itt.settings.overrides
                | {
                    "redis": {"enabled": True, "host": "127.0.0.1", "port": redis},
                    "instance_map": {
                        "main": {"host": "127.0.0.1", "port": replication},
                        "gateway": {"host": "127.0.0.1", "port": network.board.port},
                    },
                    "listeners": [
                        listener(itt.settings.client_port, "client"),
                        listener(itt.settings.federation_port, "federation"),
                        listener(replication, "replication"),
                    ],
                },
            }
        )
        network.issue()
        network.start()
        file = itt.files.directory / "worker.yaml"
        document = {
            "worker_app": "synapse.app.generic_worker",
            "worker_name": "generic1",
            "worker_listeners": [listener(worker, "client", "federation")],
            "worker_log_config": str(itt.files.log_config),
        }
        file.write_text(yaml.safe_dump(document))
        started.append(
            spawn(
                [
                    *(sys.executable, "-m", "synapse.app.generic_worker"),
                    *("-c", itt.files.config, "-c", file),
                ],
                name="worker",
                log_file=itt.files.directory / "worker.log",
                directory=itt.files.directory,
            )
        )
        started[-1].wait_ready(lambda: answers(f"http://127.0.0.1:{worker}/health"), within_s=60)
        amna = network.person("amna")
        await eventually(network.in_force)
        peer = network.hostiles["LAW"]

        def status() -> int:
            return peer.request(worker, itt.server_name, "GET", ASK).status

        assert status() == 403
        network.issue(open_to_law=True)
        await eventually(lambda: status() == 404, what="LAW open at the worker")
        network.issue()
        await eventually(lambda: status() == 403, what="LAW closed at the worker")

        # A person at the worker is judged there, and the worker has an audit of its own.
        at_worker = Person(itt, amna.user_id, amna.token)
        room_id = amna.room()
        itt.client_url = f"http://127.0.0.1:{worker}"
        assert at_worker.invite(room_id, "@x:war.gov.test").reason == "no-permit"
        chains = {path.name.partition("-0")[0] for path in (network.audit / "ITT").glob("*.jsonl")}
        assert chains == {"door-main", "door-generic1"}
    finally:
        itt.stop()
        stop_all(started)


def listener(port: int, *resources: str) -> dict[str, Any]:
    """An HTTP listener on loopback."""
    return {
        "port": port,
        "bind_addresses": ["127.0.0.1"],
        "type": "http",
        "resources": [{"names": list(resources)}],
    }
