"""nio's Olm machine, made to survive what it reads.

One event from anybody on any server can not end it, can not undo another event of the same batch,
and can not replace a room key that is already held.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from nio.crypto import Olm
from nio.events import OlmEvent, RoomKeyEvent, ToDeviceEvent
from sqlalchemy.exc import SQLAlchemyError
from unpaddedbase64 import encode_base64

from rabta_bots.matrix.grammar import is_key, is_room_id, mapping
from rabta_bots.matrix.sessions import Account, Device, RoomSession
from rabta_bots.matrix.signing import signed_by
from rabta_bots.matrix.store import CryptoStore

OLM = "m.olm.v1.curve25519-aes-sha2"
MEGOLM = "m.megolm.v1.aes-sha2"
_SHARED_HISTORY = ("shared_history", "org.matrix.msc3061.shared_history")
"""The flag of a room key (spec v1.19), and as it was called before."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Decrypted:
    """A room event read with a room key; `index` is the Megolm message index."""

    type: str
    content: Mapping[str, Any]
    sender_key: str
    ed25519: str
    session_id: str
    index: int


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A room event that can not be read: `no-session`, `malformed`, `wrong-room`."""

    reason: str
    session_id: str


class Machine(Olm):  # type: ignore[misc] # nio ships no types
    """The Olm machine of our device. Loaded from the store, and thrown away after any failure.

    Args:
        user_id: Our account.
        device_id: Our device.
        store: Where its state lives.
    """

    account: Account
    store: CryptoStore

    def __init__(self, user_id: str, device_id: str, store: CryptoStore) -> None:
        super().__init__(user_id, device_id, store)
        self.arrived: set[tuple[str, str]] = set()
        """Room id and session id of the room keys that came since this was last emptied."""
        self.wedged: set[tuple[str, str]] = set()
        """User id and device id of devices whose Olm messages we could not read."""

    def device(self, user_id: str, device_id: str) -> Device | None:
        """Give a device of a user, deleted or not."""
        found: Device | None = self.device_store[user_id].get(device_id)
        return found

    def device_of_key(self, user_id: str, curve25519: str) -> Device | None:
        """Give the device of this user that owns an Olm identity key, deleted or not."""
        for device in self.device_store[user_id].values():
            if device.curve25519 == curve25519:
                found: Device = device
                return found
        return None

    # -- to-device ------------------------------------------------------------------------------

    def receive(self, raw: Mapping[str, Any]) -> None:
        """Take in one to-device event; whatever it breaks, it breaks alone (B1, B2, B3)."""
        if raw.get("type") != "m.room.encrypted":
            return
        try:
            event = ToDeviceEvent.parse_event(dict(raw))
            if isinstance(event, OlmEvent):
                self.decrypt_event(event)
        except SQLAlchemyError:
            raise
        except Exception as error:  # noqa: BLE001 - hostile input: vodozemac, nio and json all raise
            _log.warning("to-device-dropped", fault=type(error).__name__)

    def create_group_session(
        self,
        sender_key: str,
        sender_fp_key: str,
        room_id: str,
        session_id: str,
        session_key: str,
    ) -> None:
        """Keep a room key that came over Olm, unless we hold it from an earlier index already."""
        if not (is_key(sender_fp_key) and is_key(session_id) and is_room_id(room_id)):
            _log.warning("room-key-dropped", fault="malformed")
            return
        session = RoomSession(session_key, sender_fp_key, sender_key, room_id)
        if session.id != session_id:
            _log.warning("room-key-dropped", fault="session-id")
            return
        for held in self.store.room_sessions(room_id, session_id):
            if held.sender_key == sender_key and (
                held.first_known_index <= session.first_known_index
            ):
                return
        self.store.save_inbound_group_session(session)
        self.arrived.add((room_id, session_id))

    def _handle_room_key_event(
        self, sender: str, sender_key: str, payload: dict[str, Any]
    ) -> RoomKeyEvent | None:
        """Keep a room key, and whether its maker lets it be handed on (MSC4268)."""
        event = super()._handle_room_key_event(sender, sender_key, payload)
        content = mapping(payload.get("content"))
        if any(content.get(name) is True for name in _SHARED_HISTORY):
            room_id, session_id = content.get("room_id"), content.get("session_id")
            if is_room_id(room_id) and is_key(session_id):
                self.store.note_shareable(room_id, session_id, sender_key)
        return event if isinstance(event, RoomKeyEvent) else None

    def _handle_forwarded_room_key_event(self, *_: Any) -> None:
        """Take no room key from anybody but its maker: a forwarded one proves no sender."""

    def _mark_device_for_unwedging(self, sender: str, sender_key: str) -> None:
        device = self.device_of_key(sender, sender_key)
        if device is not None and not device.deleted:
            self.wedged.add((device.user_id, device.device_id))

    def save_session(self, curve_key: str, session: Any) -> None:
        """Save a session, and the account with it: its one-time key was used just now (B7)."""
        self.save_account()
        super().save_session(curve_key, session)

    def verify_json(self, json: Any, user_key: str, user_id: str, device_id: str) -> bool:
        """Verify a device's signature; a malformed key or signature is no signature (B4)."""
        return signed_by(json, user_id, f"ed25519:{device_id}", user_key)

    # -- rooms ----------------------------------------------------------------------------------

    def read(self, raw: Mapping[str, Any], room_id: str) -> Decrypted | Unreadable:
        """Decrypt a room event of any shape.

        `sender_key` and `device_id` of the event are the server's word and not needed: the
        session tells who made it. Only the encrypted copy of `m.relates_to` counts.
        """
        content = mapping(raw.get("content"))
        session_id, ciphertext = content.get("session_id"), content.get("ciphertext")
        if (
            content.get("algorithm") != MEGOLM
            or not is_key(session_id)
            or not isinstance(ciphertext, str)
        ):
            return Unreadable("malformed", "")
        sessions = self.store.room_sessions(room_id, session_id)
        if not sessions:
            return Unreadable("no-session", session_id)
        sender = str(raw.get("sender"))
        session = next(
            (one for one in sessions if self.device_of_key(sender, one.sender_key)), sessions[0]
        )
        try:
            plaintext, index = session.read(ciphertext)
        except ValueError:
            early = session.first_known_index > 0
            return Unreadable("unknown-index" if early else "malformed", session_id)
        payload = _payload(plaintext)
        if payload.get("room_id") != room_id:
            return Unreadable("wrong-room", session_id)
        event_type, inner = payload.get("type"), payload.get("content")
        if not isinstance(event_type, str) or not isinstance(inner, dict):
            return Unreadable("malformed", session_id)
        return Decrypted(event_type, inner, session.sender_key, session.ed25519, session_id, index)

    # -- sending --------------------------------------------------------------------------------

    def device_keys(self) -> dict[str, Any]:
        """Give our device keys as they are published, signed by the device itself."""
        keys = self.account.identity_keys
        return self.signed(
            {
                "user_id": self.user_id,
                "device_id": self.device_id,
                "algorithms": [OLM, MEGOLM],
                "keys": {f"{kind}:{self.device_id}": key for kind, key in keys.items()},
            }
        )

    def signed(self, value: dict[str, Any]) -> dict[str, Any]:
        """Give an object with our device's signature on it."""
        key_id = f"ed25519:{self.device_id}"
        return value | {"signatures": {self.user_id: {key_id: self.sign_json(value)}}}

    def encrypt_for(
        self, device: Device, event_type: str, content: Mapping[str, Any], **further: Any
    ) -> dict[str, Any]:
        """Encrypt a to-device event over the newest Olm session with a device.

        Args:
            device: The recipient.
            event_type: Of the event inside.
            content: Of the event inside.
            further: What else stands beside them, such as `sender_device_keys`.

        Raises:
            LookupError: there is no session.
        """
        session = self.session_store.get(device.curve25519)
        if session is None:
            raise LookupError(device.device_id)
        ours = self.account.identity_keys
        payload = {
            "type": event_type,
            "content": content,
            "sender": self.user_id,
            "sender_device": self.device_id,
            "keys": {"ed25519": ours["ed25519"]},
            "recipient": device.user_id,
            "recipient_keys": {"ed25519": device.ed25519},
            **further,
        }
        kind, ciphertext = session.encrypt(json.dumps(payload)).to_parts()
        self.save_session(device.curve25519, session)
        return {
            "algorithm": OLM,
            "sender_key": ours["curve25519"],
            "ciphertext": {device.curve25519: {"type": kind, "body": encode_base64(ciphertext)}},
        }

    def open_session(self, device: Device, claimed: Any) -> bool:
        """Start an Olm session from a claimed one-time key; tell whether it was a good one."""
        try:
            key = next(iter(claimed.values()))
            if not self.verify_json(key, device.ed25519, device.user_id, device.device_id):
                return False
            self.create_session(key["key"], device.curve25519)
        except (ValueError, KeyError, TypeError, AttributeError, StopIteration):
            return False
        return True


def _payload(plaintext: bytes) -> Mapping[str, Any]:
    try:
        return mapping(json.loads(plaintext))
    except (ValueError, RecursionError):
        return {}
