"""A real e-Office on a free loopback port, people who work in it, and a real receiver of events."""

import base64
import json
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web

from rabta_contract import Command, Event, SigningSecrets, load_signing_secrets, sign, verify
from rabta_contract import parse_event as parse
from rabta_eoffice import passwords
from rabta_eoffice.service import Serving, serving
from rabta_eoffice.settings import Settings

NOW = datetime(2026, 7, 14, 10, 0, tzinfo=UTC)
FEED_TOKEN = "feed-token-of-the-tests"

SEED = {
    "posts": [
        {
            "post_id": "ITT-SO-ADMN2",
            "designation": "Section Officer (Admn-II)",
            "designation_ur": "سیکشن افسر",
            "org": "ITT",
            "bps": 17,
        },
        {"post_id": "ITT-DS-ADMN", "designation": "Deputy Secretary (Admn)", "org": "ITT"},
        {"post_id": "ITT-JS", "designation": "Joint Secretary", "org": "ITT"},
        {
            "post_id": "ITT-SO-ESTT",
            "designation": "Section Officer (Establishment)",
            "org": "ITT",
            "establishment": True,
        },
    ],
    "persons": [
        {"person_id": "p-1", "name": "Ayesha Malik", "name_ur": "عائشہ ملک"},
        {"person_id": "p-2", "name": "Bilal Ahmed"},
        {"person_id": "p-3", "name": "Chaudhry Imran"},
        {"person_id": "p-4", "name": "Dania Shah"},
        {"person_id": "p-5", "name": "Ejaz Khan"},
    ],
    "charges": [
        {"post_id": "ITT-SO-ADMN2", "person_id": "p-1", "kind": "regular"},
        {"post_id": "ITT-DS-ADMN", "person_id": "p-2", "kind": "additional"},
        {"post_id": "ITT-JS", "person_id": "p-3", "kind": "look_after"},
        {"post_id": "ITT-SO-ESTT", "person_id": "p-4", "kind": "regular"},
    ],
    "files": [
        {
            "file_id": "ITT-2026-004512",
            "file_no": "F.No.1(5)/2026-Admn-II",
            "subject": "Procurement of networking equipment",
            "initiator": "ITT-SO-ADMN2",
            "classification": "RESTRICTED",
            "priority": "IMMEDIATE",
            "note": "Three quotations are placed on the file.",
        }
    ],
}
FILE = "ITT-2026-004512"


