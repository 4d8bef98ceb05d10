"""One homeserver on this machine: rendered into a directory, started, waited for, stopped.

Its process is `python -m synapse.app.homeserver` of the same interpreter, unmodified; with
workers, further processes stand beside it behind a router, and show the same face.
"""

import secrets
import sys
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from signedjson.key import (
    encode_signing_key_base64,
    encode_verify_key_base64,
    generate_signing_key,
    get_verify_key,
    read_signing_keys,
)

from rabta_deploy import synapse_config
from rabta_deploy.admin import SynapseAdmin
from rabta_deploy.jsonhttp import answers
from rabta_deploy.ports import require_free
from rabta_deploy.process import Child, spawn, stop_all
from rabta_deploy.secretfile import keep_secret, write_secret
from rabta_deploy.synapse_config import DoorSettings, SynapseFiles, SynapseSettings
from rabta_deploy.workers import Workers, choose_ports, health_url

__all__ = ["DoorSettings", "Homeserver", "VerifyKey"]

_READY_WITHIN_S = 120
_ADMIN = "rabta-admin"


class VerifyKey(NamedTuple):
    """A server's public signing key: `ed25519:<version>` and unpadded base64."""

    key_id: str
    key: str

    @classmethod
    def of(cls, text: str) -> "VerifyKey":
        """The public half of a signing key file's text."""
        (key,) = read_signing_keys(text.splitlines())
        return cls(f"{key.alg}:{key.version}", encode_verify_key_base64(get_verify_key(key)))


