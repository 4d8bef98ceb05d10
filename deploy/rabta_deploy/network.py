"""A whole network on one machine: two ministries, e-Office, bridge, officers, a page to sign in.

The demo and the acceptance tests run this same class. Everything it makes lies in one
directory; a second start finds it there.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from rabta_deploy import accounts, directory
from rabta_deploy.accounts import Account
from rabta_deploy.authority import NetworkAuthority
from rabta_deploy.ca import CertificateAuthority
from rabta_deploy.clamav import EICAR, Clamav
from rabta_deploy.jsonhttp import answers
from rabta_deploy.ministry import PORT_USES, RABTA, Ministry
from rabta_deploy.parts import Office, write_page
from rabta_deploy.ports import require_free
from rabta_deploy.process import Child, spawn, stop_all
from rabta_deploy.secretfile import write_secret
from rabta_deploy.state import remembered_ports
from rabta_deploy.tools import require_tools
from rabta_policy import fill_servers, load_document

CONFIG = Path(__file__).parents[2] / "config"
ORGANISATION = "ITT"
_BOT = "rabta"
_SINGLE_PORTS = ("eoffice", "bridge", "page")
_READY_WITHIN_S = 90


def silent(_step: str) -> None:
    """Report progress to nobody."""


class Network:
    """The network of a directory.

    Args:
        home: Its directory; made when it is not there.
        clock: Gives the time, timezone-aware.
        given_ports: Port use -> port, for those that shall not be chosen.
        report: Told, in words, what is being done now.
    """

    def __init__(
        self,
        home: Path,
        *,
        clock: Callable[[], datetime],
        given_ports: Mapping[str, int] | None = None,
        report: Callable[[str], None] = silent,
    ) -> None:
        self.home = home.absolute()
        self.clock = clock
        self._report = report
        self._children: dict[str, Child] = {}
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.who = directory.load(CONFIG / "demo-directory.yaml")
        uses = [f"{name}/{use}" for name in self.who.servers.values() for use in PORT_USES]
        self.ports = remembered_ports(
            self.home / "ports.json", [*uses, *_SINGLE_PORTS], given=given_ports
        )
        self.ca = CertificateAuthority(self.home / "ca")
        self.authority = NetworkAuthority(self.home / "policy")
        self.ministries = {name: self._ministry(name) for name in self.who.servers.values()}
        self.accounts = self._accounts()
        self.office = Office(
            self.home, ORGANISATION, self._url("eoffice"), bridge_url=self._url("bridge")
        )
        self._scanner = Clamav(self.home / "clamav", {"Rabta.Test.Eicar": EICAR})
        self.page_url = self._url("page")
        self.network_file = self.home / "network.json"

    def _url(self, use: str) -> str:
        return f"http://127.0.0.1:{self.ports[use]}"

    def _ministry(self, name: str) -> Ministry:
        return Ministry(
            name,
            self.home / name,
            ports={use: self.ports[f"{name}/{use}"] for use in PORT_USES},
            policy=self.authority.files,
            ca=self.ca,
            clock=self.clock,
            bot=self.bot_user_id if name == self.who.servers[ORGANISATION] else None,
        )

    def _accounts(self) -> dict[str, Account]:
        """Person id -> account, of every person who holds a post now."""
        now = self.clock()
        found = {}
        for person_id, person in self.who.persons.items():
            post_id = self.who.post_of(person_id, now)
            if post_id is not None:
                server = self.who.server_of(person_id)
                found[person_id] = Account(
                    person_id,
                    post_id,
                    self.who.user_id(person_id),
                    self.ministries[server].homeserver,
                    self.home / "accounts" / f"{person.localpart}@{server}",
                )
        return found

    @property
    def home_ministry(self) -> Ministry:
        """The ministry whose e-Office and bridge run here."""
        return self.ministries[self.who.servers[ORGANISATION]]

    @property
    def bot_user_id(self) -> str:
        """Matrix user id of the bridge."""
        return f"@{_BOT}:{self.who.servers[ORGANISATION]}"

    @property
    def children(self) -> dict[str, Child]:
        """Every process that was started, by name."""
        of_ministries = {
            name: child
            for ministry in self.ministries.values()
            for name, child in ministry.children.items()
        }
        return of_ministries | self._children

    def ended(self) -> list[Child]:
        """Processes that were started and run no more."""
        return [child for child in self.children.values() if not child.running]

    def up(self) -> None:
        """Start everything, and return when all of it answers. On any failure, nothing stays.

        Raises:
            YardError: In words, with a cure.
        """
        try:
            self._up()
        except BaseException:
            self.down()
            raise

    def down(self) -> None:
        """Stop everything that runs."""
        stop_all(self.children.values())

    def _up(self) -> None:
        require_tools()
        require_free(self.ports)
        self._report("signing the policy")
        self.publish(self.policy_document())
        # An earlier start came to its end: every account is there, and all may start at once.
        known = self.network_file.exists()
        self.office.make_secrets()
        self._report("starting two homeservers, their gateways, e-Office and the page")
        for ministry in self.ministries.values():
            ministry.start()
        self._start_page()
        self._start_eoffice()
        self._start_scanner()
        if known:
            self._start_bridge()
        for ministry in self.ministries.values():
            ministry.wait_ready()
        if not known:
            self._report("preparing the officers' accounts")
            accounts.prepare(list(self.accounts.values()))
            self._prepare_bot()
            self._start_bridge()
        self._report("waiting for the bridge")
        self._wait("page", f"{self.page_url}/health")
        self._wait("eoffice", f"{self.office.eoffice_url}/health")
        self._wait("bridge", f"{self.office.bridge_url}/health/ready")
        write_secret(self.network_file, json.dumps(self.description(), indent=2) + "\n")

    def policy_document(self) -> dict[str, Any]:
        """The demo's policy with this network's addresses, keys and CA filled in."""
        source = CONFIG / "demo-policy.yaml"
        document = load_document(source.read_text(encoding="utf-8"))
        servers = {code: self.ministries[name].pinned for code, name in self.who.servers.items()}
        return fill_servers(document, servers) | {"tls_ca": self.ca.pem}

    def publish(self, document: Mapping[str, Any]) -> int:
        """Sign a policy and give it to every process; returns its serial."""
        return self.authority.publish(document, now=self.clock())

    def _prepare_bot(self) -> None:
        homeserver = self.home_ministry.homeserver
        homeserver.register(_BOT, self.office.bot_password_file.read_text(encoding="utf-8"))
        homeserver.lift_rate_limits(self.bot_user_id)
        for ministry in self.ministries.values():
            ministry.homeserver.admin_token  # noqa: B018 - the file is named in network.json

    def _start_page(self) -> None:
        servers = [ministry.homeserver for ministry in self.ministries.values()]
        file = write_page(
            self.home / "page" / "page.yaml",
            port=self.ports["page"],
            config={"homeservers": {server.server_name: server.client_url for server in servers}},
            connect_to=tuple(server.client_url for server in servers),
        )
        self._spawn("page", [*RABTA[:2], "rabta_deploy.page", file])

    def _start_eoffice(self) -> None:
        for account in self.accounts.values():
            account.password  # noqa: B018 - e-Office reads the file
        passwords = {person: account.password_file for person, account in self.accounts.items()}
        settings = self.office.write_eoffice(
            port=self.ports["eoffice"], seed=self.who.eoffice_seed(passwords)
        )
        self._spawn("eoffice", [*RABTA, "eoffice", "run", "--config", settings])

    def _start_scanner(self) -> None:
        """ClamAV where the machine has it, with the one signature of the harmless test file."""
        if self._scanner.usable:
            self._scanner.start()
            if self._scanner.child is not None:
                self._children["clamav"] = self._scanner.child

    def _start_bridge(self) -> None:
        settings = self.office.write_bridge(
            port=self.ports["bridge"],
            user_id=self.bot_user_id,
            homeserver_url=self.home_ministry.homeserver.client_url,
            policy=self.authority.files,
            directory=self.who.bridge_document(),
            scanner=self._scanner.address if self._scanner.usable else None,
        )
        self._spawn("bridge", [*RABTA, "bridge", "run", "--config", settings])

    def _spawn(self, name: str, command: list[str | Path]) -> None:
        directory = self.home / name
        self._children[name] = spawn(
            command, name=name, log_file=directory / f"{name}.log", directory=directory
        )

    def _wait(self, name: str, url: str) -> None:
        self._children[name].wait_ready(lambda: answers(url), within_s=_READY_WITHIN_S)

    def description(self) -> dict[str, Any]:
        """What `network.json` says; see docs/reference/network-json.md."""
        return {
            "ca_file": str(self.ca.certificate_file),
            "policy_file": str(self.authority.files.policy),
            "homeservers": [
                {
                    "server_name": name,
                    "client_url": ministry.homeserver.client_url,
                    "federation_url": ministry.federation_url,
                    "admin_token_file": str(ministry.homeserver.files.admin_token),
                }
                for name, ministry in self.ministries.items()
            ],
            "accounts": [
                {
                    "user_id": account.user_id,
                    "password_file": str(account.password_file),
                    "post_id": account.post_id,
                    "homeserver": account.homeserver.server_name,
                }
                for account in self.accounts.values()
            ],
            "eoffice": {"url": self.office.eoffice_url},
            "bridge": {
                "url": self.office.bridge_url,
                "webhook_secret_file": str(self.office.webhook_secret_file),
                "user_id": self.bot_user_id,
            },
            "web_client": {"url": self.page_url},
            "pids": {name: child.pid for name, child in self.children.items()},
        }
