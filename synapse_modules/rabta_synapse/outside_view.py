"""What a server outside a room may learn of it: where its alias leads, and that it is in a space.

Synapse tells a room's servers to whoever asks for its alias, and shows a room with join rule
public or knock, in `/hierarchy`, to every server it talks to: a ministry could read there who
meets whom. Both are answered to those alone whose people are in the room or could come in.
"""

from synapse.api.errors import SynapseError
from synapse.module_api import ModuleApi

from rabta_policy.known_room import STATE_WITH_MEMBERS, expected, know
from rabta_synapse.judge import Judge, Note
from rabta_synapse.membership import Membership
from rabta_synapse.refusal import NO_POLICY, Refusal


class OutsideView:
    """Judges who may see a room from outside.

    Args:
        api: Synapse's module API.
        judge: Holds the policy in force.
        membership: Judges who may come into a room.
    """

    def __init__(self, api: ModuleApi, judge: Judge, membership: Membership) -> None:
        self._api = api
        self._judge = judge
        self._membership = membership

    async def alias(self, origin: str, alias: str) -> Refusal | None:
        """Why a server may not learn where an alias leads; None when it may.

        An alias that is not here is Synapse's to answer: nobody has it.
        """
        if not self._api.is_mine(alias):
            return None
        try:
            room_id, _ = await self._api.lookup_room_alias(alias)
        except SynapseError:
            return None
        return await self.room(origin, room_id, note=Note.ALL)

    async def room(self, origin: str, room_id: str, *, note: Note = Note.DENIALS) -> Refusal | None:
        """Why a server may not see a room of ours; None when it may, or when there is no room."""
        policy = self._judge.policy
        if policy is None:
            return NO_POLICY
        state = await self._api.get_room_state(room_id, STATE_WITH_MEMBERS)
        known = know(room_id, state, policy, self._judge.clock())
        if known is None or origin in expected(state):
            return None
        somebody = f"@:{origin}"
        return self._membership.join(somebody, known, state, invited=True, path="guard", note=note)
