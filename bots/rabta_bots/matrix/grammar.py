"""The shapes that identifiers and keys must have before they reach a database.

Strangers choose these strings. A NUL or a lone surrogate that reached PostgreSQL would fail the
transaction of the whole sync, again and again: that would be a remote kill.
"""

import re
from collections.abc import Mapping
from typing import Any, TypeGuard

_KEY = re.compile(r"[A-Za-z0-9+/]{43}=?")
_USER = re.compile(r"@[\x21-\x39\x3b-\x7e]*:[\x21-\x7e]{1,230}")
_ROOM = re.compile(r"![\x21-\x7e]{1,254}")
_EVENT = re.compile(r"\$[\x21-\x7e]{1,254}")
_DEVICE = re.compile(r"[\x20-\x7e]{1,255}")


def is_key(value: object) -> TypeGuard[str]:
    """Tell whether it looks like 32 bytes in base64: a Curve25519 or Ed25519 key, a session id."""
    return isinstance(value, str) and _KEY.fullmatch(value) is not None


def is_user_id(value: object) -> TypeGuard[str]:
    """Tell whether it is a user id (spec appendix: Identifier grammar), 255 bytes at most."""
    return isinstance(value, str) and len(value) <= 255 and _USER.fullmatch(value) is not None  # noqa: PLR2004 - the spec's bound


def is_room_id(value: object) -> TypeGuard[str]:
    """Tell whether it is a room id, of room version 12 (no domain) or older."""
    return isinstance(value, str) and _ROOM.fullmatch(value) is not None


def is_event_id(value: object) -> TypeGuard[str]:
    """Tell whether it is an event id."""
    return isinstance(value, str) and _EVENT.fullmatch(value) is not None


def is_device_id(value: object) -> TypeGuard[str]:
    """Tell whether it is a device id."""
    return isinstance(value, str) and _DEVICE.fullmatch(value) is not None


def mapping(value: object) -> Mapping[str, Any]:
    """Give a JSON object as it is and anything else as an empty one."""
    return value if isinstance(value, dict) else {}


def objects(value: object) -> list[dict[str, Any]]:
    """Give the JSON objects of a list, and of anything else none."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
