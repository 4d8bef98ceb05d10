"""Keeps the posts' inbox rooms: one per post and class, the bot and whoever holds the post now."""

import asyncio
import functools
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection, Engine

from rabta_bots.addresses import of_post
from rabta_bots.chat import Chat
from rabta_bots.clock import Clock
from rabta_bots.directory import Directory
from rabta_bots.fixing import strangers
from rabta_bots.matrix import MatrixError
from rabta_bots.names import room_key
from rabta_bots.officers import holder_now, holders_now
from rabta_bots.store.audit import write_audit
from rabta_bots.store.cards import expire_cards, hand_over
from rabta_bots.store.opening import in_store
from rabta_bots.store.outbox import enqueue_addressed, posts_without_reader, wake_waiting
from rabta_bots.store.posts import post_names
from rabta_bots.store.rooms import (
    PostRoom,
    readers_of_cards,
    remember_room,
    room_of,
    rooms_to_check,
    set_holder,
)

log = structlog.get_logger("rabta.bridge.rooms")


# With thousands of rooms, all are compared only where something may have changed: after a change
# as long as a card composed before it may still be under way, and now and then in any case.
COMPARED_FOR = timedelta(minutes=1)
COMPARED_EVERY = timedelta(minutes=5)


class PostRooms:
    """Makes rooms when they are first needed and moves them with the charges."""

    def __init__(
        self, chat: Chat, engine: Engine, clock: Clock, directory: Callable[[], Directory]
    ) -> None:
        self._chat = chat
        self._engine = engine
        self._clock = clock
        self._directory = directory
        self._compare_until = clock() + COMPARED_FOR
        self._compared_at = clock()
        self._next_change: datetime | None = None
        self._locks: defaultdict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def room_for(self, post_id: str, room_class: str, holder: str) -> str:
        """The post's room of the class with the holder let in; it is made when there is none.

        Args:
            post_id: The post.
            room_class: The class of the room.
            holder: Matrix user who holds the post now.

        Raises:
            MatrixError: The homeserver did not do it.
        """
        async with self._locks[post_id, room_class]:
            found = await in_store(
                self._engine, lambda connection: room_of(connection, post_id, room_class)
            )
            if found is None:
                return await self._make(post_id, room_class, holder)
            if found.holder != holder:
                await self._let_in(found, holder)
            return found.room_id

    def look_again(self) -> None:
        """Have the next `align` compare every room: charges or the directory have changed."""
        self._compare_until = self._clock() + COMPARED_FOR

    async def align(self) -> None:
        """Bring rooms and live cards to whoever holds each post now; close cards out of time."""
        now = self._clock()
        directory = self._directory()

        await in_store(self._engine, functools.partial(_in_time, directory, now))
        if self._next_change is not None and now >= self._next_change:
            self.look_again()
        if now > self._compare_until and now < self._compared_at + COMPARED_EVERY:
            return
        self._compared_at = now

        def changes(connection: Connection) -> list[tuple[PostRoom, str | None]]:
            holders, self._next_change = holders_now(connection, directory, now)
            for post_id, shown_to in readers_of_cards(connection):
                if holders.get(post_id) != shown_to:
                    hand_over(connection, post_id, holders.get(post_id), now)
            return [
                (room, holders.get(room.post_id))
                for room in rooms_to_check(connection)
                if holders.get(room.post_id) != room.holder
            ]

        for room, user_id in await in_store(self._engine, changes):
            async with self._locks[room.post_id, room.room_class]:
                try:
                    await self._let_in(room, user_id)
                except MatrixError as error:
                    log.warning("room-not-aligned", reason=error.reason)
                    self.look_again()

    async def _make(self, post_id: str, room_class: str, holder: str) -> str:
        name, name_ur = await in_store(
            self._engine, lambda connection: post_names(connection, post_id)
        )
        title = name if name == name_ur else f"{name} · {name_ur}"
        room_id = await self._chat.create_room(
            name=f"e-Office: {title}",
            topic=f"e-Office, {post_id}, {room_class}",
            invite=[holder],
            room_class=room_class,
            key=room_key(post_id, room_class),
        )
        now = self._clock()
        room = PostRoom(post_id, room_class, room_id, holder)

        def remember(connection: Connection) -> None:
            remember_room(connection, room, now)
            write_audit(connection, now, "room-made", actor=holder, detail=room_class)

        await in_store(self._engine, remember)
        return room_id

    async def keep_to(self, room_id: str, holder: str | None, why: str) -> None:
        """Put everybody out of a post's room but the bot and the holder.

        Asked before each card: a holder may have let somebody in, who would read it.

        Args:
            room_id: The post's room.
            holder: Matrix user who holds the post now, if anybody.
            why: What those who are put out are told.

        Raises:
            MatrixError: The homeserver did not do it.
        """
        members = await self._chat.members(room_id)
        for user_id in strangers(members, {self._chat.user_id, holder}):
            await self._chat.kick(room_id, user_id, why)

    async def _let_in(self, room: PostRoom, holder: str | None) -> None:
        """Out with everybody else first, then in with the holder, then note it."""
        await self.keep_to(room.room_id, holder, "The charge of the post has ended")
        if holder is not None:
            await self._chat.invite(room.room_id, holder)
        now = self._clock()

        def note(connection: Connection) -> None:
            set_holder(connection, room.room_id, holder)
            if holder is not None:
                enqueue_addressed(
                    connection,
                    of_post(room.post_id, room.room_class),
                    part="handover",
                    key=f"handover|{room.room_id}|{holder}|{now.isoformat()}",
                    draft={},
                    now=now,
                )
            write_audit(connection, now, "room-handed-over", actor=holder, detail=room.room_class)

        await in_store(self._engine, note)


def _in_time(directory: Directory, now: datetime, connection: Connection) -> None:
    """Have cards sent whose reader has come, and close those whose time is over."""
    for post_id in posts_without_reader(connection):
        if holder_now(connection, directory, post_id, now) is not None:
            wake_waiting(connection, post_id, now)
    expire_cards(connection, now)
