"""What comes as a finished event, by send_join or in a transaction: joins, knocks, redactions.

`check_event_allowed` never sees them (it does see send_knock). The only way to refuse without
destroying is to raise; a returned code would store the event emptied, for ever, so this file
returns no code.
"""

from synapse.module_api import NOT_SPAM, EventBase, ModuleApi

from rabta_policy import Room
from rabta_policy.known_room import STATE_WITH_MEMBERS
from rabta_synapse import class_rules
from rabta_synapse.judge import Judge
from rabta_synapse.membership import Membership
from rabta_synapse.private import federation_request
from rabta_synapse.room_events import guarded_target

_OFFERED = ("/send_join/", "/send/")
"""Requests in which another server offers a membership to us. What we pull ourselves (backfill,
state of a room we join) is history: refusing a part of it would break the whole pull."""


class Incoming:
    """Judges offered joins and knocks, and redactions of what guards a room.

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
        """Raise 403 for what may not be; other events are judged where they are made.

        Returns:
            `NOT_SPAM`, always: local events pass `check_event_allowed`, and remote content is
            never emptied.

        Raises:
            SynapseError: It is denied. Nothing is stored; it may be offered again.
        """
        membership = event.content.get("membership")
        coming = event.type == "m.room.member" and membership in ("join", "knock")
        if not coming and event.type != "m.room.redaction":
            return NOT_SPAM
        if self._api.is_mine(event.sender):
            return NOT_SPAM
        request = federation_request()
        if request is None or not any(way in request.path for way in _OFFERED):
            return NOT_SPAM
        if not coming:
            await self._redaction(event)
            return NOT_SPAM
        state = await self._api.get_room_state(event.room_id, STATE_WITH_MEMBERS)
        path = "send_join" if "/send_join/" in request.path else f"relayed_{membership}"
        refusal = self._membership.judge_event(event, state, path)
        if refusal:
            raise refusal.error
        return NOT_SPAM

    async def _redaction(self, event: EventBase) -> None:
        """D6. Rooms whose redactions need full power refuse most by themselves; older do not."""
        guards = [(kind, "") for kind in class_rules.UNREDACTABLE]
        state = await self._api.get_room_state(event.room_id, guards)
        refusal = class_rules.redaction(guarded_target(event, state))
        if refusal is not None:
            room = Room(event.room_id, "")
            path = "send:m.room.redaction"
            self._judge.refuse_event(refusal, path=path, sender=event.sender, room=room)
            raise refusal.error
