"""The parts of a client without a homeserver: a scripted one, a phone, a clock that stands."""

import base64
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import vodozemac
from aiohttp import web
from canonicaljson import encode_canonical_json
from sqlalchemy import Engine, Table

from rabta_bots.matrix import tables
from rabta_bots.matrix.inbox import Inbox
from rabta_bots.matrix.receiving import Receiving
from rabta_bots.matrix.rooms import Rooms
from rabta_bots.matrix.sealing import Seal
from rabta_bots.matrix.sending import Sending
from rabta_bots.matrix.sharing import Sharing
from rabta_bots.matrix.signing import SigningKey
from rabta_bots.matrix.state import CryptoState
from rabta_bots.matrix.store import CryptoStore
from rabta_bots.matrix.trust import Trust
from rabta_bots.matrix.upkeep import Upkeep
from rabta_bots.matrix.wire import Wire
from rabta_bots.rows import put_new

OLM = "m.olm.v1.curve25519-aes-sha2"
MEGOLM = "m.megolm.v1.aes-sha2"


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, by: timedelta) -> None:
        self.now += by


class Scripted:
    """A homeserver that answers what a test tells it to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.url = ""
        self.calls: list[tuple[str, str, Any]] = []
        self.answers: dict[str, Callable[[str, Any], tuple[int, Any]]] = {}
        """By a part of the path: gives status and body for the path and the request's body."""

    async def handle(self, request: web.Request) -> web.Response:
        raw = await request.text()
        body = json.loads(raw) if raw else None
        path = request.rel_url.raw_path.removeprefix("/_matrix/client/v3/")
        self.calls.append((request.method, path, body))
        for part, answer in self.answers.items():
            if part in path:
                status, content = answer(path, body)
                return web.json_response(content, status=status)
        return web.json_response({})

    def asked(self, part: str) -> list[tuple[str, Any]]:
        """Path and body of the calls whose path holds a part."""
        return [(path, body) for _, path, body in self.calls if part in path]


class Parts:
    """The parts of a client, joined as `MatrixClient` joins them, without a login."""

    user_id, device_id = "@bridge:itt.gov.test", "RABTADEVICE"

    def __init__(self, engine: Engine, clock: Clock, url: str, seal: Seal) -> None:
        with engine.begin() as connection:
            row = {"user_id": self.user_id, "device_id": self.device_id}
            put_new(connection, tables.account, row | {"shared": False, "device_signed": False})
        self.engine = engine
        self.store = CryptoStore(engine, seal, clock)
        self.state = CryptoState(self.store, self.user_id, self.device_id)
        self.wire = Wire(url)
        self.trust = Trust(self.state, self.wire)
        self.rooms = Rooms(self.store, self.wire, self.user_id)
        self.sharing = Sharing(self.state, self.trust, self.wire)
        self.sending = Sending(self.state, self.trust, self.sharing, self.rooms, self.wire)
        self.receiving = Receiving(self.state, self.trust)
        self.inbox = Inbox(self.state, self.trust)
        self.upkeep = Upkeep(
            self.state,
            self.wire,
            trust=self.trust,
            sharing=self.sharing,
            rooms=self.rooms,
            allowed_inviters=(),
        )

    def rows(self, table: Table) -> list[Any]:
        with self.engine.begin() as connection:
            return list(connection.execute(table.select()))


