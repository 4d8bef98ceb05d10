"""What the processes of one homeserver do, and what each is told: pure values in and out.

One process writes each stream, one sends federation, one persists events, one does the work
nobody waits for; two answer people and other ministries. Setting names as in Synapse's
configuration manual and its page on workers.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

MAIN = "main"
GENERIC = ("generic1", "generic2")
FEDERATION_SENDER = "federation_sender1"
EVENT_PERSISTER = "event_persister1"
WORKERS = (*GENERIC, FEDERATION_SENDER, EVENT_PERSISTER)
PROCESSES = (MAIN, *WORKERS)

WRITERS: Mapping[str, str] = {
    "events": EVENT_PERSISTER,
    "to_device": GENERIC[0],
    "account_data": GENERIC[0],
    "push_rules": GENERIC[0],
    "device_lists": GENERIC[0],
    "typing": GENERIC[1],
    "receipts": GENERIC[1],
    "presence": GENERIC[1],
}
"""Stream -> the process that alone writes it; the router sends its endpoints there."""

BACKGROUND = GENERIC[1]
"""Where periodic work runs: Synapse's own, and what the door does once for all processes."""

_USES = ("http", "replication", "metrics")
PORT_USES = ("redis", *(f"{process} {use}" for process in PROCESSES for use in _USES))


class ProcessPorts(BaseModel):
    """Loopback ports of one process: its APIs, what the other processes ask, its metrics."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    http: int
    replication: int
    metrics: int


class WorkerSettings(BaseModel):
    """The ports of a homeserver of many processes.

    Attributes:
        processes: Name (`PROCESSES`) -> its ports.
        redis_port: Loopback port of the Redis between them.
        redis_password_file: Holds its password.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    processes: dict[str, ProcessPorts]
    redis_port: int
    redis_password_file: Path

    @classmethod
    def of(cls, ports: Mapping[str, int], redis_password_file: Path) -> "WorkerSettings":
        """From a port for each of `PORT_USES`."""
        return cls(
            processes={
                process: ProcessPorts(**{use: ports[f"{process} {use}"] for use in _USES})
                for process in PROCESSES
            },
            redis_port=ports["redis"],
            redis_password_file=redis_password_file,
        )


def shared_document(workers: WorkerSettings) -> dict[str, Any]:
    """What `homeserver.yaml`, which every process reads, says about the others."""
    return {
        "listeners": listeners(workers.processes[MAIN]),
        "enable_metrics": True,
        "redis": {
            "enabled": True,
            "host": "127.0.0.1",
            "port": workers.redis_port,
            "password_path": str(workers.redis_password_file),
        },
        "stream_writers": {stream: [writer] for stream, writer in WRITERS.items()},
        "federation_sender_instances": [FEDERATION_SENDER],
        "run_background_tasks_on": BACKGROUND,
        "update_user_directory_from_worker": BACKGROUND,
    }


def instances(workers: WorkerSettings) -> dict[str, Any]:
    """The `instance_map`: where the processes reach each other."""
    return {
        name: {"host": "127.0.0.1", "port": ports.replication}
        for name, ports in workers.processes.items()
    }


def worker_document(name: str, workers: WorkerSettings, *, log_config: Path) -> dict[str, Any]:
    """The further settings of one worker."""
    return {
        "worker_app": "synapse.app.generic_worker",
        "worker_name": name,
        "worker_listeners": listeners(workers.processes[name]),
        "worker_log_config": str(log_config),
    }


def listeners(ports: ProcessPorts) -> list[dict[str, Any]]:
    """Where a process listens: APIs behind the router, replication apart from them, metrics."""
    names = {ports.http: ["client", "federation"], ports.replication: ["replication"]}
    http = [
        {
            "port": port,
            "bind_addresses": ["127.0.0.1"],
            "type": "http",
            "tls": False,
            "x_forwarded": port == ports.http,
            "resources": [{"names": resources, "compress": False}],
        }
        for port, resources in names.items()
    ]
    return [
        *http,
        {"port": ports.metrics, "bind_addresses": ["127.0.0.1"], "type": "metrics"},
    ]
