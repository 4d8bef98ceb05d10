"""A ministry as `rabta site` makes it, with the face of `Ministry`: the same tests run on both."""

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

from rabta_deploy.admin import SynapseAdmin
from rabta_deploy.jsonhttp import request
from rabta_deploy.process import Child
from rabta_deploy.site.layout import below
from rabta_deploy.site.reading import load
from rabta_deploy.site.running import Running, require_programs
from rabta_deploy.site.trial import Trial, make
from rabta_policy import Server


class SiteMinistry:
    """A trial site: PostgreSQL, Redis, main and five workers, nginx with TLS, gateway.

    Args:
        server_name: Matrix server name without a port.
        directory: Of the site; user postgres must pass through every directory above.
        network: Of the trial network: CA, authority keys, policy.
        organisation: A code of the trial policy.
        clock: Gives the time, timezone-aware.

    Raises:
        YardError: `program-missing`.
    """

    def __init__(
        self,
        server_name: str,
        directory: Path,
        *,
        network: Path,
        organisation: str,
        clock: Callable[[], datetime],
    ) -> None:
        trial = Trial(directory, network, organisation, server_name)
        make(trial, clock, {})
        self.running = Running(load(trial.file), below(directory))
        require_programs(self.running.parts.values())
        self.homeserver = SiteHomeserver(self.running)
        site, ports = self.running.site, self.running.ports
        assert site.federation is not None
        self.ports = {"gateway-in": site.federation.port}
        self.client_url = f"https://127.0.0.1:{site.client.port}"
        self.gateway_metrics_url = f"http://127.0.0.1:{ports['gateway metrics']}/metrics"
        self._health_url = f"http://127.0.0.1:{ports['gateway metrics']}/health"
        noted = json.loads((network / "sites.json").read_text(encoding="utf-8"))
        self.pinned = Server.model_validate(noted[organisation]["server"])

    @property
    def children(self) -> dict[str, Child]:
        return self.running.children

    @property
    def policy_serial(self) -> int:
        return int(request("GET", self._health_url).body["serial"])

    def start(self) -> None:
        self.running.up()

    def wait_ready(self) -> None:
        """`up` has waited."""

    def stop(self) -> None:
        self.running.down()


class SiteHomeserver:
    """Its homeserver, as those ask who operate it: on the loopback, behind the router."""

    def __init__(self, running: Running) -> None:
        layout = running.layout
        self._running = running
        self.server_name = running.site.server_name
        self.client_url = running.client_url
        self.register = running.register
        self.lift_rate_limits = running.lift_rate_limits
        self.files = SimpleNamespace(
            signing_key=layout.secret("signing.key"),
            admin_token=layout.secret("administrator.token"),
        )
        passfile = quote(str(layout.secret("database-password")), safe="")
        self.settings = SimpleNamespace(
            database=f"postgresql://synapse@127.0.0.1:{running.ports['postgres']}/synapse"
            f"?passfile={passfile}"
        )

    @property
    def children(self) -> dict[str, Child]:
        """Its Synapse processes."""
        found = self._running.children.items()
        return {name: child for name, child in found if name.startswith("synapse-")}

    @property
    def logs(self) -> dict[str, Path]:
        return {name: child.log_file for name, child in self.children.items()}

    @property
    def admin(self) -> SynapseAdmin:
        return self._running.admin

    @property
    def admin_token(self) -> str:
        return self._running.administrator_token
