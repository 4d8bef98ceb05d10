"""Sets a room's record category, or invites the archiver, for the records officer.

Both are done in the name of somebody of ours with full power in the room, as the reconciler's
ACLs are, so that everybody in the room sees it and Synapse's rules and the door's judge it.
Whoever asks is an administrator and joins no room for it.
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
from rabta_synapse.closed import closed_by_raising
from rabta_synapse.judge import Judge
from rabta_synapse.refusal import NO_POLICY, NO_POWER_OF_OURS, NOT_AN_ADMINISTRATOR, Refusal

RESOURCE = "/_synapse/client/rabta/room_record"
_PATH = "record_command"


class RecordCommand(DirectServeJsonResource):
    """`POST {"room", "order", "category"}` or `{"room", "order", "archiver": true}`.

    By administrators alone. `order` is the number of the order behind it, for the audit. Answers
    200 with `room_id`, and `before` (the category that held until now, or null) or `archiver`.

    Args:
        api: Synapse's module API.
        judge: Holds the policy in force, and is told of every refusal.
        audit: Records what was done.
        archiver: User id of the archiver, None where there is none.
    """

    def __init__(self, api: ModuleApi, judge: Judge, audit: Audit, archiver: str | None) -> None:
        super().__init__()
        self._api = api
        self._judge = judge
        self._audit = audit
        self._archiver = archiver
        self._act = closed_by_raising(self.act)

    async def _async_render_POST(self, request: SynapseRequest) -> tuple[int, JsonDict]:  # noqa: N802 - Synapse looks for this name
        requester = await self._api.get_user_by_req(request)
        who = requester.user.to_string()
        if not await self._api.is_user_admin(who):
            raise self._refuse(NOT_AN_ADMINISTRATOR, who, "").error
        body = parse_json_object_from_request(request)
        room_id, order = body.get("room"), body.get("order")
        if not (isinstance(room_id, str) and isinstance(order, str)):
            raise SynapseError(HTTPStatus.BAD_REQUEST, "give room and order as texts")
        return HTTPStatus.OK, await self._act(who, room_id, order, body)

    async def act(self, who: str, room_id: str, order: str, body: JsonDict) -> JsonDict:
        """Set the category, or invite the archiver.

        Raises:
            SynapseError: Refused; `org.rabta.reason` says why. 404 where we know no such room,
                400 where the body asks for neither.
        """
        policy = self._judge.policy
        if policy is None:
            raise self._refuse(NO_POLICY, who, room_id).error
        state = await self._api.get_room_state(room_id, (*STATE_WITH_MEMBERS, (ROOM_RECORD, "")))
        if CREATE not in state:
            raise SynapseError(
                HTTPStatus.NOT_FOUND, "this server is in no such room", Codes.NOT_FOUND
            )
        people = dict(here(state))
        sender = with_full_power(
            state,
            sorted(u for u, stands in people.items() if stands == "join" and self._api.is_mine(u)),
        )
        if sender is None:
            raise self._refuse(NO_POWER_OF_OURS, who, room_id).error
        category = body.get("category")
        answer: JsonDict
        if isinstance(category, str):
            action, answer = "set-category", {"before": category_in(state)}
            if answer["before"] != category:
                await self._send(room_id, sender, category)
        elif body.get("archiver") is True and self._archiver is not None:
            action, answer = "invite-archiver", {"archiver": self._archiver}
            if self._archiver not in people:
                await self._api.update_room_membership(sender, self._archiver, room_id, "invite")
        else:
            raise SynapseError(HTTPStatus.BAD_REQUEST, "give category, or archiver where one is")
        self._audit.note(
            path=_PATH,
            action=action,
            verdict="noted",
            serial=policy.serial,
            origin=self._judge.server_name,
            actor=who,
            room=room_id,
            ref=order,
        )
        return {"room_id": room_id, **answer}

    async def _send(self, room_id: str, sender: str, category: str) -> None:
        await self._api.create_and_send_event_into_room(
            {
                "type": ROOM_RECORD,
                "state_key": "",
                "room_id": room_id,
                "sender": sender,
                "content": {"category": category},
            }
        )

    def _refuse(self, refusal: Refusal, actor: str, room_id: str) -> Refusal:
        room = Room(room_id or None, "")
        return self._judge.refuse_event(refusal, path=_PATH, sender=actor, room=room)
