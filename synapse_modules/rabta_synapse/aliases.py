"""Who may learn where an alias of ours leads: the answer names every server in the room.

Synapse tells a room's servers to whoever asks for its alias, so a ministry could read there who
meets whom. It is answered to those alone who could come in.
"""

from synapse.api.errors import SynapseError
from synapse.module_api import ModuleApi

from rabta_policy.known_room import STATE_WITH_MEMBERS, know
from rabta_synapse.judge import Judge
from rabta_synapse.membership import Membership
from rabta_synapse.refusal import Refusal


class Aliases:
    """Judges a question for an alias.

    Args:
        api: Synapse's module API.
        judge: Holds the policy in force.
        membership: Judges who may come into a room.
    """

    def __init__(self, api: ModuleApi, judge: Judge, membership: Membership) -> None:
        self._api = api
        self._judge = judge
        self._membership = membership

    async def refusal(self, origin: str, alias: str) -> Refusal | None:
        """Why a server may not learn where an alias leads; None when it may.

        An alias that is not here is Synapse's to answer: nobody has it.
        """
        policy = self._judge.policy
        if policy is None or not self._api.is_mine(alias):
            return None
        try:
            room_id, _ = await self._api.lookup_room_alias(alias)
        except SynapseError:
            return None
        state = await self._api.get_room_state(room_id, STATE_WITH_MEMBERS)
        known = know(room_id, state, policy, self._judge.clock())
        if known is None:
            return None
        somebody = f"@:{origin}"
        return self._membership.join(somebody, known, state, invited=True, path="guard")
