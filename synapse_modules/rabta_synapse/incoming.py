"""Joins and knocks that reach us as finished events: send_join, and events of a transaction.

`check_event_allowed` never sees them (it does see send_knock). The only way to refuse without
destroying is to raise; a returned code would store the event emptied, for ever, so this file
returns no code.
"""

from synapse.module_api import NOT_SPAM, EventBase, ModuleApi

from rabta_policy.known_room import STATE_WITH_MEMBERS
from rabta_synapse.judge import Judge
from rabta_synapse.membership import Membership
from rabta_synapse.private import federation_request

_OFFERED = ("/send_join/", "/send/")
"""Requests in which another server offers a membership to us. What we pull ourselves (backfill,
state of a room we join) is history: refusing a part of it would break the whole pull."""


class Incoming:
    """Judges offered joins and knocks.

    Args:
        api: Synapse's module API.
        judge: Knows which server is ours.
        membership: Asks the judge about a membership.
    """

    def __init__(self, api: ModuleApi, judge: Judge, membership: Membership) -> None:
        self._api = api
        self._judge = judge
        self._membership = membership

    async def check_event_for_spam(self, event: EventBase) -> str:
        """Raise 403 for a remote join or knock the judge denies; the rest is judged elsewhere.

        Returns:
            `NOT_SPAM`, always: local events pass `check_event_allowed`, and remote content is
            never emptied.

        Raises:
            SynapseError: It is denied. Nothing is stored; it may be offered again.
        """
        membership = event.content.get("membership")
        if event.type != "m.room.member" or membership not in ("join", "knock"):
            return NOT_SPAM
        if self._api.is_mine(event.sender):
            return NOT_SPAM
        request = federation_request()
        if request is None or not any(way in request.path for way in _OFFERED):
            return NOT_SPAM
        state = await self._api.get_room_state(event.room_id, STATE_WITH_MEMBERS)
        path = "send_join" if "/send_join/" in request.path else f"relayed_{membership}"
        refusal = self._membership.judge_event(event, state, path)
        if refusal:
            raise refusal.error
        return NOT_SPAM
