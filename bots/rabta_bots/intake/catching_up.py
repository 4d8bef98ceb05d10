"""Fills what was never pushed from the feed, and knows when a missing number is only a number."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

import structlog
from sqlalchemy import Connection, Engine

from rabta_bots.clock import Clock
from rabta_bots.intake.accepting import Terms, accept_feed
from rabta_bots.intake.feed import Feed, FeedError
from rabta_bots.store.events import closed_mark
from rabta_bots.store.opening import in_store
from rabta_contract.event import Event

log = structlog.get_logger("rabta.bridge.feed")


class CatchingUp:
    """Reads the feed from the closed mark to its end, one reader at a time.

    Attributes:
        complete_since: When the last reading that reached the end began; an event received
            before it has everything before it in the store. None until the feed was read once.
    """

    def __init__(
        self, feed: Feed, engine: Engine, clock: Clock, source: str, terms: Callable[[], Terms]
    ) -> None:
        self._feed = feed
        self._engine = engine
        self._clock = clock
        self._source = source
        self._terms = terms
        self._lock = asyncio.Lock()
        self.complete_since: datetime | None = None

    async def read_to_end(self, *, since: datetime | None = None) -> int:
        """Store what the feed has and the store has not; gives how many events that was.

        Args:
            since: When given and a complete reading began after it, nothing is read again.

        Raises:
            FeedError: The feed cannot be read now; what was read is kept.
        """
        async with self._lock:
            if since is not None and self.complete_since and self.complete_since >= since:
                return 0
            began = self._clock()
            added = 0
            while page := await self._feed.page(await self._closed()):
                added += await self._keep(page)
            self.complete_since = began
        if added:
            log.info("feed-read", events=added)
        return added

    async def _closed(self) -> int:
        start_after = self._terms().start_after

        def read(connection: Connection) -> int:
            return closed_mark(connection, self._source, start_after)

        return await in_store(self._engine, read)

    async def _keep(self, page: Sequence[Event]) -> int:
        if any(event.source != self._source for event in page):
            raise FeedError("feed-malformed")
        terms, now = self._terms(), self._clock()

        def keep(connection: Connection) -> int:
            return accept_feed(connection, page, terms, now).events

        return await in_store(self._engine, keep)