class Homeserver:
    """A homeserver of its own directory; a second start finds everything as it was left.

    Args:
        server_name: Matrix server name without a port, for example `itt.gov.test`.
        directory: Holds its configuration, keys, database and log.
        client_port: Loopback port of the client and admin APIs.
        federation_port: Loopback port of the plain federation API, for the gateway.
        with_workers: Run as many processes; the database must be PostgreSQL.
        python_path: Where further modules of its `modules` are installed, beside our own.
        further: Further fields of `SynapseSettings`.
    """

    def __init__(
        self,
        server_name: str,
        directory: Path,
        *,
        client_port: int,
        federation_port: int,
        with_workers: bool = False,
        python_path: Path | None = None,
        **further: Any,
    ) -> None:
        if with_workers:
            further["workers"] = choose_ports(directory.absolute())
        self.settings = SynapseSettings(
            server_name=server_name,
            client_port=client_port,
            federation_port=federation_port,
            **further,
        )
        self.server_name = server_name
        self._environment = {"PYTHONPATH": str(python_path)} if python_path else {}
        self.files = SynapseFiles(directory=directory.absolute())
        self.client_url = f"http://127.0.0.1:{client_port}"
        self.federation_url = f"http://127.0.0.1:{federation_port}"
        self.child: Child | None = None
        self.workers = (
            Workers(
                server_name,
                self.files.directory,
                self.settings.workers,
                client_port=client_port,
                federation_port=federation_port,
            )
            if self.settings.workers
            else None
        )

    @property
    def children(self) -> dict[str, Child]:
        """The processes that were started, by name; the main one is `homeserver`."""
        main = {"homeserver": self.child} if self.child else {}
        return main | (self.workers.children if self.workers else {})

    @property
    def running(self) -> bool:
        """Whether it was started and all its processes run."""
        return self.child is not None and all(child.running for child in self.children.values())

    @property
    def metrics_url(self) -> str | None:
        """Where the main process tells its metrics, None when it tells none."""
        return self.metrics_urls.get("main")

    @property
    def metrics_urls(self) -> dict[str, str]:
        """Where each Synapse process tells its metrics, by name."""
        ports = {"main": self.settings.metrics_port} if self.settings.metrics_port else {}
        if self.settings.workers is not None:
            ports = {name: at.metrics for name, at in self.settings.workers.processes.items()}
        return {name: f"http://127.0.0.1:{port}/_synapse/metrics" for name, port in ports.items()}

    @property
    def logs(self) -> dict[str, Path]:
        """Where each Synapse process writes its log, by name."""
        return {"main": self.files.log, **(self.workers.logs() if self.workers else {})}

    @property
    def verify_key(self) -> VerifyKey:
        """Its public signing key, for the policy; the key is made on first use."""
        return VerifyKey.of(keep_secret(self.files.signing_key, new_signing_key))

    def render(self) -> None:
        """Write `homeserver.yaml` and the log configuration; make keys and secrets once."""
        self.files.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.verify_key  # noqa: B018 - the key file must be there before Synapse makes its own
        for name in ("registration", "macaroon", "form"):
            keep_secret(self.files.secret(name))
        keep_secret(self.files.gateway_secret)
        if line := synapse_config.pgpass(self.settings.database):
            write_secret(self.files.secret("pgpass"), line)
        rendered = synapse_config.document(self.settings, self.files)
        write_secret(self.files.config, yaml.safe_dump(rendered, sort_keys=False))
        self.files.log_config.write_text(
            yaml.safe_dump(synapse_config.log_document(), sort_keys=False)
        )

    def start(self) -> None:
        """Render and start; returns at once, `wait_ready` waits and starts the workers.

        Raises:
            PortTakenError: One of its ports is taken.
            ProcessError: The interpreter cannot be started.
        """
        if self.running:
            return
        ports = {"client": self.settings.client_port, "federation": self.settings.federation_port}
        if self.settings.metrics_port is not None and self.workers is None:
            ports["metrics"] = self.settings.metrics_port
        require_free({f"{self.server_name} {use}": port for use, port in ports.items()})
        if self.workers is not None:
            self.workers.start_redis()
        self.render()
        self.child = spawn(
            [sys.executable, "-m", "synapse.app.homeserver", "-c", self.files.config],
            name=f"homeserver {self.server_name}",
            log_file=self.files.log,
            environment=self._environment,
            directory=self.files.directory,
        )

    def wait_ready(self, *, within_s: float = _READY_WITHIN_S) -> None:
        """Wait until all its processes answer `/health`.

        Raises:
            ProcessError: It ended, or is not ready in time; with its last log lines.
            RuntimeError: It was never started.
        """
        if self.child is None:
            raise RuntimeError(f"{self.server_name} was not started")
        workers = self.settings.workers
        health = health_url(workers) if workers else f"{self.client_url}/health"
        self.child.wait_ready(lambda: answers(health), within_s=within_s)
        if self.workers is not None:
            self.workers.start(self.files.config, self.files.log_config)
            self.workers.wait_ready()

    def stop(self) -> None:
        """Stop it; harmless when it does not run."""
        children = self.children
        redis = children.pop("redis", None)
        stop_all(children.values())
        if redis is not None:  # last: the others have things to say to each other as they end
            redis.stop()

    @property
    def admin(self) -> SynapseAdmin:
        """Its admin API, without an administrator's token yet."""
        return SynapseAdmin(
            self.client_url, self.files.secret("registration").read_text(encoding="utf-8")
        )

    def register(self, localpart: str, password: str, *, admin: bool = False) -> str:
        """Register an account, or leave it as it is when it exists.

        Returns:
            The user id.
        """
        self.admin.register(localpart, password, admin=admin)
        return f"@{localpart}:{self.server_name}"

    @property
    def admin_token(self) -> str:
        """Access token of its administrator; account and token are made on first use."""
        if not self.files.admin_token.exists():
            password = keep_secret(self.files.secret("admin-password"))
            self.register(_ADMIN, password, admin=True)
            token = self.admin.log_in(_ADMIN, password)
            write_secret(self.files.admin_token, token)
        return self.files.admin_token.read_text(encoding="utf-8")

    def lift_rate_limits(self, user_id: str) -> None:
        """Free one account (a bot) from rate limits."""
        self.admin.lift_rate_limits(user_id, token=self.admin_token)


def new_signing_key() -> str:
    """One line of Synapse's signing key file."""
    key = generate_signing_key(f"a_{secrets.token_hex(2)}")
    return f"{key.alg} {key.version} {encode_signing_key_base64(key)}\n"
