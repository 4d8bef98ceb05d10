"""The further processes of a homeserver that has outgrown one: Redis, workers, the router.

They are started when the main process is ready, for it alone prepares the database; Redis is
there before it.
"""

import sys
from pathlib import Path

import yaml

from rabta_deploy.jsonhttp import answers
from rabta_deploy.ports import require_free
from rabta_deploy.process import Child, spawn
from rabta_deploy.redis import Redis
from rabta_deploy.router import Router
from rabta_deploy.secretfile import write_secret
from rabta_deploy.state import remembered_ports
from rabta_deploy.worker_config import MAIN, SMALL, WorkerSettings, worker_document

__all__ = ["WorkerSettings", "Workers", "choose_ports"]

_READY_WITHIN_S = 240
"""Four processes start at once; each needs some seconds of a core for itself."""


def choose_ports(directory: Path) -> WorkerSettings:
    """Settings with free ports, the same ones ever after for the same directory."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    ports = remembered_ports(directory / "worker-ports.json", SMALL.port_uses)
    return WorkerSettings.of(SMALL, ports, directory / "redis" / "redis.secret")


class Workers:
    """What runs beside the main process.

    Args:
        server_name: The homeserver's Matrix name.
        directory: The homeserver's directory.
        settings: The ports.
        client_port: Loopback port of the client and admin APIs.
        federation_port: Loopback port of the plain federation API.
    """

    def __init__(
        self,
        server_name: str,
        directory: Path,
        settings: WorkerSettings,
        *,
        client_port: int,
        federation_port: int,
    ) -> None:
        self._server_name = server_name
        self._directory = directory
        self._settings = settings
        self._redis = Redis(directory / "redis", port=settings.redis_port)
        self._router = Router(
            directory / "router",
            plan=settings.plan,
            name=f"router {server_name}",
            client_port=client_port,
            federation_port=federation_port,
            http_ports={name: ports.http for name, ports in settings.processes.items()},
        )
        self._workers: dict[str, Child] = {}

    @property
    def children(self) -> dict[str, Child]:
        """The processes that were started, by name."""
        further = {"redis": self._redis.child, "router": self._router.child}
        return self._workers | {name: child for name, child in further.items() if child}

    def logs(self) -> dict[str, Path]:
        """Where each worker writes its log, by name."""
        return {name: self._directory / f"{name}.log" for name in self._settings.plan.workers}

    def start_redis(self) -> None:
        """Start what the main process needs before it starts, and wait for it.

        Raises:
            PortTakenError: A port of any process here is taken.
            ProcessError: Redis cannot be started.
        """
        require_free(
            {
                f"{self._server_name} {name} {use}": port
                for name, ports in self._settings.processes.items()
                for use, port in ports
            }
        )
        self._redis.start()
        self._redis.wait_ready()

    def start(self, config: Path, log_config: Path) -> None:
        """Start the workers and the router; the main process has prepared the database.

        Args:
            config: `homeserver.yaml`, shared by all.
            log_config: The log configuration, shared by all.

        Raises:
            PortTakenError: A port of the router is taken.
            ProcessError: A program cannot be started.
        """
        for name, log_file in self.logs().items():
            if name in self._workers and self._workers[name].running:
                continue
            document = worker_document(name, self._settings, log_config=log_config)
            file = write_secret(
                self._directory / f"{name}.yaml", yaml.safe_dump(document, sort_keys=False)
            )
            self._workers[name] = spawn(
                [sys.executable, "-m", document["worker_app"], "-c", config, "-c", file],
                name=f"{name} {self._server_name}",
                log_file=log_file,
                directory=self._directory,
            )
        self._router.start()

    def wait_ready(self) -> None:
        """Wait until every worker and the router answer.

        Raises:
            ProcessError: One ended, or is not ready in time.
        """
        for name, child in self._workers.items():
            url = health_url(self._settings, name)
            child.wait_ready(lambda url=url: answers(url), within_s=_READY_WITHIN_S)  # type: ignore[misc] # mypy cannot infer a lambda with a default
        self._router.wait_ready()


def health_url(settings: WorkerSettings, name: str = MAIN) -> str:
    """Where a process says that it is ready."""
    return f"http://127.0.0.1:{settings.processes[name].http}/health"
