"""One ministry on this machine: its homeserver with the door, and its border gateway."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from rabta_deploy.ca import CertificateAuthority
from rabta_deploy.homeserver import DoorSettings, Homeserver
from rabta_deploy.jsonhttp import answers, request
from rabta_deploy.ports import require_free
from rabta_deploy.process import Child, spawn, stop_all
from rabta_deploy.secretfile import write_secret
from rabta_policy import Address, Server

RABTA = (sys.executable, "-m", "rabta_deploy.cli")
PORT_USES = ("client", "federation", "metrics", "gateway-in", "gateway-out", "gateway-metrics")
_GATEWAY_READY_WITHIN_S = 60


@dataclass(frozen=True, slots=True)
class PolicyFiles:
    """The signed policy that a ministry follows, and the authority keys it pins."""

    policy: Path
    authority: Path


class Ministry:
    """A homeserver that reaches others, and is reached, through its gateway alone.

    Args:
        server_name: Matrix server name without a port.
        directory: Holds both, in `homeserver/` and `gateway/`.
        ports: A port for each of `PORT_USES`.
        policy: What door and gateway read.
        ca: Signs the gateway's certificate.
        clock: Gives the time, timezone-aware.
        bot: User id of the ministry's bot, which raises classes for officers.
        further: Further fields of `SynapseSettings`.
    """

    def __init__(
        self,
        server_name: str,
        directory: Path,
        *,
        ports: Mapping[str, int],
        policy: PolicyFiles,
        ca: CertificateAuthority,
        clock: Callable[[], datetime],
        bot: str | None = None,
        **further: Any,
    ) -> None:
        self.server_name = server_name
        self.ports = dict(ports)
        self.federation_url = f"https://127.0.0.1:{ports['gateway-in']}"
        self.gateway_metrics_url = f"http://127.0.0.1:{ports['gateway-metrics']}/metrics"
        self._health_url = f"http://127.0.0.1:{ports['gateway-metrics']}/health"
        self.gateway_directory = directory.absolute() / "gateway"
        self.gateway: Child | None = None
        self._policy = policy
        self._ca = ca
        self._clock = clock
        door = DoorSettings(
            policy_file=policy.policy.absolute(),
            authority_file=policy.authority.absolute(),
            ministry_bot=bot,
        )
        self.homeserver = Homeserver(
            server_name,
            directory / "homeserver",
            client_port=ports["client"],
            federation_port=ports["federation"],
            metrics_port=ports["metrics"],
            gateway_out_port=ports["gateway-out"],
            **{"door": door, **further},
        )

    @property
    def children(self) -> dict[str, Child]:
        """The processes that were started, by name."""
        gateway = {"gateway": self.gateway} if self.gateway else {}
        parts = self.homeserver.children | gateway
        return {f"{self.server_name}/{name}": child for name, child in parts.items()}

    @property
    def pinned(self) -> Server:
        """What a policy pins about this server: its name, address and signing key."""
        key = self.homeserver.verify_key
        return Server(
            name=self.server_name,
            address=Address(host="127.0.0.1", port=self.ports["gateway-in"]),
            verify_keys={key.key_id: key.key},
        )

    @property
    def client_url(self) -> str:
        """Where its clients arrive."""
        return self.homeserver.client_url

    @property
    def policy_serial(self) -> int:
        """Serial of the policy that its gateway follows now."""
        return int(request("GET", self._health_url).body["serial"])

    def start(self) -> None:
        """Start both processes and return at once. The policy files must be there.

        Raises:
            PortTakenError: A port is taken.
            ProcessError: The interpreter cannot be started.
        """
        mine = {use: port for use, port in self.ports.items() if use.startswith("gateway")}
        require_free({f"{self.server_name} {use}": port for use, port in mine.items()})
        self.homeserver.start()
        file = self.gateway_directory / "gateway.yaml"
        write_secret(file, yaml.safe_dump(self._gateway_document(), sort_keys=False))
        self.gateway = spawn(
            [*RABTA, "gateway", "run", "--config", file],
            name=f"gateway {self.server_name}",
            log_file=self.gateway_directory / "gateway.log",
            directory=self.gateway_directory,
        )

    def wait_ready(self) -> None:
        """Wait until both answer.

        Raises:
            ProcessError: One ended, or is not ready in time.
        """
        if self.gateway is None:
            raise RuntimeError(f"{self.server_name} was not started")
        self.gateway.wait_ready(lambda: answers(self._health_url), within_s=_GATEWAY_READY_WITHIN_S)
        self.homeserver.wait_ready()

    def stop(self) -> None:
        """Stop both; harmless when they do not run."""
        stop_all([self.gateway] if self.gateway else [])
        self.homeserver.stop()

    def _gateway_document(self) -> dict[str, Any]:
        leaf = self._ca.leaf(self.server_name, now=self._clock())
        return {
            "server_name": self.server_name,
            "policy_file": str(self._policy.policy.absolute()),
            "authority_file": str(self._policy.authority.absolute()),
            "state_file": str(self.gateway_directory / "state.json"),
            "inbound": {
                "host": "127.0.0.1",
                "port": self.ports["gateway-in"],
                "tls_certificate_file": str(leaf.certificate_file.absolute()),
                "tls_key_file": str(leaf.key_file.absolute()),
                "upstream": self.homeserver.federation_url,
            },
            "outbound": {
                "host": "127.0.0.1",
                "port": self.ports["gateway-out"],
                "secret_file": str(self.homeserver.files.gateway_secret),
            },
            "metrics": {"host": "127.0.0.1", "port": self.ports["gateway-metrics"]},
        }
