"""Invites to e-mail addresses and telephone numbers: no organisation stands behind one, so none.

An address has no server name; there is nobody to ask the judge about. Both callbacks refuse
always, so that neither can fail open.
"""

from typing import Literal

from synapse.api.errors import Codes
from synapse.module_api import EventBase, JsonDict, StateMap

from rabta_policy import Action, ActionKind
from rabta_synapse.judge import Judge
from rabta_synapse.refusal import ADDRESS


class ThirdPartyInvites:
    """Refuses invites to third-party identifiers, as values of the judge's record."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge

    async def user_may_send_3pid_invite(
        self,
        inviter: str,
        medium: str,  # noqa: ARG002 - Synapse's signature
        address: str,  # noqa: ARG002 - Synapse's signature; never recorded
        room_id: str,  # noqa: ARG002 - Synapse's signature
    ) -> Literal["NOT_SPAM"] | tuple[Codes, JsonDict]:
        """Refuse with a sentence the officer understands."""
        server = self._judge.server_name
        action = Action(ActionKind.INVITE, server, "", None, inviter)
        return self._judge.refuse(action, ADDRESS, path="user_may_send_3pid_invite").answer

    async def check_threepid_can_be_invited(
        self,
        medium: str,  # noqa: ARG002 - Synapse's signature
        address: str,  # noqa: ARG002 - Synapse's signature
        state: StateMap[EventBase],  # noqa: ARG002 - Synapse's signature
    ) -> bool:
        """Refuse, admins too. This hook speaks in booleans and allows when it raises: no code."""
        return False
