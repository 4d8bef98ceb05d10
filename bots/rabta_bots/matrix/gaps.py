"""Walks back through `/messages` when a sync says that its timeline is limited (B11)."""

from collections.abc import Callable, Mapping
from typing import Any

import structlog

from rabta_bots.matrix.grammar import objects
from rabta_bots.matrix.wire import Wire

_PAGE = 100
_PAGES = 200
"""20,000 events of one room in one gap; beyond that something else is wrong, and it is told."""

_log = structlog.get_logger(__name__)


async def missed(
    wire: Wire,
    room_id: str,
    *,
    prev_batch: str,
    since: str | None,
    is_last: Callable[[Mapping[str, Any]], bool],
) -> list[dict[str, Any]]:
    """Give the events of a room between two syncs, oldest first.

    Args:
        wire: The homeserver.
        room_id: The room.
        prev_batch: Where the limited timeline begins.
        since: The token of the sync before.
        is_last: Tells of an event that the walk need go no further.

    Raises:
        MatrixError: as `Wire.call`; then the sync is to be tried again as a whole.
    """
    found: list[dict[str, Any]] = []
    start = prev_batch
    for _ in range(_PAGES):
        query = {"dir": "b", "from": start, "limit": str(_PAGE)}
        if since is not None:
            query["to"] = since
        page = await wire.call("GET", "rooms", room_id, "messages", query=query)
        for event in objects(page.get("chunk")):
            if is_last(event):
                return found[::-1]
            found.append(event)
        end = page.get("end")
        if not isinstance(end, str) or end == start:
            return found[::-1]
        start = end
    _log.error("gap-too-long", room_id=room_id, events=len(found))
    return found[::-1]
