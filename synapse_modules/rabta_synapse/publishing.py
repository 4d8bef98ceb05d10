"""Publishing a room in the directory, and giving it an alias."""

from typing import Literal

from synapse.api.errors import Codes
from synapse.module_api import NOT_SPAM, EventBase, JsonDict, ModuleApi, RoomAlias, StateMap

from rabta_policy import Action, ActionKind
from rabta_policy.known_room import STATE_NEEDED, know
from rabta_synapse.judge import Judge, Note
from rabta_synapse.refusal import NO_POLICY, Refusal


class Publishing:
    """Judges who may make a room findable.

    Args:
        api: Synapse's module API.
        judge: Asked for every verdict.
    """

    def __init__(self, api: ModuleApi, judge: Judge) -> None:
        self._api = api
        self._judge = judge

    async def user_may_publish_room(
        self, user_id: str, room_id: str
    ) -> Literal["NOT_SPAM"] | tuple[Codes, JsonDict]:
        """Judge putting a room into the directory, with an error people can read."""
        state = await self._api.get_room_state(room_id, STATE_NEEDED)
        refusal = self._judge_publishing(
            room_id, state, user_id, path="user_may_publish_room", note=Note.DENIALS
        )
        return refusal.answer if refusal else NOT_SPAM

    async def check_visibility_can_be_modified(
        self, room_id: str, state: StateMap[EventBase], new_visibility: str
    ) -> bool:
        """Judge the same for admins too. This hook speaks in booleans and allows when it raises.

        Taking a room out of the directory is never refused. Without state the room is being
        made: `on_create_room` judged `visibility` a moment ago, for admins as well.
        """
        if new_visibility == "private" or not state:
            return True
        path = "check_visibility_can_be_modified"
        return self._judge_publishing(room_id, state, None, path=path, note=Note.ALL) is None

    async def user_may_create_room_alias(
        self, user_id: str, alias: RoomAlias
    ) -> Literal["NOT_SPAM"] | tuple[Codes, JsonDict]:
        """Judge giving a room a name in our server's part of the namespace."""
        action = Action(ActionKind.ALIAS, self._judge.server_name, alias.domain, None, user_id)
        verdict = self._judge.ask([action], path="user_may_create_room_alias")
        return verdict.answer if isinstance(verdict, Refusal) else NOT_SPAM

    def _judge_publishing(
        self,
        room_id: str,
        state: StateMap[EventBase],
        user_id: str | None,
        *,
        path: str,
        note: Note,
    ) -> Refusal | None:
        server = self._judge.server_name
        policy = self._judge.policy
        known = know(room_id, state, policy, self._judge.clock()) if policy else None
        if known is None:
            action = Action(ActionKind.PUBLISH, server, server, None, user_id)
            return self._judge.refuse(action, NO_POLICY, path=path)
        action = Action(ActionKind.PUBLISH, server, server, known.room, user_id)
        verdict = self._judge.ask([action], path=path, note=note)
        return verdict if isinstance(verdict, Refusal) else None