@dataclass
class Clock:
    """A clock that stands until it is moved."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **spell: float) -> None:
        self.now += timedelta(**spell)


def write_secret(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return path


def signing_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


@dataclass
class Desktop:
    """Where an e-Office lives: its settings file and its secrets."""

    home: Path
    port: int = 0

    def settings(self, seed: dict[str, Any] | None = None, **changes: Any) -> Path:
        """Write everything and give the settings file."""
        self.home.mkdir(exist_ok=True)
        document = json.loads(json.dumps(SEED if seed is None else seed))
        for person in document["persons"]:
            name = person["person_id"]
            write_secret(self.home / f"{name}.password", f"{name}-has-a-password")
            person["password_file"] = f"{name}.password"
        for charge in document["charges"]:
            charge.setdefault("from", "2026-01-01T00:00:00+05:00")
        (self.home / "seed.yaml").write_text(yaml.safe_dump(document, allow_unicode=True))
        for name in ("command", "webhook"):
            if not (self.home / f"{name}.secret").exists():
                write_secret(self.home / f"{name}.secret", signing_secret())
        write_secret(self.home / "session.secret", secrets.token_hex())
        write_secret(self.home / "feed.token", FEED_TOKEN)
        settings = {
            "org": "ITT",
            "port": self.port,
            "public_url": "http://eoffice.itt.gov.test",
            "database_file": "eoffice.db",
            "seed_file": "seed.yaml",
            "session_secret_file": "session.secret",
            "command_secret_file": "command.secret",
            "feed_token_file": "feed.token",
            **changes,
        }
        path = self.home / "eoffice.yaml"
        path.write_text(yaml.safe_dump(settings))
        return path

    @property
    def command_secrets(self) -> SigningSecrets:
        return load_signing_secrets(self.home / "command.secret")

    @property
    def webhook_secrets(self) -> SigningSecrets:
        return load_signing_secrets(self.home / "webhook.secret")


@dataclass
class Bridge:
    """The other side in tests: sends commands as the contract says, reads the feed."""

    url: str
    http: aiohttp.ClientSession
    secrets: SigningSecrets
    clock: Clock

    async def command(self, command: Command | bytes, **headers: str) -> tuple[int, Any, Any]:
        """Post a command; gives status, document and headers. Headers given replace ours."""
        body = command if isinstance(command, bytes) else command.to_bytes()
        key = command.command_id if isinstance(command, Command) else "c-raw"
        sent = {**sign(key, body, self.secrets, self.clock()), "Idempotency-Key": key, **headers}
        async with self.http.post(f"{self.url}/commands", data=body, headers=sent) as response:
            return response.status, await response.json(), response.headers

    async def events(self, after: int = 0, limit: int = 1000) -> list[dict[str, Any]]:
        async with self.http.get(
            f"{self.url}/events",
            params={"after": str(after), "limit": str(limit)},
            headers={"Authorization": f"Bearer {FEED_TOKEN}"},
        ) as response:
            assert response.status == 200
            assert response.content_type == "application/cloudevents-batch+json"
            return json.loads(await response.read())

    async def file(self, file_id: str = FILE) -> Any:
        headers = {"Authorization": f"Bearer {FEED_TOKEN}"}
        async with self.http.get(f"{self.url}/api/files/{file_id}", headers=headers) as response:
            assert response.status == 200
            return await response.json()


@dataclass
class Person:
    """Somebody signed in by the API."""

    url: str
    http: aiohttp.ClientSession
    token: str

    async def post(self, path: str, document: Any) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.token}"}
        async with self.http.post(f"{self.url}{path}", json=document, headers=headers) as response:
            return response.status, await response.json()

    async def act(self, verb: str, post_id: str, file_id: str = FILE, **more: Any) -> Any:
        return await self.post(f"/api/files/{file_id}/{verb}", {"post_id": post_id, **more})


@dataclass
class Browser:
    """A browser without scripts: keeps cookies, reads forms out of pages, posts them."""

    url: str
    http: aiohttp.ClientSession
    page: str = ""
    status: int = 0
    place: str = ""

    async def go(self, path: str) -> None:
        async with self.http.get(self.url + path) as response:
            await self._arrive(response)

    async def submit(self, path: str, **fields: str) -> None:
        """Post a form of the page that is shown, with its hidden token."""
        token = re.search(r'name="form_token" value="([0-9a-f]+)"', self.page)
        assert token is not None
        async with self.http.post(
            self.url + path, data={"form_token": token[1], **fields}
        ) as response:
            await self._arrive(response)

    async def sign_in(self, person: str) -> None:
        await self.go("/sign-in")
        await self.submit(
            "/sign-in", person_id=person, password=f"{person}-has-a-password", next="/"
        )
        assert "Inbox of" in self.page

    async def _arrive(self, response: aiohttp.ClientResponse) -> None:
        self.page = await response.text()
        self.status = response.status
        self.place = response.url.path


@dataclass
class Receiver:
    """A real HTTP server in the bridge's place; `answers` are given in order, then 202."""

    url: str
    secrets: SigningSecrets
    clock: Clock
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    taken: list[Event] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        message_id = verify(request.headers, body, self.secrets, self.clock())
        event = parse(body)
        assert message_id == event.id
        assert request.content_type == "application/cloudevents+json"
        self.seen.append(event.id)
        status, headers = self.answers.pop(0) if self.answers else (202, {})
        if status in {200, 202}:
            self.taken.append(event)
        return web.Response(status=status, headers=headers)


@pytest.fixture(autouse=True)
def cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test makes its own people; the work factor is kept beside each hash."""
    monkeypatch.setattr(passwords, "COST", 2**4)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def desktop(tmp_path: Path) -> Desktop:
    return Desktop(tmp_path / "office")


@pytest.fixture
async def office(desktop: Desktop, clock: Clock) -> AsyncIterator[Serving]:
    async with serving(Settings.load(desktop.settings()), clock) as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield session


@pytest.fixture
def bridge(office: Serving, desktop: Desktop, clock: Clock, http: aiohttp.ClientSession) -> Bridge:
    return Bridge(office.url, http, desktop.command_secrets, clock)


@pytest.fixture
def person(office: Serving, http: aiohttp.ClientSession) -> Callable[[str], Awaitable[Person]]:
    async def sign_in(person_id: str) -> Person:
        document = {"person_id": person_id, "password": f"{person_id}-has-a-password"}
        async with http.post(f"{office.url}/api/session", json=document) as response:
            assert response.status == 200
            return Person(office.url, http, (await response.json())["token"])

    return sign_in


@pytest.fixture
async def browser(office: Serving) -> AsyncIterator[Browser]:
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as session:
        yield Browser(office.url, session)


@asynccontextmanager
async def receiving(secrets_: SigningSecrets, clock: Clock) -> AsyncIterator[Receiver]:
    receiver = Receiver("", secrets_, clock)
    app = web.Application()
    app.add_routes([web.post("/eoffice/events", receiver.handle)])
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/eoffice/events"
        yield receiver
    finally:
        await runner.cleanup()


@pytest.fixture
async def receiver(desktop: Desktop, clock: Clock) -> AsyncIterator[Receiver]:
    desktop.settings()
    async with receiving(desktop.webhook_secrets, clock) as running:
        yield running


@pytest.fixture
def command_for(clock: Clock) -> Callable[..., Command]:
    def make(verb: str, **changes: Any) -> Command:
        return Command.model_validate(
            {
                "command_id": f"c-{verb}",
                "command": verb,
                "event_id": "card-1",
                "file_id": FILE,
                "movement_no": 1,
                "post_id": "ITT-DS-ADMN",
                "person_id": "p-2",
                "matrix_user": "@bilal:itt.gov.test",
                "time": clock(),
                **changes,
            }
        )

    return make
