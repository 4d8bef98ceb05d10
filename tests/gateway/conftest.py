"""A small network for the border: a CA, an authority, a signed policy, peers that sign or lie."""

import asyncio
import io
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml
from aiohttp import web
from canonicaljson import encode_canonical_json
from signedjson.key import encode_verify_key_base64, generate_signing_key, get_verify_key
from signedjson.sign import sign_json

from rabta_gateway.gateway import Gateway
from rabta_gateway.settings import Settings
from rabta_policy import ActionKind

ITT, FIN, LAW = "itt.gov.test", "fin.gov.test", "law.gov.test"
SECRET = "a-made-up-proxy-secret"
NETWORK = "rabta"
START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
ALL = [str(kind) for kind in ActionKind]
ROOM_CLASS = {
    "encryption_required": True,
    "federation": "all",
    "history_visibility": "invited",
    "join_rules": ["invite", "knock"],
    "publish": False,
    "guests": False,
    "media": {"max_bytes": 52428800, "types": ["*/*"]},
    "card": {"subject": True, "remarks": True, "attachments": True, "decide": "yes"},
}


@dataclass
class Answer:
    """One HTTP answer, read whole."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.body)
        return document

    @property
    def reason(self) -> str | None:
        return self.json.get("rabta.reason")


@dataclass
class Seen:
    """One request that a recorder got."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class _Socket:
    """What http.client reads an answer from."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, *_: object) -> io.BytesIO:
        return io.BytesIO(self._data)


def read_answer(data: bytes) -> Answer:
    response = HTTPResponse(_Socket(data))  # type: ignore[arg-type]  # all it uses is makefile
    response.begin()
    body = response.read()
    return Answer(response.status, dict(response.headers), body)


async def exchange(
    host: str, port: int, data: bytes, *, tls: ssl.SSLContext | None = None, name: str | None = None
) -> Answer:
    """Send bytes as they are and read to the end of the connection."""
    reader, writer = await asyncio.open_connection(
        host, port, ssl=tls, server_hostname=name if tls else None
    )
    try:
        writer.write(data)
        await writer.drain()
        return read_answer(await reader.read())
    finally:
        writer.close()


def raw(
    method: str, target: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b""
) -> bytes:
    """A request, byte for byte."""
    lines = [f"{method} {target} HTTP/1.1", "Host: border", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass
class Member:
    """One server of the network: its name, its key, and where the policy says it is."""

    name: str
    key: Any
    host: str = "127.0.0.1"
    port: int = 9
    named: bool = True
    status: str = "active"
    pinned: dict[str, str] = field(default_factory=dict)

    @classmethod
    def new(cls, name: str) -> "Member":
        key = generate_signing_key("1")
        return cls(name, key, pinned={"ed25519:1": encode_verify_key_base64(get_verify_key(key))})

    def sign(
        self,
        method: str,
        target: str,
        content: Any = None,
        *,
        destination: str = ITT,
        origin: str | None = None,
        key: Any = None,
    ) -> str:
        """An X-Matrix header; what differs from the truth is a lie."""
        origin = origin or self.name
        request = {"method": method, "uri": target, "origin": origin, "destination": destination}
        if content is not None:
            request["content"] = content
        signed = sign_json(request, origin, key or self.key)
        ((key_id, signature),) = signed["signatures"][origin].items()
        return (
            f'X-Matrix origin="{origin}",key="{key_id}",sig="{signature}",'
            f'destination="{destination}"'
        )


class Network:
    """Everything a gateway reads, and what it talks to."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ca = trustme.CA()
        self.authority = generate_signing_key("authority")
        self.members = {name: Member.new(name) for name in (ITT, FIN, LAW)}
        self.members[LAW].named = False
        self.serial = 0
        self.now = START
        self.actions: list[str] = ALL
        self.not_after = START + timedelta(days=30)
        self.policy_file = directory / "policy.json"
        self._stack = AsyncExitStack()

    async def close(self) -> None:
        await self._stack.aclose()

    def publish(self, *, serial: int | None = None, key: Any = None) -> None:
        """Sign a policy of the members as they are and put it in place by renaming."""
        self.serial = self.serial + 1 if serial is None else serial
        signed = sign_json(self.document(), NETWORK, key or self.authority)
        fresh = self.policy_file.with_suffix(".new")
        fresh.write_bytes(encode_canonical_json(signed))
        fresh.replace(self.policy_file)

    def document(self) -> dict[str, Any]:
        right = {"actions": self.actions, "max_class": "confidential"}
        return {
            "network": NETWORK,
            "serial": self.serial,
            "issued_at": "2026-11-01T00:00:00Z",
            "not_after": self.not_after.isoformat(),
            "grace": "P7D",
            "phases": {"pilot": {"opens": "2026-01-01T00:00:00Z"}},
            "tls_ca": self.ca.cert_pem.bytes().decode(),
            "organisations": [self._organisation(m) for m in self.members.values() if m.named],
            "relations": {"same": right, "division-division": right},
            "classes": dict.fromkeys(("unclassified", "restricted", "confidential"), ROOM_CLASS),
            "permits": [],
        }

    def _organisation(self, member: Member) -> dict[str, Any]:
        code = member.name.partition(".")[0].upper()
        return {
            "code": code,
            "from": "2026-01-01T00:00:00Z",
            "kind": "division",
            "name": f"{code} Division",
            "name_ur": "ڈویژن",
            "phase": "pilot",
            "status": member.status,
            "ceiling": "confidential",
            "server": {
                "name": member.name,
                "address": {"host": member.host, "port": member.port},
                "verify_keys": member.pinned,
            },
        }

    def leaf(self, name: str, *, ca: trustme.CA | None = None) -> tuple[Path, Path]:
        """Certificate and key files for a name."""
        made = (ca or self.ca).issue_cert(name)
        certificate, key = self.directory / f"{name}.pem", self.directory / f"{name}.key"
        certificate.write_bytes(b"".join(part.bytes() for part in made.cert_chain_pems))
        key.write_bytes(made.private_key_pem.bytes())
        key.chmod(0o600)
        return certificate, key

    def tls_server(self, name: str, *, ca: trustme.CA | None = None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.leaf(name, ca=ca))
        return context

    def tls_client(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.ca.configure_trust(context)
        return context

    async def recorder(
        self,
        answer: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]] | None = None,
        *,
        tls: ssl.SSLContext | None = None,
    ) -> tuple[int, list[Seen]]:
        """A server that notes what it gets: a homeserver behind, or a peer's border ahead."""
        seen: list[Seen] = []

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            body = await request.read()
            seen.append(Seen(request.method, request.raw_path, dict(request.headers), body))
            if answer is not None:
                return await answer(request)
            return web.json_response({"seen": len(seen)}, headers={"Server": "Synapse/1.163.2"})

        runner = web.ServerRunner(
            web.Server(handle, access_log=None, max_field_size=16384, max_line_size=16384),
            shutdown_timeout=1,
        )
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        return runner.addresses[0][1], seen

    def settings(self, *, upstream_port: int = 9, **changes: Any) -> dict[str, Any]:
        """The settings document of the gateway of itt.gov.test."""
        authority = self.directory / "authority.yaml"
        public = encode_verify_key_base64(get_verify_key(self.authority))
        authority.write_text(
            yaml.safe_dump({"threshold": 1, "keys": {"ed25519:authority": public}})
        )
        secret = self.directory / "gateway.secret"
        secret.write_text(SECRET + "\n")
        secret.chmod(0o600)
        certificate, key = self.leaf(ITT)
        if not self.policy_file.exists():
            self.publish()
        return {
            "server_name": ITT,
            "policy_file": str(self.policy_file),
            "authority_file": str(authority),
            "state_file": str(self.directory / "serial.json"),
            "inbound": {
                "host": "127.0.0.1",
                "port": 0,
                "tls_certificate_file": str(certificate),
                "tls_key_file": str(key),
                "upstream": f"http://127.0.0.1:{upstream_port}",
            },
            "outbound": {"host": "127.0.0.1", "port": 0, "secret_file": str(secret)},
            "metrics": {"host": "127.0.0.1", "port": 0},
            "policy_poll_seconds": 0.05,
            **changes,
        }

    async def gateway(self, **changes: Any) -> Gateway:
        """A running gateway of itt.gov.test; the clock is the network's `now`."""
        settings = Settings.model_validate(self.settings(**changes))
        gateway = Gateway(settings, clock=lambda: self.now)
        await gateway.start()
        self._stack.push_async_callback(gateway.stop)
        return gateway

    async def ask_in(
        self,
        gateway: Gateway,
        method: str,
        target: str,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> Answer:
        """Send raw bytes to the inbound side, as any peer or stranger can."""
        data = raw(method, target, headers, body)
        port = gateway.inbound_port
        return await exchange("127.0.0.1", port, data, tls=self.tls_client(), name=ITT)

    async def ask_out(
        self,
        gateway: Gateway,
        method: str,
        target: str,
        *,
        destination: str = FIN,
        secret: str | None = SECRET,
        body: bytes = b"",
    ) -> Answer:
        """Ask as Synapse asks its proxy."""
        headers = [("Authorization", self.members[ITT].sign(method, target, destination=FIN))]
        if secret is not None:
            headers.append(("Proxy-Authorization", f"Bearer {secret}"))
        if body:
            headers.append(("Content-Type", "application/json"))
        data = raw(method, f"matrix-federation://{destination}{target}", headers, body)
        return await exchange("127.0.0.1", gateway.outbound_port, data)

    async def plain(self, port: int, data: bytes) -> Answer:
        """Send raw bytes to a listener without TLS."""
        return await exchange("127.0.0.1", port, data)

    async def stranger(self, gateway: Gateway, data: bytes) -> Answer:
        """Send raw bytes to the inbound side."""
        port = gateway.inbound_port
        return await exchange("127.0.0.1", port, data, tls=self.tls_client(), name=ITT)

    async def until(self, condition: Callable[[], Awaitable[bool] | bool]) -> None:
        """Wait for a condition, at most ten seconds."""
        async with asyncio.timeout(10):
            while True:
                held = condition()
                if held if isinstance(held, bool) else await held:
                    return
                await asyncio.sleep(0.02)


@pytest.fixture
async def network(tmp_path: Path) -> AsyncIterator[Network]:
    made = Network(tmp_path)
    yield made
    await made.close()


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Network:
    """The files of a network whose parts are processes of their own."""
    made = Network(tmp_path_factory.mktemp("network"))
    made.settings()
    return made
