"""What the bridge's bench plays on: a homeserver with the door, a signing e-Office, the bridge."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self

import aiohttp
import psutil
from aiohttp import web

from rabta_contract import (
    SINGLE_MEDIA_TYPE,
    Event,
    batch_bytes,
    event_bytes,
    event_of,
    load_signing_secrets,
    sign,
)
from rabta_deploy.authority import NetworkAuthority
from rabta_deploy.homeserver import DoorSettings, Homeserver
from rabta_deploy.jsonhttp import answers
from rabta_deploy.ministry import RABTA, PolicyFiles
from rabta_deploy.parts import Office
from rabta_deploy.ports import free_port
from rabta_deploy.process import Child, spawn
from rabta_policy import Address, Server, fill_servers, load_document

SERVER = "itt.gov.test"
SOURCE = "/eoffice/ITT"
BOT = "rabta"
OFFICER, OFFICER_PERSON = "officer", "p-officer"
PASSWORD = "bench"  # noqa: S105 - of accounts that live as long as the bench
_READY_WITHIN_S = 120
_BATCH = 100


def now() -> datetime:
    """The wall clock: deliveries are signed and cards are timed by it."""
    return datetime.now(UTC)  # noqa: TID251 - a bench runs today


def post_of(number: int) -> dict[str, Any]:
    """The post of a number, as charge and file events name it."""
    return {
        "post_id": f"ITT-DS-{number:05d}",
        "designation": f"Deputy Secretary ({number})",
        "designation_ur": f"ڈپٹی سیکرٹری ({number})",
        "org": "ITT",
    }


class EOffice:
    """A sender of the contract: numbers, signs and pushes as the reference e-Office does.

    Args:
        office: Where the bridge is and which secret signs.
        port: Of its feed.
    """

    def __init__(self, office: Office, port: int) -> None:
        self._office = office
        self._port = port
        self._secrets = load_signing_secrets(office.webhook_secret_file)
        self._told: list[Event] = []
        self._files = 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[aiohttp.ClientSession]:
        """Serve the feed; gives the session that pushes."""
        app = web.Application()
        app.router.add_get("/events", self._feed)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", self._port).start()
            async with aiohttp.ClientSession() as session:
                yield session
        finally:
            await runner.cleanup()

    async def _feed(self, request: web.Request) -> web.Response:
        after, limit = (int(request.query[name]) for name in ("after", "limit"))
        return web.Response(
            body=batch_bytes(self._told[after : after + limit]), content_type="application/json"
        )

    def charge(self, number: int, person_id: str) -> Event:
        """A person takes charge of a post."""
        return self._event(
            "charge.assumed",
            f"post/{post_of(number)['post_id']}",
            classification="UNCLASSIFIED",
            charge={
                "post": post_of(number),
                "person_id": person_id,
                "kind": "regular",
                "from": "2026-01-01T00:00:00+05:00",
            },
        )

    def marked(self, number: int) -> Event:
        """A new file is put up to a post."""
        self._files += 1
        file_id = f"ITT-2026-{self._files:06d}"
        return self._event(
            "file.marked",
            f"file/{file_id}",
            file={
                "file_id": file_id,
                "file_no": f"F.No.{self._files}(5)/2026-Admn-II",
                "subject": "Procurement of networking equipment — نیٹ ورک آلات کی خریداری",
                "owner_org": "ITT",
                "note_para": 7,
            },
            movement={
                "from": post_of(0),
                "to": [post_of(number)],
                "purpose": "put_up",
                "movement_no": 1,
                "remarks": "Submitted for approval of para 7/N, please.",
            },
            deadline={"kind": "disposal", "due": "2027-07-15T16:00:00+05:00"},
            links=[{"rel": "open", "href": f"https://eoffice.itt.gov.test/f/{file_id}"}],
        )

    def _event(self, kind: str, subject: str, **data: Any) -> Event:
        number = len(self._told) + 1
        event = event_of(
            {
                "specversion": "1.0",
                "id": f"01BENCH{number:019d}",
                "source": SOURCE,
                "type": f"eoffice.{kind}.v1",
                "subject": subject,
                "time": now().isoformat(),
                "datacontenttype": "application/json",
                "sequence": f"{number:018d}",
                "data": {
                    "actor": {"post": post_of(0), "charge": "regular"},
                    "classification": "RESTRICTED",
                    "priority": "IMMEDIATE",
                }
                | data,
            }
        )
        self._told.append(event)
        return event

    async def push(self, session: aiohttp.ClientSession, events: Sequence[Event]) -> float:
        """Push one delivery each, in order; gives when (`perf_counter`) the last was answered."""
        answered = 0.0
        for event in events:
            body = event_bytes(event)
            headers = sign(event.id, body, self._secrets, now())
            await self._deliver(session, body, headers | {"Content-Type": SINGLE_MEDIA_TYPE})
            answered = time.perf_counter()
        return answered

    async def push_batches(self, session: aiohttp.ClientSession, events: Sequence[Event]) -> None:
        """Push the contract's largest batches, in order."""
        for start in range(0, len(events), _BATCH):
            batch = events[start : start + _BATCH]
            body = batch_bytes(batch)
            headers = sign(f"b-{batch[0].id}", body, self._secrets, now())
            kind = "application/cloudevents-batch+json"
            await self._deliver(session, body, headers | {"Content-Type": kind})

    async def _deliver(
        self, session: aiohttp.ClientSession, body: bytes, headers: Mapping[str, str]
    ) -> None:
        url = f"{self._office.bridge_url}/eoffice/events"
        async with session.post(url, data=body, headers=dict(headers)) as answer:
            # 200: the bridge had read it from the feed before.
            if answer.status not in {HTTPStatus.ACCEPTED, HTTPStatus.OK}:
                raise RuntimeError(f"a delivery was refused: {await answer.text()}")


