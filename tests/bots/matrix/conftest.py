"""Clients of ours on real homeservers, and an officer whose client is libolm, not vodozemac."""

import asyncio
import base64
import contextlib
import json
import os
import secrets
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import olm
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from canonicaljson import encode_canonical_json
from sqlalchemy import Engine

sys.path.insert(0, str(Path(__file__).parent))

from loose_parts import MEGOLM, OLM, Clock, Parts, Phone, Scripted

from rabta_bots.matrix import MatrixClient, MatrixSettings, metadata
from rabta_bots.matrix.sealing import Seal
from rabta_bots.store.opening import open_store
from rabta_deploy.homeserver import Homeserver


class Officer:
    """A person's client: libolm for Olm and Megolm, its own HTTP, its own cross-signing."""

    def __init__(self, url: str, user_id: str, password: str) -> None:
        self.url, self.user_id, self.password = url, user_id, password
        self.account = olm.Account()
        self.device_id = f"PHONE{secrets.token_hex(4).upper()}"
        self.token: str | None = None
        self.since: str | None = None
        self.sessions: dict[str, list[olm.Session]] = {}
        self.room_keys: dict[str, olm.InboundGroupSession] = {}
        self.room_key_contents: list[dict[str, Any]] = []
        self.letters: list[dict[str, Any]] = []
        """What came over Olm and is no room key, decrypted whole."""
        self.withheld: list[dict[str, Any]] = []
        self.timeline: list[dict[str, Any]] = []
        self.outbound: dict[str, olm.OutboundGroupSession] = {}
        self.signer: olm.PkSigning | None = None
        self.http: aiohttp.ClientSession | None = None

    async def call(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        if self.http is None:
            self.http = aiohttp.ClientSession()
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        async with self.http.request(
            method,
            f"{self.url}/_matrix/client/v3/{path}",
            json=body,
            params=query,
            headers=headers,
        ) as answer:
            content = await answer.json()
            assert answer.status == 200, (path, content)
            return content

    async def close(self) -> None:
        if self.http is not None:
            await self.http.close()

    def signed(self, value: dict[str, Any]) -> dict[str, Any]:
        signature = self.account.sign(encode_canonical_json(value).decode())
        return {**value, "signatures": {self.user_id: {f"ed25519:{self.device_id}": signature}}}

    async def sign_in(self, *, signed: bool = True, keys: int = 20) -> "Officer":
        """Log in a new device; `signed` makes an identity and signs the device with it."""
        answer = await self.call(
            "POST",
            "login",
            {
                "type": "m.login.password",
                "identifier": {"type": "m.id.user", "user": self.user_id},
                "password": self.password,
                "device_id": self.device_id,
            },
        )
        self.token = answer["access_token"]
        await self.upload_keys(keys)
        if signed:
            await self.make_identity()
        return self

    async def upload_keys(self, keys: int) -> None:
        device = {
            "user_id": self.user_id,
            "device_id": self.device_id,
            "algorithms": [OLM, MEGOLM],
            "keys": {
                f"{kind}:{self.device_id}": key for kind, key in self.account.identity_keys.items()
            },
        }
        self.account.generate_one_time_keys(keys)
        one_time = {
            f"signed_curve25519:{key_id}": self.signed({"key": key})
            for key_id, key in self.account.one_time_keys["curve25519"].items()
        }
        await self.call(
            "POST",
            "keys/upload",
            {"device_keys": self.signed(device), "one_time_keys": one_time},
        )
        self.account.mark_keys_as_published()

    async def make_identity(self) -> None:
        """Make (or replace) the cross-signing keys and sign this device."""
        master, signer, user_signer = (
            olm.PkSigning(olm.PkSigning.generate_seed()) for _ in range(3)
        )
        usages = {"master": master, "self_signing": signer, "user_signing": user_signer}
        body: dict[str, Any] = {}
        for usage, key in usages.items():
            value = {
                "user_id": self.user_id,
                "usage": [usage],
                "keys": {f"ed25519:{key.public_key}": key.public_key},
            }
            if usage != "master":
                signature = master.sign(encode_canonical_json(value).decode())
                value["signatures"] = {self.user_id: {f"ed25519:{master.public_key}": signature}}
            body[f"{usage}_key"] = value
        body["auth"] = {
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": self.user_id},
            "password": self.password,
        }
        await self.call("POST", "keys/device_signing/upload", body)
        self.signer = signer
        await self.sign_device(self)

    async def sign_device(self, other: "Officer") -> None:
        """Sign a device of this user with the self-signing key."""
        assert self.signer is not None
        answer = await self.call("POST", "keys/query", {"device_keys": {self.user_id: []}})
        device = answer["device_keys"][self.user_id][other.device_id]
        bare = {k: v for k, v in device.items() if k not in ("signatures", "unsigned")}
        signature = self.signer.sign(encode_canonical_json(bare).decode())
        bare["signatures"] = {self.user_id: {f"ed25519:{self.signer.public_key}": signature}}
        failures = await self.call(
            "POST", "keys/signatures/upload", {self.user_id: {other.device_id: bare}}
        )
        assert failures["failures"] == {}

    async def sync(self) -> dict[str, Any]:
        """Take in what is new: room keys, timelines, invitations (which it accepts)."""
        query = {"timeout": "200"} | ({"since": self.since} if self.since else {})
        answer = await self.call("GET", "sync", None, **query)
        self.since = answer["next_batch"]
        for told in answer.get("to_device", {}).get("events", []):
            if told["type"] == "m.room_key.withheld":
                self.withheld.append(told["content"])
            if told["type"] == "m.room.encrypted":
                self.take_olm(told)
        for room_id, room in answer.get("rooms", {}).get("join", {}).items():
            self.timeline += [{**told, "room_id": room_id} for told in room["timeline"]["events"]]
        for room_id in answer.get("rooms", {}).get("invite", {}):
            await self.call("POST", f"rooms/{room_id}/join", {})
        return answer

    def take_olm(self, told: dict[str, Any]) -> None:
        content = told["content"]
        message = content["ciphertext"].get(self.account.identity_keys["curve25519"])
        if message is None:
            return
        sender_key = content["sender_key"]
        held = self.sessions.setdefault(sender_key, [])
        plaintext: str | None = None
        if message["type"] == 0:
            pre_key = olm.OlmPreKeyMessage(message["body"])
            known = next((one for one in held if one.matches(pre_key)), None)
            if known is None:
                known = olm.InboundSession(self.account, pre_key, sender_key)
                self.account.remove_one_time_keys(known)
                held.append(known)
            plaintext = known.decrypt(pre_key)
        else:
            for one in held:
                with contextlib.suppress(olm.OlmSessionError):
                    plaintext = one.decrypt(olm.OlmMessage(message["body"]))
                    break
        assert plaintext is not None, "the officer could not read an Olm message"
        payload = json.loads(plaintext)
        assert payload["recipient"] == self.user_id
        if payload["type"] == "m.room_key":
            inner = payload["content"]
            self.room_key_contents.append(inner)
            self.room_keys[inner["session_id"]] = olm.InboundGroupSession(inner["session_key"])
        else:
            self.letters.append(payload)

    def read(self, told: dict[str, Any]) -> dict[str, Any] | None:
        """The decrypted event, or None when the key is not there."""
        session = self.room_keys.get(told["content"].get("session_id"))
        if session is None:
            return None
        try:
            plaintext, _ = session.decrypt(told["content"]["ciphertext"])
        except olm.OlmGroupSessionError:  # from before this device had the key
            return None
        payload: dict[str, Any] = json.loads(plaintext)
        return payload

    def bodies(self, room_id: str | None = None) -> list[str]:
        """The text of every encrypted message that it can read, in order."""
        read = [
            self.read(told)
            for told in self.timeline
            if told["type"] == "m.room.encrypted" and room_id in (None, told["room_id"])
        ]
        return [payload["content"].get("body", "") for payload in read if payload]

    def seal(self, room_id: str, content: dict[str, Any], kind: str) -> dict[str, Any]:
        session = self.outbound.setdefault(room_id, olm.OutboundGroupSession())
        payload = {"type": kind, "content": content, "room_id": room_id}
        return {
            "algorithm": MEGOLM,
            "ciphertext": session.encrypt(json.dumps(payload)),
            "session_id": session.id,
        }

    def late_key(self, room_id: str) -> str:
        """The key of the room's session from its next message on, to be shared later."""
        return str(self.outbound.setdefault(room_id, olm.OutboundGroupSession()).session_key)

    async def share_key(
        self, room_id: str, with_user: str, *, session_key: str | None = None
    ) -> None:
        """Send the key of the room's session, from its next message on, to all devices."""
        session = self.outbound.setdefault(room_id, olm.OutboundGroupSession())
        answer = await self.call("POST", "keys/query", {"device_keys": {with_user: []}})
        for device_id, device in answer["device_keys"][with_user].items():
            content = {
                "algorithm": MEGOLM,
                "room_id": room_id,
                "session_id": session.id,
                "session_key": session_key or session.session_key,
            }
            sealed = await self.seal_olm(with_user, device_id, device, "m.room_key", content)
            await self.call(
                "PUT",
                f"sendToDevice/m.room.encrypted/{secrets.token_hex(8)}",
                {"messages": {with_user: {device_id: sealed}}},
            )

    async def seal_olm(
        self, user_id: str, device_id: str, device: Any, kind: str, content: dict[str, Any]
    ) -> dict[str, Any]:
        curve = device["keys"][f"curve25519:{device_id}"]
        held = self.sessions.setdefault(curve, [])
        if not held:
            claimed = await self.call(
                "POST",
                "keys/claim",
                {"one_time_keys": {user_id: {device_id: "signed_curve25519"}}},
            )
            ((_, key),) = claimed["one_time_keys"][user_id][device_id].items()
            held.append(olm.OutboundSession(self.account, curve, key["key"]))
        payload = {
            "type": kind,
            "content": content,
            "sender": self.user_id,
            "keys": {"ed25519": self.account.identity_keys["ed25519"]},
            "recipient": user_id,
            "recipient_keys": {"ed25519": device["keys"][f"ed25519:{device_id}"]},
        }
        message = held[-1].encrypt(json.dumps(payload))
        return {
            "algorithm": OLM,
            "sender_key": self.account.identity_keys["curve25519"],
            "ciphertext": {curve: {"type": message.message_type, "body": message.ciphertext}},
        }

    async def write(self, room_id: str, body: str, *, to: str | None = None) -> str:
        """Send an encrypted text; `to` shares the session's key with that user first."""
        if to is not None:
            await self.share_key(room_id, to)
        content = self.seal(room_id, {"msgtype": "m.text", "body": body}, "m.room.message")
        path = f"rooms/{room_id}/send/m.room.encrypted/{secrets.token_hex(8)}"
        return str((await self.call("PUT", path, content))["event_id"])


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def engine(tmp_path: Path, clock: Clock) -> Iterator[Engine]:
    made = open_store(f"sqlite:///{tmp_path / 'bridge.db'}", clock)
    metadata.create_all(made)
    yield made
    made.dispose()


@pytest.fixture(scope="module")
def homeserver(homeserver_factory: Callable[..., Homeserver]) -> Homeserver:
    return homeserver_factory(
        "itt.gov.test",
        overrides={"bcrypt_rounds": 4, "encryption_enabled_by_default_for_room_type": "off"},
    )


def secret_file(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


@pytest.fixture
def settings(homeserver: Homeserver, tmp_path: Path) -> MatrixSettings:
    """A new account of the bridge, with all its files."""
    password = secrets.token_hex(12)
    user_id = homeserver.register(f"bridge-{secrets.token_hex(4)}", password)
    homeserver.lift_rate_limits(user_id)
    return MatrixSettings(
        homeserver_url=homeserver.client_url,
        user_id=user_id,
        password_file=secret_file(tmp_path / "password", password),
        store_key_file=secret_file(
            tmp_path / "store.key", base64.b64encode(os.urandom(32)).decode()
        ),
        recovery_key_file=tmp_path / "recovery.key",
        timeline_limit=10,
    )


class Running:
    """A client of ours with its sync loop, and how often it was poked."""

    def __init__(self, client: MatrixClient) -> None:
        self.client = client
        self.pokes = 0
        self.task: asyncio.Task[None] | None = None

    async def start(self) -> MatrixClient:
        await self.client.start()
        self.sync()
        return self.client

    def sync(self) -> None:
        def poke() -> None:
            self.pokes += 1

        self.task = asyncio.create_task(self.client.sync_forever(poke))

    async def stop(self) -> None:
        await self.client.stop()
        if self.task is not None:
            await self.task
            self.task = None


@pytest.fixture
async def run(clock: Clock) -> AsyncIterator[Callable[..., Any]]:
    """Start clients with their sync loops; all are stopped at the end."""
    running: list[Running] = []

    async def start(settings: MatrixSettings, engine: Engine) -> Running:
        one = Running(MatrixClient(settings, engine, clock=clock))
        await one.start()
        running.append(one)
        return one

    yield start
    for one in running:
        await one.stop()


@pytest.fixture
async def officer(homeserver: Homeserver) -> AsyncIterator[Callable[..., Any]]:
    """Register and sign in people; `of=` signs in another device of one of them."""
    made: list[Officer] = []

    async def make(of: Officer | None = None, *, signed: bool = True, keys: int = 20) -> Officer:
        if of is None:
            password = secrets.token_hex(12)
            user_id = homeserver.register(f"officer-{secrets.token_hex(4)}", password)
        else:
            user_id, password = of.user_id, of.password
        one = Officer(homeserver.client_url, user_id, password)
        made.append(one)
        return await one.sign_in(signed=signed and of is None, keys=keys)

    yield make
    for one in made:
        await one.close()


@pytest.fixture
def texts() -> Callable[[MatrixClient], list[str]]:
    """The bodies of a client's undone events, in order."""
    return lambda client: [str(one.content.get("body")) for one in client.received(500)]


@pytest.fixture
def text() -> Callable[[str], dict[str, str]]:
    """The content of a text message."""
    return lambda body: {"msgtype": "m.text", "body": body}


@pytest.fixture
async def scripted() -> AsyncIterator[Scripted]:
    script = Scripted()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", script.handle)
    server = TestServer(app)
    await server.start_server()
    script.url = f"http://127.0.0.1:{server.port}"
    yield script
    await server.close()


@pytest.fixture
async def parts(
    engine: Engine, clock: Clock, scripted: Scripted
) -> AsyncIterator[Callable[[], Any]]:
    """Give the parts on the test's database; called again, as after a restart."""
    seal = Seal(os.urandom(32))
    made: list[Parts] = []

    async def make(database: Engine = engine) -> Parts:
        made.append(Parts(database, clock, scripted.url, seal))
        await made[-1].wire.open()
        return made[-1]

    yield make
    for one in made:
        await one.wire.close()


@pytest.fixture
def phone() -> Callable[..., Phone]:
    """Make a device by `phone(user_id, device_id)`."""
    return lambda user_id="@officer:itt.gov.test", device_id="PHONE": Phone(user_id, device_id)


@pytest.fixture
def meet() -> Callable[..., Any]:
    """Give the id of a new room of the bridge that the people have joined."""

    async def make(bridge: MatrixClient, *people: Officer) -> str:
        room_id = await bridge.create_room(
            name="Post",
            topic="Inbox",
            invite=[one.user_id for one in people],
            room_class="restricted",
        )
        for one in people:
            await one.sync()
            await one.sync()
        return room_id

    return make
