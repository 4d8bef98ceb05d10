"""A ministry for the tests: clock, policy, secrets, directory, and a bridge with a recorder."""

import asyncio
import base64
import functools
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import trustme
import yaml
from recorder import Recorder
from signedjson.key import encode_verify_key_base64, generate_signing_key, get_verify_key
from sqlalchemy import Engine, make_url

from rabta_bots.bridge import Bridge
from rabta_bots.settings import Settings, parse_settings
from rabta_bots.store.opening import open_store
from rabta_contract import Event, SigningSecrets, batch_bytes, event_bytes, sign
from rabta_policy import Address, Server, fill_servers, load_document, sign_document

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 7, 14, 10, 0, tzinfo=UTC)
SECRET = "whsec_" + base64.b64encode(b"the sender's signing secret, 32+").decode()
OTHER_SECRET = "whsec_" + base64.b64encode(b"another signing secret of 32 byte").decode()
COMMAND_SECRET = "whsec_" + base64.b64encode(b"the commands' signing secret 32+").decode()
FEED_TOKEN = "feed-token-of-the-tests"

AYESHA = "@ayesha:itt.gov.test"
BILAL = "@bilal:itt.gov.test"
CHAUDHRY = "@chaudhry:itt.gov.test"
FARAH = "@farah:fin.gov.test"

PERSONS = {
    "p-1": {"user_id": AYESHA, "name": "Ayesha Malik", "name_ur": "عائشہ ملک"},
    "p-2": {"user_id": BILAL, "name": "Bilal Ahmed", "name_ur": "بلال احمد"},
    "p-3": {"user_id": CHAUDHRY, "name": "Chaudhry Imran", "language": "ur"},
    "p-6": {"user_id": FARAH, "name": "Farah Qureshi"},
}


@functools.cache
def authority() -> str:
    """A CA as PEM."""
    return trustme.CA().cert_pem.bytes().decode()


@functools.cache
def pinned_servers() -> dict[str, Server]:
    """The two ministries' servers as the policy pins them."""
    servers = {}
    for code, name, port in (("ITT", "itt.gov.test", 8448), ("FIN", "fin.gov.test", 8449)):
        key = encode_verify_key_base64(get_verify_key(generate_signing_key("a")))
        address = Address(host="127.0.0.1", port=port)
        servers[code] = Server(name=name, address=address, verify_keys={"ed25519:a": key})
    return servers


