"""Takes deliveries of every source into the store: once, whole, and judged before they are kept."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog
from sqlalchemy import Engine

from rabta_bots.clock import Clock
from rabta_bots.intake.accepting import (
    RefusedError,
    Stored,
    Terms,
    accept_feed,
    accept_push,
)
from rabta_bots.intake.source import Delivery, SourceError
from rabta_bots.metrics import Metrics
from rabta_bots.store.audit import write_audit
from rabta_bots.store.opening import in_store
from rabta_contract.answers import EventReason
from rabta_contract.event import Event

log = structlog.get_logger("rabta.bridge.intake")

# Longer than a feed needs, shorter than a sender's own patience.
PATIENCE_SECONDS = 5.0


class Intake:
    """The one way into the store.

    Args:
        terms: Gives the terms as of now; the policy may have changed.
        look_up: Brings whatever the sources have, when a post is named that nobody knows yet.
        stored: Called after something was stored, to wake the planner.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        clock: Clock,
        terms: Callable[[], Terms],
        metrics: Metrics,
        look_up: Callable[[], Awaitable[None]],
        stored: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._terms = terms
        self._metrics = metrics
        self._look_up = look_up
        self._stored = stored

    async def take(self, delivery: Delivery) -> Stored:
        """Store a delivery whole, or nothing of it; it is on disk when this returns.

        Raises:
            RefusedError: With the contract's reason, audited; `busy` and `unavailable` pass.
            SQLAlchemyError: The store cannot be written now.
        """
        try:
            try:
                stored = await self._accept(delivery)
            except RefusedError as refused:
                if refused.reason != EventReason.UNKNOWN_POST:
                    raise
                await self._learn_posts()
                stored = await self._accept(delivery)
        except RefusedError as refused:
            await self._audit(refused, delivery.events)
            raise
        self._count(delivery.via, stored)
        return stored

    async def take_page(self, source: str, events: Sequence[Event], via: str) -> Stored:
        """Store a page that is complete and in order: what it skips does not exist.

        Raises:
            SourceError: `feed-malformed`: an event of the page is of another source.
        """
        if any(event.source != source for event in events):
            raise SourceError("feed-malformed")
        terms, now = self._terms(), self._clock()
        stored = await in_store(
            self._engine, lambda connection: accept_feed(connection, events, terms, now)
        )
        self._count(via, stored)
        return stored

    def _count(self, via: str, stored: Stored) -> None:
        if stored.events:
            self._metrics.events.labels(via=via).inc(stored.events)
            self._stored()

    async def _accept(self, delivery: Delivery) -> Stored:
        now, terms = self._clock(), self._terms()
        return await in_store(
            self._engine, lambda connection: accept_push(connection, delivery, terms, now)
        )

    async def _learn_posts(self) -> None:
        """Look around before calling a post unknown: its charge event may be on the way."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._look_up()
        except (SourceError, TimeoutError) as error:
            # The delivery is judged by what is known; e-Office tells us about posts in order.
            log.warning("posts-not-looked-up", error=type(error).__name__)

    async def _audit(self, refused: RefusedError, events: Sequence[Event]) -> None:
        now = self._clock()
        first = events[0] if events else None
        await in_store(
            self._engine,
            lambda connection: write_audit(
                connection,
                now,
                "event-refused",
                reason=refused.reason,
                actor=first.source if first else None,
                event_id=first.id if first else None,
            ),
        )