class Phone:
    """A device of a person as vodozemac makes it, for tests without a homeserver."""

    def __init__(self, user_id: str, device_id: str = "PHONE") -> None:
        self.user_id, self.device_id = user_id, device_id
        self.account = vodozemac.Account()
        self.account.generate_one_time_keys(10)
        self.master, self.signer = SigningKey(os.urandom(32)), SigningKey(os.urandom(32))
        self.group = vodozemac.GroupSession()

    @property
    def curve(self) -> str:
        return str(self.account.curve25519_key.to_base64())

    def signed(self, value: dict[str, Any]) -> dict[str, Any]:
        signature = self.account.sign(encode_canonical_json(value)).to_base64()
        return {**value, "signatures": {self.user_id: {f"ed25519:{self.device_id}": signature}}}

    @property
    def device(self) -> dict[str, Any]:
        """Device keys, signed by the device and by the self-signing key."""
        bare = {
            "user_id": self.user_id,
            "device_id": self.device_id,
            "algorithms": [OLM, MEGOLM],
            "keys": {
                f"ed25519:{self.device_id}": self.account.ed25519_key.to_base64(),
                f"curve25519:{self.device_id}": self.curve,
            },
        }
        value = self.signed(bare)
        value["signatures"][self.user_id][self.signer.key_id] = self.signer.sign(bare)
        return value

    @property
    def query(self) -> dict[str, Any]:
        """What `/keys/query` says of this person."""
        user = self.user_id
        master = {
            "user_id": user,
            "usage": ["master"],
            "keys": {self.master.key_id: self.master.public},
        }
        signer = {
            "user_id": user,
            "usage": ["self_signing"],
            "keys": {self.signer.key_id: self.signer.public},
        }
        signer["signatures"] = {user: {self.master.key_id: self.master.sign(signer)}}
        return {
            "device_keys": {user: {self.device_id: self.device}},
            "master_keys": {user: master},
            "self_signing_keys": {user: signer},
        }

    def one_time_key(self) -> dict[str, Any]:
        key_id, key = next(iter(self.account.one_time_keys.items()))
        return {f"signed_curve25519:{key_id}": self.signed({"key": key.to_base64()})}

    def letter(self, to: Parts, one_time_key: str, kind: str, content: Any) -> dict[str, Any]:
        """An Olm pre-key to-device event for the client under test."""
        keys = to.state.machine.account.identity_keys
        session = self.olm_session(to, one_time_key)
        payload = {
            "type": kind,
            "content": content,
            "sender": self.user_id,
            "keys": {"ed25519": self.account.ed25519_key.to_base64()},
            "recipient": to.user_id,
            "recipient_keys": {"ed25519": keys["ed25519"]},
        }
        return self.sealed(session, to, json.dumps(payload).encode())

    def olm_session(self, to: Parts, one_time_key: str) -> vodozemac.Session:
        keys = to.state.machine.account.identity_keys
        return self.account.create_outbound_session(
            vodozemac.Curve25519PublicKey.from_base64(keys["curve25519"]),
            vodozemac.Curve25519PublicKey.from_base64(one_time_key),
        )

    def sealed(self, session: vodozemac.Session, to: Parts, plaintext: bytes) -> dict[str, Any]:
        """An Olm to-device event that holds any bytes."""
        keys = to.state.machine.account.identity_keys
        number, ciphertext = session.encrypt(plaintext).to_parts()
        body = base64.b64encode(ciphertext).decode().rstrip("=")
        return {
            "type": "m.room.encrypted",
            "sender": self.user_id,
            "content": {
                "algorithm": OLM,
                "sender_key": self.curve,
                "ciphertext": {keys["curve25519"]: {"type": number, "body": body}},
            },
        }

    def room_key(self, room_id: str) -> dict[str, Any]:
        return {
            "algorithm": MEGOLM,
            "room_id": room_id,
            "session_id": self.group.session_id,
            "session_key": self.group.session_key.to_base64(),
        }

    def message(self, room_id: str, event_id: str, body: str) -> dict[str, Any]:
        """An encrypted room event."""
        content = {"msgtype": "m.text", "body": body}
        payload = {"type": "m.room.message", "room_id": room_id, "content": content}
        return self.sealed_event(event_id, json.dumps(payload).encode())

    def sealed_event(self, event_id: str, plaintext: bytes) -> dict[str, Any]:
        """An encrypted room event that holds any bytes."""
        return {
            "type": "m.room.encrypted",
            "event_id": event_id,
            "sender": self.user_id,
            "origin_server_ts": 1,
            "content": {
                "algorithm": MEGOLM,
                "ciphertext": self.group.encrypt(plaintext).to_base64(),
                "session_id": self.group.session_id,
            },
        }
