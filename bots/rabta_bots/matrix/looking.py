"""Asks again for the devices of a message's readers, when they are few and of our own server.

A phone that signed in after our last sync would not read the message otherwise, and no later key
would open it. Other servers tell ours of new devices by themselves, and asking one that is away
would hold the message up.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from rabta_bots.matrix import roomstate
from rabta_bots.matrix.state import CryptoState
from rabta_bots.matrix.trust import Trust

FRESH = timedelta(seconds=1)
"""Devices that were asked for so long before a message was handed over need not be again."""
_FEW = 20


class Looking:
    """When whose devices were asked for.

    Args:
        state: Our device.
        trust: Keeps recipients' devices up to date.
    """

    def __init__(self, state: CryptoState, trust: Trust) -> None:
        self._state = state
        self._trust = trust
        self._looked: dict[str, datetime] = {}

    def late(self, readers: Sequence[str], after: datetime) -> list[str]:
        """Those of a few readers whose devices nobody asked for since `after`."""
        ours, server = self._state.user_id, self._state.user_id.partition(":")[2]
        near = [one for one in readers if one.partition(":")[2] == server and one != ours]
        if len(near) > _FEW:
            return []
        return [one for one in near if (seen := self._looked.get(one)) is None or seen <= after]

    async def look(self, users: Collection[str]) -> None:
        """Ask for the devices of users.

        Raises:
            MatrixError: as `Wire.call`.
        """
        now = self._state.store.clock()
        await self._trust.refresh(users)
        self._looked.update(dict.fromkeys(users, now))

    async def look_again(self, room_id: str, after: datetime) -> None:
        """Ask for the devices of the room's readers, unless they are many or `after` is kept."""
        with self._state.store.transaction() as connection:
            readers = roomstate.readers(connection, room_id)
        await self.look(self.late(readers, after))
