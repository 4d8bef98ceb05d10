"""Rooms: made encrypted, learned from the server, and who is let in and out."""

from collections.abc import Sequence
from typing import Any

import structlog

from rabta_bots.matrix import roomstate
from rabta_bots.matrix.errors import MatrixError
from rabta_bots.matrix.grammar import is_event_id, is_room_id, objects
from rabta_bots.matrix.machine import MEGOLM
from rabta_bots.matrix.store import CryptoStore
from rabta_bots.matrix.wire import RefusedError, Wire

_log = structlog.get_logger(__name__)

ROOM_CLASS = "org.rabta.room.class"
"""The label of a room, in `m.room.create` and as a state event; the door reads it."""

_COMPANY = 2
"""So many others, and a room is no talk with us alone."""

OURS = 100
"""A power level that in a room of ours nobody else has."""


class Rooms:
    """The rooms of our account.

    Args:
        store: The rows.
        wire: The homeserver.
        user_id: Our account.
    """

    def __init__(self, store: CryptoStore, wire: Wire, user_id: str) -> None:
        self._store = store
        self._user_id = user_id
        self._wire = wire

    async def create(
        self,
        *,
        name: str,
        topic: str,
        invite: Sequence[str],
        room_class: str,
        direct: bool,
        talk: bool,
        key: str | None,
    ) -> str:
        """Create a private room that is encrypted from its first event; see `MatrixClient`.

        Only we invite into it; without `talk` only we write in it.
        """
        if key is not None and (made := await self._made_before(key)) is not None:
            for user_id in invite:
                await self.invite(made, user_id)
            return made
        label = {"class": room_class}
        marks = [] if key is None else [(roomstate.ROOM_KEY, {"key": key})]
        silent = {} if talk else {"events_default": OURS}
        answer = await self._wire.call(
            "POST",
            "createRoom",
            body={
                "preset": "private_chat",
                "visibility": "private",
                "name": name,
                "topic": topic,
                "invite": list(invite),
                "is_direct": direct,
                "creation_content": {ROOM_CLASS: label},
                "power_level_content_override": {"invite": OURS, **silent},
                "initial_state": [
                    {"type": event_type, "state_key": "", "content": content}
                    for event_type, content in (
                        ("m.room.encryption", {"algorithm": MEGOLM}),
                        (ROOM_CLASS, label),
                        *marks,
                    )
                ],
            },
        )
        room_id = answer.get("room_id")
        if not is_room_id(room_id):
            raise MatrixError("homeserver-failed", "no room id", permanent=False)
        await self._learn(room_id)
        return room_id

    async def _made_before(self, key: str) -> str | None:
        """Give the room that was made for the key and not remembered: we died, or heard nothing."""
        answer = await self._wire.call("GET", "joined_rooms")
        joined = answer.get("joined_rooms")
        for room_id in joined if isinstance(joined, list) else []:
            with self._store.transaction() as connection:
                known = roomstate.is_known(connection, room_id)
            if not known and is_room_id(room_id):
                await self._learn(room_id)
        with self._store.transaction() as connection:
            found = roomstate.made_for(connection, key, self._user_id)
        if found is not None:
            _log.warning("room-found-again", room_id=found)
        return found

    async def require_encrypted(self, room_id: str) -> None:
        """Make sure that we are in the room, know its members, and that it is encrypted.

        Raises:
            MatrixError: permanent `room-not-encrypted`, `unsupported-encryption`, `forbidden`.
        """
        with self._store.transaction() as connection:
            known = roomstate.is_known(connection, room_id)
            wanted = roomstate.encryption(connection, room_id)
        if not known or wanted is None:
            await self._learn(room_id)
            with self._store.transaction() as connection:
                wanted = roomstate.encryption(connection, room_id)
        if wanted is None:
            raise MatrixError("room-not-encrypted", room_id, permanent=True)

    async def invite(self, room_id: str, user_id: str) -> None:
        """Invite a user."""
        if (await self.members(room_id)).get(user_id) in ("join", "invite"):
            return
        await self._wire.call("POST", "rooms", room_id, "invite", body={"user_id": user_id})
        self._set(room_id, user_id, "invite")

    async def kick(self, room_id: str, user_id: str, reason: str) -> None:
        """Remove a user; the next message uses a new key."""
        if (await self.members(room_id)).get(user_id, "leave") in ("leave", "ban"):
            return
        await self._wire.call(
            "POST", "rooms", room_id, "kick", body={"user_id": user_id, "reason": reason}
        )
        self._set(room_id, user_id, "leave")

    async def members(self, room_id: str) -> dict[str, str]:
        """Give user id -> membership, asking the server for rooms not known yet."""
        with self._store.transaction() as connection:
            known = roomstate.members_known(connection, room_id)
        if known is not None:
            return known
        await self._learn(room_id)
        with self._store.transaction() as connection:
            return roomstate.members(connection, room_id)

    async def redact(self, room_id: str, event_id: str, txn_id: str, reason: str) -> str:
        """Redact an event."""
        answer = await self._wire.call(
            "PUT", "rooms", room_id, "redact", event_id, txn_id, body={"reason": reason}
        )
        redaction = answer.get("event_id")
        if not is_event_id(redaction):
            raise MatrixError("homeserver-failed", "no event id", permanent=False)
        return redaction

    async def join(self, room_id: str) -> None:
        """Accept an invitation."""
        await self._wire.call("POST", "rooms", room_id, "join", body={})

    async def leave(self, room_id: str) -> None:
        """Turn an invitation down, or leave."""
        await self._wire.call("POST", "rooms", room_id, "leave", body={})

    async def raise_class(self, room: str, room_class: str, *, officer: str) -> str:
        """Have the door label a room in an officer's name; see `MatrixClient.raise_class`."""
        asked = {"officer": officer, "room": room, "class": room_class}
        try:
            answer = await self._wire.call(
                "POST", "rabta", "room_class", body=asked, root="/_synapse/client"
            )
        except RefusedError as refused:
            if refused.reason == "token-refused":
                raise
            reason = str(refused.body.get("org.rabta.reason", "door-refused"))
            raise MatrixError(reason, refused.detail, permanent=True) from refused
        return str(answer.get("before"))

    async def leave_as_guest(self, room_id: str, user_id: str) -> bool:
        """Leave a room of other people's; see `MatrixClient.leave_as_guest`."""
        members = await self.members(room_id)
        others = [who for who, held in members.items() if held in ("join", "invite")]
        if len(set(others) - {user_id}) < _COMPANY or members.get(user_id) != "join":
            return False
        create = await self._wire.call(
            "GET", "rooms", room_id, "state", "m.room.create", query={"format": "event"}
        )
        if create.get("sender") == user_id:
            return False
        await self.leave(room_id)
        return True

    async def state(self, room_id: str) -> list[dict[str, Any]]:
        """Give the room's state events, as the server tells them now."""
        answer = await self._wire.call("GET", "rooms", room_id, "state")
        return [dict(event) for event in objects(answer.get("array"))]

    async def _learn(self, room_id: str) -> None:
        """Take in a room's whole state from the server."""
        answer = await self._wire.call("GET", "rooms", room_id, "state")
        with self._store.transaction() as connection:
            roomstate.take_state(connection, room_id, objects(answer.get("array")))
            roomstate.set_joined(connection, room_id, joined=True, complete=True)

    def _set(self, room_id: str, user_id: str, membership: str) -> None:
        with self._store.transaction() as connection:
            roomstate.set_memberships(connection, room_id, {user_id: membership})
