"""The user directory: a search shows only people whose organisation the searcher may look up."""

from synapse.module_api import UserProfile

from rabta_policy import Action, ActionKind
from rabta_policy.known_room import server_of
from rabta_synapse.judge import Judge, Note
from rabta_synapse.refusal import Refusal


class UserSearch:
    """Judges each row of a user directory search."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge

    async def check_username_for_spam(self, profile: UserProfile, requester: str) -> bool:
        """Whether to hide a person from a searcher; this hook hides on True."""
        action = Action(
            ActionKind.DIRECTORY, server_of(requester), server_of(profile["user_id"]), None
        )
        verdict = self._judge.ask([action], path="check_username_for_spam", note=Note.NOTHING)
        return isinstance(verdict, Refusal)
