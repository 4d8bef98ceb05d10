"""Looks for our own event in a room before a late repeat: the homeserver forgets transaction ids.

Synapse answers a repeated transaction id with the first event for 24 hours. A repeat after that
would be a second event. The stored ciphertext is sent unchanged and no other event holds it, so it
names its event without any mark of ours.
"""

import json
from datetime import datetime, timedelta

from rabta_bots.matrix.grammar import is_event_id, mapping, objects
from rabta_bots.matrix.store import milliseconds
from rabta_bots.matrix.wire import Wire

_PAGE = "100"
_SKEW = timedelta(hours=1)
"""How far the homeserver's clock may be behind ours."""


async def own_event(
    wire: Wire, room_id: str, user_id: str, *, sent: str, first_tried: datetime
) -> str | None:
    """Give the id of the event that holds these bytes, or None if the room has none.

    Args:
        wire: The homeserver.
        room_id: The room.
        user_id: Our account.
        sent: The JSON of the encrypted content as it was stored before the first try.
        first_tried: When that was; older events of ours are not looked at.

    Raises:
        MatrixError: as `Wire.call`; then nothing is known and nothing may be sent.
    """
    ciphertext = json.loads(sent)["ciphertext"]
    before = milliseconds(first_tried - _SKEW)
    ours = json.dumps({"senders": [user_id], "types": ["m.room.encrypted"]})
    query = {"dir": "b", "limit": _PAGE, "filter": ours}
    while True:
        page = await wire.call("GET", "rooms", room_id, "messages", query=query)
        for event in objects(page.get("chunk")):
            event_id, sent_at = event.get("event_id"), event.get("origin_server_ts")
            if mapping(event.get("content")).get("ciphertext") == ciphertext:
                # The server filters by sender, and is not believed blindly.
                if event.get("sender") == user_id and is_event_id(event_id):
                    return event_id
            elif isinstance(sent_at, int) and sent_at < before:
                return None
        end = page.get("end")
        if not isinstance(end, str) or end == query.get("from"):
            return None
        query["from"] = end
