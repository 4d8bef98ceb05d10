"""Whether one of our users and another server share a room, or an invite between them is open.

Asked for every key, device, profile and media request from outside, so a yes is kept for a short
while. A no is not: an invite or a join turns it into a yes, and whoever was just let in asks next.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from synapse.module_api import LoggingTransaction, ModuleApi

from rabta_synapse.invitations import DatabaseInvitations

_YES = timedelta(seconds=10)
_MOST = 20_000

# Synapse's own tables; the tests of every release try each query.
_SHARED = """
    SELECT 1 FROM local_current_membership AS ours
    INNER JOIN current_state_events AS theirs ON theirs.room_id = ours.room_id
    WHERE ours.user_id = ? AND ours.membership = 'join'
        AND theirs.type = 'm.room.member' AND theirs.membership IN ('join', 'invite', 'knock')
        AND theirs.state_key LIKE ?
    LIMIT 1
"""
_INVITED = """
    SELECT 1 FROM local_current_membership AS ours
    INNER JOIN rabta_invitations AS invited
        ON invited.room_id = ours.room_id AND invited.user_id = ours.user_id
    WHERE ours.user_id = ? AND ours.membership = 'invite' AND invited.inviter LIKE ?
    LIMIT 1
"""
_UPLOADER = "SELECT user_id FROM local_media_repository WHERE media_id = ?"


class SharedRooms:
    """Looks up who shares a room with whom.

    Args:
        api: Synapse's module API.
        invitations: Invites received, in the same database.
        clock: The time, with its zone.
    """

    def __init__(
        self,
        api: ModuleApi,
        invitations: DatabaseInvitations,
        clock: Callable[[], datetime],
    ) -> None:
        self._api = api
        self._invitations = invitations
        self._clock = clock
        self._known: dict[tuple[str, str], datetime] = {}

    async def share(self, user_id: str, server: str) -> bool:
        """Whether our user and anybody of that server are in one room, or one invited the other."""
        now, pair = self._clock(), (user_id, server)
        if now < self._known.get(pair, now):
            return True
        await self._invitations.ready()
        answer = await self._api.run_db_interaction("rabta_shared_room", _share, user_id, server)
        if answer:
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[pair] = now + _YES
        return answer

    async def uploader(self, media_id: str) -> str | None:
        """The local user who uploaded a file, None when there is no such file."""
        return await self._api.run_db_interaction("rabta_uploader", _uploader, media_id)


def _share(txn: LoggingTransaction, user_id: str, server: str) -> bool:
    for query in (_SHARED, _INVITED):
        txn.execute(query, (user_id, f"%:{server}"))
        if txn.fetchone():
            return True
    return False


def _uploader(txn: LoggingTransaction, media_id: str) -> str | None:
    txn.execute(_UPLOADER, (media_id,))
    row = txn.fetchone()
    return str(row[0]) if row and row[0] else None
