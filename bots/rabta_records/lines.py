"""The lines of a record: what is said of an event, a file and a room's state. Pure."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rabta_bots.matrix import Received
from rabta_policy.label import ROOM_CLASS, Label
from rabta_policy.record import ROOM_RECORD

_STATE = {
    "m.room.create",
    "m.room.name",
    "m.room.topic",
    "m.room.member",
    "m.room.encryption",
    "m.room.history_visibility",
    "m.room.power_levels",
    "m.room.tombstone",
    ROOM_CLASS,
    ROOM_RECORD,
}


def of_event(event: Received, file: Mapping[str, Any] | None, now: datetime) -> dict[str, Any]:
    """The line of an event.

    Args:
        event: As it was received.
        file: What became of its attachment, None when it has none.
        now: When it is recorded.
    """
    return {
        "kind": "event",
        "at": f"{now:%FT%TZ}",
        "event_id": event.event_id,
        "sender": event.sender,
        "type": event.type,
        # As text: what a stranger wrote may be no canonical JSON.
        "content": _text(event.content),
        "origin_server_ts": event.origin_server_ts,
        "encrypted": event.encrypted,
        "device": event.device_id,
        "device_trust": event.device.value,
        **({"file": dict(file)} if file is not None else {}),
    }


def of_state(events: Sequence[Mapping[str, Any]], now: datetime) -> dict[str, Any]:
    """The line of a room's state: who is in it, how it is called, its class and category."""
    told = [
        {
            "type": str(event.get("type")),
            "state_key": str(event.get("state_key")),
            "event_id": str(event.get("event_id")),
            "sender": str(event.get("sender")),
            "content": _text(event.get("content")),
        }
        for event in events
        if event.get("type") in _STATE
    ]
    ordered = sorted(told, key=lambda one: (one["type"], one["state_key"]))
    return {"kind": "state", "at": f"{now:%FT%TZ}", "state": ordered}


def digest_of_state(line: Mapping[str, Any]) -> str:
    """SHA-256 of a state line but for its time: the same while nothing changes."""
    return hashlib.sha256(_text(line["state"]).encode()).hexdigest()


def classes_of(events: Sequence[Mapping[str, Any]]) -> set[str]:
    """The class labels of a room's state: the floor it was born with, and what was raised.

    A label that cannot be read counts as a class of no name.
    """
    found = set()
    for event in events:
        content = event.get("content")
        if event.get("type") == "m.room.create" and isinstance(content, Mapping):
            if ROOM_CLASS in content:
                label = Label.from_create(content)
                found.add(label.room_class if label else "")
        elif event.get("type") == ROOM_CLASS and event.get("state_key") == "":
            label = Label.from_content(content)
            found.add(label.room_class if label else "")
    return found


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=True, sort_keys=True)
