"""What the processes of one homeserver do, and what each is told: pure values in and out.

Setting names as in Synapse's
configuration manual and its page on workers.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

MAIN = "main"
_USES = ("http", "replication", "metrics")
# Every stream that another process than the main one may write; "events" has its own.
_STREAMS_OF_FIRST = ("to_device", "account_data", "push_rules", "device_lists")
_STREAMS_OF_LAST = ("typing", "receipts", "presence")

Names = Annotated[tuple[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], ...], Field()]


class Plan(BaseModel):
    """The worker processes of a homeserver, by what they do. Every name is of one process.

    Attributes:
        generic: Answer clients and other ministries; the first and the last write streams.
        federation_senders: Send to other ministries, each to its share of them.
        event_persisters: Write events, each those of its share of the rooms.
        media: Answer for media alone; none: the main process does.
        background: Where periodic work runs: Synapse's own, and what the door does once for
            all processes; None: the last generic one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    generic: Annotated[Names, Field(min_length=1)] = ("generic1", "generic2")
    federation_senders: Annotated[Names, Field(min_length=1)] = ("federation_sender1",)
    event_persisters: Annotated[Names, Field(min_length=1)] = ("event_persister1",)
    media: Names = ()
    background: str | None = None

    @model_validator(mode="after")
    def _each_name_once(self) -> "Plan":
        names = [MAIN, *self.workers]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{', '.join(twice)}: each process has a name of its own")
        return self

    @property
    def workers(self) -> tuple[str, ...]:
        """Every process but the main one."""
        own = (self.background,) if self.background else ()
        return (
            *self.generic,
            *self.federation_senders,
            *self.event_persisters,
            *self.media,
            *own,
        )

    @property
    def processes(self) -> tuple[str, ...]:
        """Every process."""
        return (MAIN, *self.workers)

    @property
    def runs_background(self) -> str:
        """The process that does periodic work."""
        return self.background or self.generic[-1]

    @property
    def writers(self) -> Mapping[str, tuple[str, ...]]:
        """Stream -> the processes that alone write it; the router sends its endpoints there."""
        return {
            "events": self.event_persisters,
            **dict.fromkeys(_STREAMS_OF_FIRST, self.generic[:1]),
            **dict.fromkeys(_STREAMS_OF_LAST, self.generic[-1:]),
        }

    @property
    def port_uses(self) -> tuple[str, ...]:
        """What each port is for."""
        return ("redis", *(f"{process} {use}" for process in self.processes for use in _USES))


SMALL = Plan()
"""Main, two generic, a federation sender, an event persister: what the tests run."""


class ProcessPorts(BaseModel):
    """Loopback ports of one process: its APIs, what the other processes ask, its metrics."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    http: int
    replication: int
    metrics: int


class WorkerSettings(BaseModel):
    """A homeserver of many processes: which, and on which ports.

    Attributes:
        plan: Which processes there are.
        processes: Name -> its ports.
        redis_port: Loopback port of the Redis between them.
        redis_password_file: Holds its password.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    plan: Plan
    processes: dict[str, ProcessPorts]
    redis_port: int
    redis_password_file: Path

    @classmethod
    def of(
        cls, plan: Plan, ports: Mapping[str, int], redis_password_file: Path
    ) -> "WorkerSettings":
        """From a port for each of the plan's `port_uses`."""
        return cls(
            plan=plan,
            processes={
                process: ProcessPorts(**{use: ports[f"{process} {use}"] for use in _USES})
                for process in plan.processes
            },
            redis_port=ports["redis"],
            redis_password_file=redis_password_file,
        )


def shared_document(workers: WorkerSettings) -> dict[str, Any]:
    """What `homeserver.yaml`, which every process reads, says about the others."""
    plan = workers.plan
    return {
        "listeners": listeners(workers.processes[MAIN], media=not plan.media),
        "enable_metrics": True,
        "redis": {
            "enabled": True,
            "host": "127.0.0.1",
            "port": workers.redis_port,
            "password_path": str(workers.redis_password_file),
        },
        "stream_writers": {stream: list(names) for stream, names in plan.writers.items()},
        "federation_sender_instances": list(plan.federation_senders),
        "run_background_tasks_on": plan.runs_background,
        "update_user_directory_from_worker": plan.runs_background,
        **_media(plan),
    }


def _media(plan: Plan) -> dict[str, Any]:
    if not plan.media:
        return {}
    return {"enable_media_repo": False, "media_instance_running_background_jobs": plan.media[0]}


def instances(workers: WorkerSettings) -> dict[str, Any]:
    """The `instance_map`: where the processes reach each other."""
    return {
        name: {"host": "127.0.0.1", "port": ports.replication}
        for name, ports in workers.processes.items()
    }


def worker_document(name: str, workers: WorkerSettings, *, log_config: Path) -> dict[str, Any]:
    """The further settings of one worker."""
    media = name in workers.plan.media
    return {
        "worker_app": "synapse.app.generic_worker",
        "worker_name": name,
        "worker_listeners": listeners(workers.processes[name], media=media),
        "worker_log_config": str(log_config),
        **({"enable_media_repo": True} if media else {}),
    }


def listeners(ports: ProcessPorts, *, media: bool) -> list[dict[str, Any]]:
    """Where a process listens: APIs behind the router, replication apart from them, metrics."""
    apis = ["client", "federation", *(["media"] if media else [])]
    names = {ports.http: apis, ports.replication: ["replication"]}
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
