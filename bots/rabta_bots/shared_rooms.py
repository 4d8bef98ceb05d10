"""Keeps the rooms of several posts: made when first needed, their members following the charges."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from sqlalchemy import Connection, Engine

from rabta_bots.addresses import Address, RoomKind
from rabta_bots.chat import Chat
from rabta_bots.composing import Composer
from rabta_bots.matrix import MatrixError
from rabta_bots.names import room_key
from rabta_bots.officers import roll_now
from rabta_bots.store.audit import write_audit
from rabta_bots.store.opening import in_store
from rabta_bots.store.shared_rooms import (
    SharedRoom,
    let_in,
    made_rooms,
    note_in,
    note_made,
    note_out,
    shared_room,
)

log = structlog.get_logger("rabta.bridge.rooms")


@dataclass(frozen=True, slots=True)
class Change:
    """Who has to leave a room and who has to be let in."""

    address: Address
    room_id: str
    out: frozenset[str]
    into: frozenset[str]


class SharedRooms:
    """Makes rooms of several posts and moves people with their charges.

    Args:
        composer: Gives the policy, the directory and the moment of now.
    """

    def __init__(self, chat: Chat, engine: Engine, composer: Callable[[], Composer]) -> None:
        self._chat = chat
        self._engine = engine
        self._composer = composer
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def room_for(self, address: Address) -> str:
        """The room, with everybody in who belongs; it is made when there is none.

        Raises:
            MatrixError: The homeserver did not make it.
        """
        async with self._locks[str(address)]:
            found = await in_store(
                self._engine, lambda connection: shared_room(connection, address)
            )
            room_id = found.room_id if found is not None else None
            if room_id is not None:
                return room_id
            room_id = await self._make(address)
        await self.align(address)
        return room_id

    async def align(self, only: Address | None = None) -> None:
        """Bring every room, or one, to those who belong in it now; out first, then in."""
        composer = self._composer()
        changes = await in_store(
            self._engine, lambda connection: _changes(connection, composer, only)
        )
        for change in changes:
            async with self._locks[str(change.address)]:
                await self._move(change)

    async def _move(self, change: Change) -> None:
        for user_id in sorted(change.out):
            await self._try(change, user_id, enters=False)
        for user_id in sorted(change.into):
            await self._try(change, user_id, enters=True)

    async def _try(self, change: Change, user_id: str, *, enters: bool) -> None:
        """One person; whom it fails for is tried again, and holds up nobody else."""
        try:
            if enters:
                await self._chat.invite(change.room_id, user_id)
            else:
                await self._chat.kick(change.room_id, user_id, "The charge has ended")
        except MatrixError as error:
            log.warning("room-not-aligned", kind=change.address.kind.value, reason=error.reason)
            return
        now = self._composer().now

        def note(connection: Connection) -> None:
            (note_in if enters else note_out)(connection, change.address, user_id)
            what = "room-entered" if enters else "room-left"
            write_audit(connection, now, what, actor=user_id, detail=change.address.kind.value)

        await in_store(self._engine, note)

    async def _make(self, address: Address) -> str:
        found = await in_store(self._engine, lambda connection: shared_room(connection, address))
        if found is None:
            raise MatrixError("no-such-room", address.kind.value, permanent=True)
        room_id = await self._chat.create_room(
            name=found.name,
            topic=f"e-Office, {address.kind.value}, {address.room_class}",
            invite=[],
            room_class=address.room_class,
            talk=address.kind is not RoomKind.ANNOUNCEMENTS,
            key=room_key(str(address), address.room_class),
        )
        now = self._composer().now

        def remember(connection: Connection) -> None:
            note_made(connection, address, room_id)
            write_audit(connection, now, "room-made", detail=address.kind.value)

        await in_store(self._engine, remember)
        return room_id


def _changes(connection: Connection, composer: Composer, only: Address | None) -> list[Change]:
    rooms = _rooms(connection, only)
    if not rooms:
        return []
    roll = roll_now(connection, composer.directory, composer.now)
    inside = let_in(connection)
    changes = []
    for room in rooms:
        wanted = frozenset(composer.readers_of(connection, room.address, roll))
        present = frozenset(inside.get(str(room.address), ()))
        if wanted != present and room.room_id is not None:
            changes.append(Change(room.address, room.room_id, present - wanted, wanted - present))
    return changes


def _rooms(connection: Connection, only: Address | None) -> list[SharedRoom]:
    if only is None:
        return made_rooms(connection)
    room = shared_room(connection, only)
    return [room] if room is not None else []