class BridgeProcess:
    """`rabta bridge run`, and what it has cost.

    Args:
        office: Its files and its address.
        port: Of its door.
        homeserver: Where its account is.
        policy: What it follows.
    """

    def __init__(
        self, office: Office, port: int, homeserver: Homeserver, policy: PolicyFiles
    ) -> None:
        self._office = office
        self._port = port
        self._homeserver = homeserver
        self._policy = policy
        self.child: Child | None = None

    @property
    def database(self) -> Path:
        """Its store."""
        return self._office.bridge_directory / "bridge.db"

    async def start(self, persons: Mapping[str, Any]) -> float:
        """Start it and wait until it is ready; gives the seconds that took."""
        settings = self._office.write_bridge(
            port=self._port,
            user_id=f"@{BOT}:{self._homeserver.server_name}",
            homeserver_url=self._homeserver.client_url,
            policy=self._policy,
            directory={"persons": dict(persons)},
        )
        begun = time.perf_counter()
        self.child = spawn(
            [*RABTA, "bridge", "run", "--config", settings],
            name="bridge",
            log_file=self._office.bridge_directory / "bridge.log",
            directory=self._office.bridge_directory,
        )
        ready = f"{self._office.bridge_url}/health/ready"
        await asyncio.to_thread(
            self.child.wait_ready, lambda: answers(ready), within_s=_READY_WITHIN_S
        )
        return time.perf_counter() - begun

    def stop(self) -> None:
        """Stop it; its store stays."""
        if self.child is not None:
            self.child.stop(grace_s=60)

    def cpu(self) -> float:
        """CPU seconds so far."""
        return cpu_of(self.child)

    def memory(self) -> int:
        """Resident bytes now."""
        assert self.child is not None  # noqa: S101 - asked after start()
        return int(psutil.Process(self.child.pid).memory_info().rss)


def cpu_of(child: Child | None) -> float:
    """CPU seconds that a process has used so far."""
    assert child is not None  # noqa: S101 - asked after it was started
    times = psutil.Process(child.pid).cpu_times()
    return float(times.user + times.system)


class Stage:
    """Everything in a directory; an asynchronous context manager that starts and stops it.

    Args:
        home: The directory.
        template: The policy that names the homeserver.
    """

    def __init__(self, home: Path, template: Path) -> None:
        authority = NetworkAuthority(home / "policy")
        authority.publish(_policy(template), now=now())
        eoffice_port, bridge_port = free_port(), free_port()
        office = Office(
            home, "ITT", f"http://127.0.0.1:{eoffice_port}", f"http://127.0.0.1:{bridge_port}"
        )
        office.make_secrets()
        self.homeserver = _homeserver(home / "homeserver", authority.files)
        self.bridge = BridgeProcess(office, bridge_port, self.homeserver, authority.files)
        self.eoffice = EOffice(office, eoffice_port)
        self._bot_password = office.bot_password_file
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        try:
            self._stack.callback(self.homeserver.stop)
            self.homeserver.start()
            await asyncio.to_thread(self.homeserver.wait_ready)
            password = self._bot_password.read_text(encoding="utf-8")
            await asyncio.to_thread(self.homeserver.register, BOT, password)
            await asyncio.to_thread(self.homeserver.register, OFFICER, PASSWORD)
            self.session = await self._stack.enter_async_context(self.eoffice.serving())
            self._stack.callback(self.bridge.stop)
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()


def _policy(template: Path) -> dict[str, Any]:
    server = Server(
        name=SERVER,
        address=Address(host="127.0.0.1", port=1),
        tls_ca="-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
        verify_keys={"ed25519:1": "A" * 43},
    )
    return fill_servers(load_document(template.read_text(encoding="utf-8")), {"ITT": server})


def _homeserver(directory: Path, policy: PolicyFiles) -> Homeserver:
    """With the door, and without limits: what is measured is how fast it can."""
    unlimited = {"per_second": 100_000, "burst_count": 100_000}
    return Homeserver(
        SERVER,
        directory,
        client_port=free_port(),
        federation_port=free_port(),
        door=DoorSettings(policy_file=policy.policy, authority_file=policy.authority),
        overrides={
            "bcrypt_rounds": 4,
            "rc_message": unlimited,
            "rc_room_creation": unlimited,
            "rc_joins": {"local": unlimited, "remote": unlimited},
            "rc_joins_per_room": unlimited,
            "rc_login": {"address": unlimited, "account": unlimited},
            "rc_invites": dict.fromkeys(("per_room", "per_user", "per_issuer"), unlimited),
        },
    )
