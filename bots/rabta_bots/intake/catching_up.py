"""Fills what was never pushed from the feed, and knows when a missing number is only a number."""

import asyncio
from datetime import datetime

import structlog
from sqlalchemy import Connection, Engine

from rabta_bots.clock import Clock
from rabta_bots.intake.feed import Feed
from rabta_bots.intake.taking import Intake
from rabta_bots.store.events import closed_mark
from rabta_bots.store.opening import in_store

log = structlog.get_logger("rabta.bridge.feed")


class CatchingUp:
    """Reads the feed from the closed mark to its end, one reader at a time.

    Attributes:
        complete_since: When the last reading that reached the end began; an event received
            before it has everything before it in the store. None until the feed was read once.
    """

    def __init__(
        self,
        feed: Feed,
        *,
        engine: Engine,
        clock: Clock,
        source: str,
        intake: Intake,
        start_after: int,
    ) -> None:
        self._feed = feed
        self._engine = engine
        self._clock = clock
        self._source = source
        self._intake = intake
        self._start_after = start_after
        self._lock = asyncio.Lock()
        self.complete_since: datetime | None = None

    async def read_to_end(self, *, since: datetime | None = None) -> int:
        """Store what the feed has and the store has not; gives how many events that was.

        Args:
            since: When given and a complete reading began after it, nothing is read again.

        Raises:
            SourceError: The feed cannot be read now; what was read is kept.
        """
        async with self._lock:
            if since is not None and self.complete_since and self.complete_since >= since:
                return 0
            began = self._clock()
            added = 0
            while page := await self._feed.page(await self._closed()):
                stored = await self._intake.take_page(self._source, page, "feed")
                added += stored.events
            self.complete_since = began
        if added:
            log.info("feed-read", events=added)
        return added

    async def _closed(self) -> int:
        def read(connection: Connection) -> int:
            return closed_mark(connection, self._source, self._start_after)

        return await in_store(self._engine, read)
