"""Asks who has read a room, once, when somebody wants to know. Read receipts are no evidence."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from rabta_bots.matrix.grammar import is_user_id, mapping, objects
from rabta_bots.matrix.wire import Wire

_NONE = {"not_types": ["*"]}
_LATEST = 100
"""So many events of the room are looked at; a receipt for an older one is not understood."""

_LATEST_YEAR_MS = 4_102_444_800_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


async def readers(wire: Wire, room_id: str, event_id: str) -> dict[str, datetime]:
    """Give who is seen to have read up to an event or past it (spec: client-server API 11.7).

    A sync from the beginning, of this one room: nothing of it is kept, and without a token it
    takes nothing from the to-device queue.

    Raises:
        MatrixError: as `Wire.call`.
    """
    wanted = {
        "presence": _NONE,
        "account_data": _NONE,
        "room": {
            "rooms": [room_id],
            "account_data": _NONE,
            "ephemeral": {"types": ["m.receipt"]},
            "state": {"types": []},
            "timeline": {"limit": _LATEST},
        },
    }
    query = {"filter": json.dumps(wanted), "timeout": "0", "set_presence": "offline"}
    answer = await wire.call("GET", "sync", query=query, timeout=timedelta(seconds=60))
    room = mapping(mapping(mapping(answer.get("rooms")).get("join")).get(room_id))
    timeline = objects(mapping(room.get("timeline")).get("events"))
    return seen_by(event_id, [one.get("event_id") for one in timeline], room)


def seen_by(event_id: str, order: list[Any], room: Mapping[str, Any]) -> dict[str, datetime]:
    """Read the receipts of a room. Pure.

    Args:
        event_id: What is asked about.
        order: The latest events of the room, oldest first.
        room: The room as a sync gives it.
    """
    # What is not among the latest is older than all of them.
    start = order.index(event_id) if event_id in order else 0
    at_or_past = {event_id, *order[start:]}
    found: dict[str, datetime] = {}
    for ephemeral in objects(mapping(room.get("ephemeral")).get("events")):
        for target, receipts in mapping(ephemeral.get("content")).items():
            told = mapping(mapping(receipts).get("m.read")) if target in at_or_past else {}
            for user_id, receipt in told.items():
                read_ms = mapping(receipt).get("ts")
                if not isinstance(read_ms, int) or not 0 < read_ms < _LATEST_YEAR_MS:
                    continue
                if is_user_id(user_id):
                    found[user_id] = _EPOCH + timedelta(milliseconds=read_ms)
    return found
