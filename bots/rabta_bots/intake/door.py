"""The HTTP door for events: `POST /eoffice/events`. It answers 202 only for what is on disk."""

import asyncio
from collections.abc import Callable, Sequence
from http import HTTPStatus

import structlog
from aiohttp import web
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from rabta_bots.clock import Clock
from rabta_bots.intake.accepting import (
    ID_REUSED,
    RefusedError,
    Stored,
    Terms,
    accept_push,
    unknown_posts,
)
from rabta_bots.intake.catching_up import CatchingUp
from rabta_bots.intake.feed import FeedError
from rabta_bots.metrics import Metrics
from rabta_bots.settings import Intake
from rabta_bots.store.audit import write_audit
from rabta_bots.store.opening import in_store
from rabta_contract.answers import EventReason, event_status
from rabta_contract.command import error_body
from rabta_contract.event import Event
from rabta_contract.faults import ContractError
from rabta_contract.parsing import (
    BATCH_MEDIA_TYPE,
    SINGLE_MEDIA_TYPE,
    parse_batch,
    parse_event,
)
from rabta_contract.secrets_file import SigningSecrets
from rabta_contract.signature import SignatureError, verify

log = structlog.get_logger("rabta.bridge.intake")

# An e-Office that was given the bridge's address without a path reaches the same door.
EVENT_PATHS = ("/eoffice/events", "/")

RETRY_AFTER_SECONDS = 5
# Longer than the feed needs, shorter than a sender's own patience.
FEED_PATIENCE_SECONDS = 5.0


class EventDoor:
    """Takes signed deliveries.

    Args:
        secrets: Every live secret of the sender.
        terms: Gives the terms as of now; the policy may have changed.
        stored: Called after a delivery was stored, to wake the planner.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        clock: Clock,
        limits: Intake,
        secrets: SigningSecrets,
        terms: Callable[[], Terms],
        catching_up: Sequence[CatchingUp],
        metrics: Metrics,
        stored: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._limits = limits
        self._secrets = secrets
        self._terms = terms
        self._catching_up = catching_up
        self._metrics = metrics
        self._stored = stored

    async def take(self, request: web.Request) -> web.Response:
        """Answer one delivery with a status of the contract and a one-line reason."""
        try:
            stored = await self._take(request)
        except RefusedError as refused:
            return self._refuse(refused)
        except (SQLAlchemyError, OSError) as error:
            log.warning("store-failed", error=type(error).__name__)
            return self._refuse(RefusedError(EventReason.UNAVAILABLE, "cannot store now"))
        status = HTTPStatus.ACCEPTED if stored.events else HTTPStatus.OK
        self._metrics.deliveries.labels(answer="stored" if stored.events else "duplicate").inc()
        if stored.events:
            self._metrics.events.labels(via="push").inc(stored.events)
            self._stored()
        return web.json_response({"stored": stored.events}, status=status)

    async def _take(self, request: web.Request) -> Stored:
        body = await self._read(request)
        try:
            webhook_id = verify(request.headers, body, self._secrets, self._clock())
        except SignatureError as error:
            raise RefusedError(error.reason, error.detail) from error
        events = self._parse(request, body)
        await self._learn_posts(events)
        now = self._clock()
        terms = self._terms()
        try:
            return await in_store(
                self._engine,
                lambda connection: accept_push(connection, webhook_id, events, terms, now),
            )
        except RefusedError as refused:
            await self._audit(refused, events)
            raise

    async def _read(self, request: web.Request) -> bytes:
        """The raw bytes, never more than the limit and one."""
        if request.headers.get("Content-Encoding", "identity") != "identity":
            raise RefusedError(EventReason.MEDIA_TYPE, "send the body without a content encoding")
        limit = self._limits.max_body_bytes
        if (request.content_length or 0) > limit:
            raise RefusedError(EventReason.TOO_LARGE, f"the limit is {limit} bytes")
        body = bytearray()
        async for chunk in request.content.iter_chunked(64 * 1024):
            body += chunk
            if len(body) > limit:
                raise RefusedError(EventReason.TOO_LARGE, f"the limit is {limit} bytes")
        return bytes(body)

    def _parse(self, request: web.Request, body: bytes) -> Sequence[Event]:
        try:
            if request.content_type == SINGLE_MEDIA_TYPE:
                return (parse_event(body),)
            if request.content_type == BATCH_MEDIA_TYPE:
                events = parse_batch(body)
            else:
                raise RefusedError(
                    EventReason.MEDIA_TYPE, f"send {SINGLE_MEDIA_TYPE} or {BATCH_MEDIA_TYPE}"
                )
        except ContractError as error:
            raise RefusedError(error.reason, error.detail) from error
        if len(events) > self._limits.max_batch:
            raise RefusedError(
                EventReason.TOO_LARGE, f"the limit is {self._limits.max_batch} events"
            )
        return events

    async def _learn_posts(self, events: Sequence[Event]) -> None:
        """Read the feed before calling a post unknown: its charge event may be on the way."""

        def strangers() -> set[str]:
            with self._engine.begin() as connection:
                return unknown_posts(connection, events)

        if not await asyncio.to_thread(strangers):
            return
        try:
            async with asyncio.timeout(FEED_PATIENCE_SECONDS):
                for source in self._catching_up:
                    await source.read_to_end()
        except (FeedError, TimeoutError) as error:
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

    def _refuse(self, refused: RefusedError) -> web.Response:
        self._metrics.deliveries.labels(answer=refused.reason).inc()
        log.info("event-refused", reason=refused.reason)
        if refused.reason == ID_REUSED:
            status = int(HTTPStatus.CONFLICT)
        else:
            status = event_status(EventReason(refused.reason))
        again = status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
        return web.Response(
            status=status,
            body=error_body(refused.reason, refused.detail),
            content_type="application/json",
            headers={"Retry-After": str(RETRY_AFTER_SECONDS)} if again else None,
        )
