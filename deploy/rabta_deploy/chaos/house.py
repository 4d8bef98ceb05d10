"""The network that suffers: PostgreSQL, a homeserver, e-Office, the bridge, and cables between.

Every part can be killed, and comes back as a supervisor would bring it back. Parts are processes
as in service; the bridge and e-Office run their own commands within `victim`.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import yaml

from rabta_deploy.accounts import Account, prepare
from rabta_deploy.authority import NetworkAuthority
from rabta_deploy.chaos.cable import Cable
from rabta_deploy.chaos.steps import Part
from rabta_deploy.chaos.victim import ORDERS, Order, write_orders
from rabta_deploy.eoffice_person import Clerk
from rabta_deploy.homeserver import DoorSettings, Homeserver
from rabta_deploy.jsonhttp import answers, request
from rabta_deploy.parts import Office
from rabta_deploy.ports import PortTakenError
from rabta_deploy.postgres import Postgres
from rabta_deploy.process import Child, ProcessError, spawn, stop_all
from rabta_deploy.secretfile import write_secret
from rabta_deploy.state import remembered_ports
from rabta_policy import Address, Server, fill_servers, load_document

POLICY = Path(__file__).parents[3] / "config/demo-policy.yaml"
SERVER = "itt.gov.test"
ORGANISATION = "ITT"
BOT = "rabta"
BEGAN = "2026-01-01T00:00:00+05:00"
SINGLE_PORTS = ("postgres", "client", "federation", "eoffice", "bridge")
# Whose words go through it, and to whom.
CABLES = {
    "events": "bridge",
    "commands": "eoffice",
    "matrix": "client",
    "database": "postgres",
}
_READY_WITHIN_S = 120
_AGAIN_S = 0.3
_UNLIMITED = {"per_second": 100_000, "burst_count": 100_000}


@dataclass(frozen=True, slots=True)
class Size:
    """How big the house is.

    Attributes:
        officers: Persons, each with a client of their own.
        posts_each: Posts that each of them holds.
        on_postgres: Whether the bridge's store is PostgreSQL; else SQLite.
        homeserver_on_postgres: Whether the homeserver's is.
    """

    officers: int = 4
    posts_each: int = 6
    on_postgres: bool = True
    homeserver_on_postgres: bool = True

    @property
    def persons(self) -> dict[str, tuple[str, ...]]:
        """Person id -> the posts held."""
        return {
            f"p-{number}": tuple(
                f"ITT-P{number}-{place}" for place in range(1, 1 + self.posts_each)
            )
            for number in range(1, 1 + self.officers)
        }


@dataclass
class House:
    """The network in a directory.

    Args:
        home: Its directory; every directory above must let others pass (PostgreSQL's user).
        size: How big.
        clock: Gives the time, timezone-aware.
        say: Told, in words, what is being done.
    """

    home: Path
    size: Size
    clock: Callable[[], datetime]
    say: Callable[[str], None]
    kills: dict[str, int] = field(default_factory=dict)
    children: dict[str, Child] = field(default_factory=dict)
    cables: dict[str, Cable] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.home = self.home.absolute()
        uses = [*SINGLE_PORTS, *(f"cable/{name}" for name in CABLES)]
        self.ports = remembered_ports(self.home / "ports.json", uses)
        self.pids = self.home / "pids"
        self.pids.mkdir(exist_ok=True)
        self.told = self.home / "moments.txt"
        self.authority = NetworkAuthority(self.home / "policy")
        self.postgres = Postgres(self.home / "postgres", port=self.ports["postgres"])
        # What a part is told of another is the near end of a cable.
        self.office = Office(
            self.home, ORGANISATION, self._near("commands"), bridge_url=self._near("events")
        )
        self.eoffice_url = f"http://127.0.0.1:{self.ports['eoffice']}"
        self.bridge_url = f"http://127.0.0.1:{self.ports['bridge']}"
        self.bot_user_id = f"@{BOT}:{SERVER}"
        self._skew = timedelta(0)

    def _near(self, cable: str) -> str:
        return f"http://127.0.0.1:{self.ports[f'cable/{cable}']}"

    # -- the beginning --------------------------------------------------------------------------

    async def up(self) -> None:
        """Make and start everything but the bridge."""
        for name, behind in CABLES.items():
            cable = Cable(self.ports[f"cable/{name}"], self.ports[behind])
            await cable.start()
            self.cables[name] = cable
        self.postgres.start()
        self._keep(Part.DATABASE, self.postgres.child)
        await asyncio.to_thread(self.postgres.wait_ready)
        self.homeserver = self._homeserver()
        self._publish()
        self._start_homeserver()
        self.office.make_secrets()
        self._write_settings()
        await self.wait(Part.HOMESERVER)
        self.say("preparing the officers' accounts")
        await asyncio.to_thread(self._register)
        self.start_eoffice()
        await self.wait(Part.EOFFICE)

    def _homeserver(self) -> Homeserver:
        on_postgres = self.size.homeserver_on_postgres
        database = self.postgres.database("synapse") if on_postgres else "sqlite"
        return Homeserver(
            SERVER,
            self.home / "homeserver",
            client_port=self.ports["client"],
            federation_port=self.ports["federation"],
            door=DoorSettings(
                policy_file=self.authority.files.policy,
                authority_file=self.authority.files.authority,
            ),
            database=database,
            overrides={
                "bcrypt_rounds": 4,
                "rc_message": _UNLIMITED,
                "rc_joins": {"local": _UNLIMITED, "remote": _UNLIMITED},
                "rc_joins_per_room": _UNLIMITED,
                "rc_room_creation": _UNLIMITED,
                "rc_login": {"address": _UNLIMITED, "account": _UNLIMITED},
                "rc_invites": dict.fromkeys(("per_room", "per_user", "per_issuer"), _UNLIMITED),
            },
        )

    def _publish(self) -> None:
        server = Server(
            name=SERVER,
            address=Address(host="127.0.0.1", port=1),
            tls_ca="-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
            verify_keys=dict([self.homeserver.verify_key]),
        )
        document = fill_servers(load_document(POLICY.read_text(encoding="utf-8")), {"ITT": server})
        self.authority.publish(document, now=self.clock())

    def _write_settings(self) -> None:
        for account in self.accounts.values():
            account.password  # noqa: B018 - e-Office reads the file
        seed: dict[str, Any] = {
            "posts": [
                {"post_id": post, "designation": f"Officer {post}", "org": ORGANISATION}
                for posts in self.size.persons.values()
                for post in posts
            ],
            "persons": [
                {
                    "person_id": person,
                    "name": f"Officer {person}",
                    "password_file": str(self.accounts[person].password_file),
                }
                for person in self.size.persons
            ],
            "charges": [
                {
                    "post_id": post,
                    "person_id": person,
                    "kind": "additional" if place else "regular",
                    "from": BEGAN,
                }
                for person, posts in self.size.persons.items()
                for place, post in enumerate(posts)
            ],
        }
        self.eoffice_settings = self.office.write_eoffice(port=self.ports["eoffice"], seed=seed)
        self._amend(self.eoffice_settings, {"webhook_longest_pause_seconds": 2.0})
        persons = {
            person: {"user_id": account.user_id, "name": f"Officer {person}"}
            for person, account in self.accounts.items()
        }
        self.bridge_settings = self.office.write_bridge(
            port=self.ports["bridge"],
            user_id=self.bot_user_id,
            homeserver_url=self._near("matrix"),
            policy=self.authority.files,
            directory={"persons": persons},
        )
        changes: dict[str, Any] = {"intake": {"feed_interval_seconds": 5.0}}
        if self.size.on_postgres:
            changes["database"] = self._bridge_database()
        self._amend(self.bridge_settings, changes)

    @property
    def store_url(self) -> str:
        """The bridge's store, past the cable; with its password, not for logs."""
        if self.size.on_postgres:
            return self.postgres.database("bridge").replace(
                "postgresql://", "postgresql+psycopg://"
            )
        return f"sqlite:///{self.office.bridge_directory / 'bridge.db'}"

    def _bridge_database(self) -> dict[str, str]:
        self.postgres.database("bridge")
        url = f"postgresql+psycopg://bridge@127.0.0.1:{self.ports['cable/database']}/bridge"
        return {"url": url, "password_file": str(self.postgres.directory / "bridge.secret")}

    @staticmethod
    def _amend(file: Path, changes: dict[str, Any]) -> None:
        document = yaml.safe_load(file.read_text(encoding="utf-8")) | changes
        write_secret(file, yaml.safe_dump(document, sort_keys=False))

    def _register(self) -> None:
        prepare(list(self.accounts.values()))
        self.homeserver.register(BOT, self.office.bot_password_file.read_text(encoding="utf-8"))

    @property
    def accounts(self) -> dict[str, Account]:
        """Person id -> account."""
        return {
            person: Account(
                person,
                posts[0],
                f"@{person}:{SERVER}",
                self.homeserver,
                self.home / "accounts" / person,
            )
            for person, posts in self.size.persons.items()
        }

    def clerk(self, person: str) -> Clerk:
        """The person at work in e-Office. Blocking."""
        return Clerk(self.eoffice_url, person, self.accounts[person].password)

    # -- parts come and go ------------------------------------------------------------------------

    def _keep(self, part: Part, child: Child | None) -> None:
        if child is None:
            raise RuntimeError(f"{part} was not started")
        self.children[part] = child
        fresh = self.pids / f"{part}.fresh"
        fresh.write_text(str(child.pid))
        fresh.replace(self.pids / part)

    def _start_homeserver(self) -> None:
        self.homeserver.start()
        self._keep(Part.HOMESERVER, self.homeserver.child)

    def _start_postgres(self) -> None:
        self.postgres.start()
        self._keep(Part.DATABASE, self.postgres.child)

    def start_eoffice(self, orders: Sequence[Order] = (), skew: timedelta | None = None) -> None:
        """Start e-Office; its clock stays skewed as it was where no other skew is given."""
        self._skew = self._skew if skew is None else skew
        self._start_victim(Part.EOFFICE, self.eoffice_settings, orders, self._skew)

    def start_bridge(self, orders: Sequence[Order] = ()) -> None:
        """Start the bridge."""
        self._start_victim(Part.BRIDGE, self.bridge_settings, orders, timedelta(0))

    def _start_victim(
        self, part: Part, settings: Path, orders: Sequence[Order], skew: timedelta
    ) -> None:
        file = self.home / f"{part}.orders.json"
        write_orders(file, orders, pids=self.pids, told=self.told, skew=skew)
        child = spawn(
            [
                *(sys.executable, "-m", "rabta_deploy.chaos.victim"),
                *(part, "run", "--config", settings),
            ],
            name=part,
            log_file=self.home / f"{part}.log",
            directory=self.home,
            environment={ORDERS: str(file)},
        )
        self._keep(part, child)

    def kill(self, part: Part) -> None:
        """SIGKILL, if it runs."""
        child = self.children.get(part)
        if child is not None and child.running:
            child.kill()
            self.count(part)

    def kill_backend(self) -> None:
        """SIGKILL one of PostgreSQL's own processes: it throws all of them out and recovers."""
        with contextlib.suppress(psutil.NoSuchProcess):
            backends = psutil.Process(self.children[Part.DATABASE].pid).children()
            if backends:
                os.kill(backends[-1].pid, signal.SIGKILL)
                self.count("database-backend")

    def count(self, what: str) -> None:
        """Note a kill."""
        self.kills[what] = self.kills.get(what, 0) + 1

    async def bring_back(self, part: Part) -> None:
        """Start the homeserver or the database again, as often as it takes."""
        start = self._start_postgres if part is Part.DATABASE else self._start_homeserver
        while True:
            # Old processes of the dead part may still hold its port or its memory.
            with contextlib.suppress(PortTakenError):
                start()
                try:
                    await self.wait(part)
                except ProcessError:
                    self.say(f"{part} is not back yet")
                else:
                    return
            await asyncio.sleep(_AGAIN_S)

    async def wait(self, part: Part) -> None:
        """Wait until a part answers.

        Raises:
            ProcessError: It ended, or the deadline passed.
        """
        child = self.children[part]
        deadline = asyncio.get_running_loop().time() + _READY_WITHIN_S
        while not await asyncio.to_thread(self.answers, part):
            if not child.running or asyncio.get_running_loop().time() > deadline:
                raise ProcessError(
                    "process-ended",
                    f"{part} does not answer.",
                    f"read {child.log_file}",
                    log_tail=child.log_tail(),
                )
            await asyncio.sleep(_AGAIN_S / 3)

    def answers(self, part: Part) -> bool:
        """Whether a part answers now. Blocking."""
        if part is Part.DATABASE:
            return self.postgres.answers
        return answers(
            {
                Part.HOMESERVER: f"{self.homeserver.client_url}/health",
                Part.EOFFICE: f"{self.eoffice_url}/health",
                Part.BRIDGE: f"{self.bridge_url}/health/ready",
            }[part]
        )

    def down(self) -> None:
        """Stop everything."""
        database = self.children.pop(Part.DATABASE, None)
        stop_all(self.children.values())
        if database is not None:
            self.postgres.stop()

    # -- what the parts say -----------------------------------------------------------------------

    def status(self) -> dict[str, Any] | None:
        """What the bridge says of itself; None while it does not. Blocking."""
        try:
            told = request("GET", f"{self.bridge_url}/health/ready", timeout_s=5)
        except OSError:
            return None
        return told.body if told.status == 200 else None  # noqa: PLR2004 - ready

    def feed(self) -> list[dict[str, Any]]:
        """All that e-Office ever told, from its own books. Blocking."""
        token = self.office.feed_token_file.read_text(encoding="utf-8").strip()
        events: list[dict[str, Any]] = []
        while True:
            after = int(events[-1]["sequence"]) if events else 0
            url = f"{self.eoffice_url}/events?after={after}&limit=1000"
            page = request("GET", url, token=token).body
            if not page:
                return events
            events += page