class Hands:
    """A clock that a test sets."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> None:
        """Let time pass."""
        self.now += timedelta(**by)


def secret_file(path: Path, text: str) -> Path:
    """A secret as its owner keeps it."""
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return path


@dataclass
class Ministry:
    """The files of one bridge, in a directory."""

    home: Path
    hands: Hands
    eoffice_url: str = "http://127.0.0.1:9"
    database: str | None = None
    serial: int = 0

    def __post_init__(self) -> None:
        self._key = generate_signing_key("test")
        authority = {
            "threshold": 1,
            "keys": {"ed25519:test": encode_verify_key_base64(get_verify_key(self._key))},
        }
        (self.home / "authority.yaml").write_text(yaml.safe_dump(authority))
        self.publish()
        self.write_directory(PERSONS)
        secret_file(self.home / "webhook.secret", SECRET)
        secret_file(self.home / "command.secret", COMMAND_SECRET)
        secret_file(self.home / "feed.token", FEED_TOKEN)
        secret_file(self.home / "store.key", base64.b64encode(bytes(32)).decode())
        secret_file(self.home / "password", "a password of the bot")

    def publish(self, **changes: Any) -> int:
        """Sign and replace the policy; `changes` go into the document."""
        self.serial += 1
        document = load_document((ROOT / "config/demo-policy.yaml").read_text(encoding="utf-8"))
        document |= {
            "serial": self.serial,
            "issued_at": "2026-01-01T00:00:00+05:00",
            "not_after": "2027-01-01T00:00:00+05:00",
        }
        document = fill_servers(document, pinned_servers()) | {"tls_ca": authority()} | changes
        fresh = self.home / "policy.fresh"
        fresh.write_bytes(sign_document(document, self._key))
        fresh.replace(self.home / "policy.json")
        return self.serial

    def write_directory(self, persons: dict[str, Any], posts: dict[str, Any] | None = None) -> None:
        """Replace the directory of persons, and of posts whose charges it keeps."""
        fresh = self.home / "directory.fresh"
        document = {"persons": persons} | ({"posts": posts} if posts else {})
        fresh.write_text(yaml.safe_dump(document, allow_unicode=True))
        fresh.replace(self.home / "directory.yaml")

    def document(self, **changes: Any) -> dict[str, Any]:
        """The settings document."""
        return {
            "organisation": "ITT",
            "listen": {"host": "127.0.0.1", "port": 0},
            "database": self._database(),
            "matrix": {
                "homeserver_url": "http://127.0.0.1:9",
                "user_id": "@rabta:itt.gov.test",
                "password_file": str(self.home / "password"),
                "store_key_file": str(self.home / "store.key"),
                "recovery_key_file": str(self.home / "recovery.key"),
            },
            "policy_file": str(self.home / "policy.json"),
            "authority_file": str(self.home / "authority.yaml"),
            "directory_file": str(self.home / "directory.yaml"),
            "webhook_secret_files": [str(self.home / "webhook.secret")],
            "eoffice": {
                "url": self.eoffice_url,
                "command_secret_file": str(self.home / "command.secret"),
                "feed_token_file": str(self.home / "feed.token"),
            },
            "intake": {"gap_wait_seconds": 0, "max_body_bytes": 65536},
            "poll_interval_seconds": 0.05,
        } | changes

    def _database(self) -> dict[str, str]:
        """Where the store is; a password goes into a file."""
        if self.database is None:
            return {"url": f"sqlite:///{self.home / 'bridge.db'}"}
        url = make_url(self.database)
        secret_file(self.home / "database.secret", url.password or "")
        without = url._replace(password=None).render_as_string()
        return {"url": without, "password_file": str(self.home / "database.secret")}

    def settings(self, **changes: Any) -> Settings:
        """The settings as parsed from YAML."""
        return parse_settings(yaml.safe_dump(self.document(**changes)))


@dataclass
class Running:
    """A bridge that runs, and what it wrote."""

    bridge: Bridge
    chat: Recorder
    engine: Engine
    url: str
    hands: Hands
    session: aiohttp.ClientSession

    async def deliver(
        self,
        *events: Event,
        body: bytes | None = None,
        secret: str = SECRET,
        webhook_id: str | None = None,
        media_type: str | None = None,
        headers: dict[str, str] | None = None,
        path: str = "/eoffice/events",
    ) -> tuple[int, dict[str, Any], dict[str, str]]:
        """Push events as a signed webhook; gives status, body and headers of the answer."""
        if body is None:
            body = event_bytes(events[0]) if len(events) == 1 else batch_bytes(events)
        kind = "application/cloudevents+json" if len(events) < 2 else None
        signed = sign(
            webhook_id or (events[0].id if events else "wh-1"),
            # Bytes that are no text cannot be signed: they arrive with a wrong signature.
            body.decode("utf-8", "replace").encode(),
            SigningSecrets.parse(secret),
            self.hands(),
        )
        signed["Content-Type"] = media_type or kind or "application/cloudevents-batch+json"
        async with self.session.post(
            f"{self.url}{path}", data=body, headers=signed | (headers or {})
        ) as answer:
            return answer.status, await answer.json(), dict(answer.headers)


@asynccontextmanager
async def running(
    ministry: Ministry,
    chat: Recorder | None = None,
    codes: Iterable[str] | None = None,
    **changes: Any,
) -> AsyncIterator[Running]:
    """A whole bridge on a free port, with a recorder at the Matrix port."""
    settings = ministry.settings(**changes)
    engine = open_store(settings.database.full_url(), ministry.hands)
    chat = chat or Recorder()
    chat.clock = ministry.hands
    made = iter(codes or (f"{number:04d}" for number in range(1000, 9999)))
    bridge = Bridge(settings, engine, chat, clock=ministry.hands, make_code=lambda: next(made))
    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(bridge.run(listening.set_result))
    done, _ = await asyncio.wait({task, listening}, return_when=asyncio.FIRST_COMPLETED)
    if task in done:
        await task
    try:
        async with aiohttp.ClientSession() as session:
            yield Running(bridge, chat, engine, await listening, ministry.hands, session)
    finally:
        bridge.stop()
        await task
        engine.dispose()


async def deliver_all(bridge: Running, *events: Event) -> None:
    """Deliver one after the other, each taken."""
    for event in events:
        status, body, _ = await bridge.deliver(event)
        assert status == 202, body
