"""Sets a room's record category for the records officer: one resource for administrators.

The category is sent in the name of somebody of ours with full power in the room, as the
reconciler's ACLs are, so that everybody in the room sees it and Synapse's rules and D18 judge it.
Nobody joins the room for it.
"""

from http import HTTPStatus

from synapse.api.errors import Codes, SynapseError
from synapse.http.site import SynapseRequest
from synapse.module_api import (
    DirectServeJsonResource,
    JsonDict,
    ModuleApi,
    parse_json_object_from_request,
)

from rabta_policy import Room
from rabta_policy.following import here, with_full_power
from rabta_policy.known_room import CREATE, STATE_WITH_MEMBERS
from rabta_policy.record import ROOM_RECORD, category_in
from rabta_synapse.audit import Audit
from rabta_synapse.judge import Judge
from rabta_synapse.refusal import NO_POLICY, NO_POWER_OF_OURS, NOT_AN_ADMINISTRATOR, Refusal

RESOURCE = "/_synapse/client/rabta/room_record"
_PATH = "record_command"


class RecordCommand(DirectServeJsonResource):
    """`POST {"room", "category", "order"}`, by administrators; 200 `{"room_id", "before"}`.

    `order` is the number of the order behind it, for the audit. `before` is the category that
    held until now, or null.
    """

    def __init__(self, api: ModuleApi, judge: Judge, audit: Audit) -> None:
        super().__init__()
        self._api = api
        self._judge = judge
        self._audit = audit

    async def _async_render_POST(self, request: SynapseRequest) -> tuple[int, JsonDict]:  # noqa: N802 - Synapse looks for this name
        requester = await self._api.get_user_by_req(request)
        who = requester.user.to_string()
        if not await self._api.is_user_admin(who):
            raise self._refuse(NOT_AN_ADMINISTRATOR, who, "").error
        body = parse_json_object_from_request(request)
        room_id, category, order = (body.get(key) for key in ("room", "category", "order"))
        if not (isinstance(room_id, str) and isinstance(category, str) and isinstance(order, str)):
            raise SynapseError(HTTPStatus.BAD_REQUEST, "give room, category and order as texts")
        return HTTPStatus.OK, await self.set_category(who, room_id, category, order)

    async def set_category(self, who: str, room_id: str, category: str, order: str) -> JsonDict:
        """Send the category.

        Raises:
            SynapseError: Refused; `org.rabta.reason` says why. 404 where we know no such room.
        """
        policy = self._judge.policy
        if policy is None:
            raise self._refuse(NO_POLICY, who, room_id).error
        state = await self._api.get_room_state(room_id, (*STATE_WITH_MEMBERS, (ROOM_RECORD, "")))
        if CREATE not in state:
            raise SynapseError(
                HTTPStatus.NOT_FOUND, "this server is in no such room", Codes.NOT_FOUND
            )
        joined = sorted(
            user
            for user, membership in here(state)
            if membership == "join" and self._api.is_mine(user)
        )
        sender = with_full_power(state, joined)
        if sender is None:
            raise self._refuse(NO_POWER_OF_OURS, who, room_id).error
        before = category_in(state)
        if before != category:
            await self._api.create_and_send_event_into_room(
                {
                    "type": ROOM_RECORD,
                    "state_key": "",
                    "room_id": room_id,
                    "sender": sender,
                    "content": {"category": category},
                }
            )
        self._audit.note(
            path=_PATH,
            action="set-category",
            verdict="noted",
            serial=policy.serial,
            origin=self._judge.server_name,
            actor=who,
            room=room_id,
            ref=order,
        )
        return {"room_id": room_id, "before": before}

    def _refuse(self, refusal: Refusal, actor: str, room_id: str) -> Refusal:
        room = Room(room_id or None, "")
        return self._judge.refuse_event(refusal, path=_PATH, sender=actor, room=room)
