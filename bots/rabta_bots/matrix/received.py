"""What the bridge reads from rooms: decrypted events with a judgement on who sent them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class SenderTrust(StrEnum):
    """How far the device that encrypted an event is known to be its sender's own.

    Only `SIGNED` may command anything. Computed from the Megolm session's Olm sender key, to the
    device that owns it, to the self-signing key, to the master key pinned on first use.
    """

    SIGNED = "signed"
    """The device is signed by the pinned identity of the sender."""
    UNSIGNED = "unsigned"
    """The device is the sender's by the server's word alone: nobody signed it."""
    UNKNOWN = "unknown"
    """No device of the sender owns the session, or the event was not encrypted."""
    CHANGED_IDENTITY = "changed-identity"
    """The sender's master key is not the pinned one and nobody acknowledged the change."""


@dataclass(frozen=True, slots=True)
class Received:
    """One event of a room, stored in the transaction that moved the sync token past it."""

    event_id: str
    room_id: str
    sender: str
    type: str
    """The event type; of the decrypted event where it was encrypted."""
    content: Mapping[str, Any]
    """The decrypted content. `m.relates_to` is the encrypted copy if there is one."""
    encrypted: bool
    """False for an event sent in clear, also in an encrypted room: it may command nothing."""
    device: SenderTrust
    device_id: str | None
    """The sending device, when it is known."""
    origin_server_ts: int
    """Milliseconds since the epoch, as the sender's server says."""


@dataclass(frozen=True, slots=True)
class Undecryptable:
    """An event whose room key has not come. It is kept and retried when the key arrives."""

    event_id: str
    room_id: str
    sender: str
    reason: str
    """`no-session`, `withheld`, `malformed`, `replayed`, `wrong-room` or `unknown-index`."""
    first_seen: datetime
    """When this client first saw it (its own clock, timezone-aware)."""
