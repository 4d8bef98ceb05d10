"""Raises a room's class for an officer who told the ministry's bot to: one resource for the bot.

The bot knows that the officer said it: encrypted, from a device that the officer has signed. It
gets no power in any room for that, need not be in the room, and nothing changes in who may read
it. The label is sent in the officer's own name, so that Synapse's rules and the door's judge it
against the room's real state as if a client had sent it: power levels, creators of room version
12, D13. This file decides only who may ask, and tells an officer who is not in a room no more of
it than somebody who guesses.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from synapse.api.errors import AuthError, SynapseError
from synapse.http.site import SynapseRequest
from synapse.module_api import (
    DirectServeJsonResource,
    EventBase,
    JsonDict,
    ModuleApi,
    StateMap,
    parse_json_object_from_request,
)

from rabta_policy import Policy, Room
from rabta_policy.known_room import STATE_NEEDED, know, strictest
from rabta_policy.label import ROOM_CLASS, Label, labels_in
from rabta_synapse.audit import Audit
from rabta_synapse.closed import closed_by_raising
from rabta_synapse.judge import Judge
from rabta_synapse.refusal import NO_POLICY, NO_POWER_TO_RAISE, NOT_IN_ROOM, NOT_THE_BOT, Refusal

RESOURCE = "/_synapse/client/rabta/room_class"
_PATH = "class_command"


class ClassCommand(DirectServeJsonResource):
    """`POST {"officer", "room", "class"}`, by the bot alone; 200 `{"room_id", "class", "before"}`.

    `room` is a room id or an alias of this server. `before` is the class that held until now.

    Args:
        api: Synapse's module API.
        judge: Holds the policy in force, and is told of every refusal.
        audit: Records what was raised.
        bot: User id of the ministry's bot.
    """

    def __init__(self, api: ModuleApi, judge: Judge, audit: Audit, bot: str) -> None:
        super().__init__()
        self._api = api
        self._judge = judge
        self._audit = audit
        self._bot = bot
        self._raise_class = closed_by_raising(self.raise_class)

    async def _async_render_POST(self, request: SynapseRequest) -> tuple[int, JsonDict]:  # noqa: N802 - Synapse looks for this name
        requester = await self._api.get_user_by_req(request)
        if requester.user.to_string() != self._bot:
            raise self._refuse(NOT_THE_BOT, requester.user.to_string(), "").error
        body = parse_json_object_from_request(request)
        officer, room, room_class = (_word(body, key) for key in ("officer", "room", "class"))
        return HTTPStatus.OK, await self._raise_class(officer, room, room_class)

    async def raise_class(self, officer: str, room: str, room_class: str) -> JsonDict:
        """Send the label as the officer.

        Raises:
            SynapseError: Refused; `org.rabta.reason` says why.
        """
        policy = self._judge.policy
        room_id = await self._room_of(officer, room)
        if room_id is None:
            raise self._refuse(NOT_IN_ROOM, officer, room).error
        if policy is None:
            raise self._refuse(NO_POLICY, officer, room_id).error
        state = await self._api.get_room_state(room_id, STATE_NEEDED)
        before = strictest(policy, labels_in(state))
        try:
            await self._api.create_and_send_event_into_room(
                {
                    "type": ROOM_CLASS,
                    "state_key": "",
                    "room_id": room_id,
                    "sender": officer,
                    "content": Label(room_class, self._owner(room_id, state, policy)).content,
                }
            )
        except AuthError as fault:
            # The door's own refusals are SynapseErrors with their reason, and pass.
            raise self._refuse(NO_POWER_TO_RAISE, officer, room_id, before).error from fault
        self._audit.note(
            path=_PATH,
            action="raise-class",
            verdict="noted",
            serial=policy.serial,
            origin=self._judge.server_name,
            actor=officer,
            room=room_id,
            room_class=room_class,
        )
        return {"room_id": room_id, "class": room_class, "before": before}

    async def _room_of(self, officer: str, room: str) -> str | None:
        """The room that is meant, if the officer is ours and in it; else None."""
        if not self._api.is_mine(officer):
            return None
        room_id = room
        if room.startswith("#"):
            if not self._api.is_mine(room):
                return None
            try:
                room_id, _ = await self._api.lookup_room_alias(room)
            except SynapseError:
                return None
        if not room_id.startswith("!"):
            return None
        member = ("m.room.member", officer)
        state = await self._api.get_room_state(room_id, [member])
        found = state.get(member)
        return room_id if found and found.content.get("membership") == "join" else None

    def _owner(self, room_id: str, state: StateMap[EventBase], policy: Policy) -> str | None:
        known = know(room_id, state, policy, self._judge.clock())
        return known.room.owner if known else None

    def _refuse(self, refusal: Refusal, actor: str, room_id: str, room_class: str = "") -> Refusal:
        room = Room(room_id or None, room_class)
        return self._judge.refuse_event(refusal, path=_PATH, sender=actor, room=room)


def _word(body: Mapping[str, Any], key: str) -> str:
    """A field of the body.

    Raises:
        SynapseError: 400; it is missing or no text of 1 to 255 letters.
    """
    value = body.get(key)
    if isinstance(value, str) and 0 < len(value) <= 255:  # noqa: PLR2004 - Matrix's longest identifier
        return value
    raise SynapseError(HTTPStatus.BAD_REQUEST, f"{key}: give a text of 1 to 255 letters")
