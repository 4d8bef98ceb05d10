"""The HTTP door for events: `POST /eoffice/events`. It answers 202 only for what is on disk."""

from collections.abc import Callable, Sequence
from datetime import datetime
from http import HTTPStatus

import structlog
from aiohttp import web
from sqlalchemy.exc import SQLAlchemyError

from rabta_bots.clock import Clock
from rabta_bots.intake.accepting import ID_REUSED, RefusedError, Stored
from rabta_bots.intake.source import Delivery, SourceError
from rabta_bots.intake.taking import Intake
from rabta_bots.metrics import Metrics
from rabta_bots.settings import Intake as Limits
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


class EventDoor:
    """Takes signed deliveries over HTTP; an `EventSource`.

    Args:
        limits: How large a delivery may be.
        secrets: Gives every live secret of the sender.
        intake: Where deliveries go.
    """

    via = "push"

    def __init__(
        self,
        *,
        clock: Clock,
        limits: Limits,
        secrets: Callable[[], SigningSecrets],
        intake: Intake,
        metrics: Metrics,
    ) -> None:
        self._clock = clock
        self._limits = limits
        self._secrets = secrets
        self._intake = intake
        self._metrics = metrics

    def routes(self) -> Sequence[web.RouteDef]:
        """The contract's address, and the bare one."""
        return [web.post(path, self.take) for path in EVENT_PATHS]

    async def collect(self) -> bool | float:
        """Nothing: it is pushed."""
        return False

    async def fill(self, source: str, since: datetime) -> None:  # noqa: ARG002 - the signature of every source
        """It cannot ask for what was not pushed."""
        raise SourceError("push-has-no-past")

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
        return web.json_response({"stored": stored.events}, status=status)

    async def _take(self, request: web.Request) -> Stored:
        body = await self._read(request)
        try:
            webhook_id = verify(request.headers, body, self._secrets(), self._clock())
        except SignatureError as error:
            raise RefusedError(error.reason, error.detail) from error
        events = events_of(request.content_type, body, self._limits.max_batch)
        return await self._intake.take(Delivery(webhook_id, events, self.via))

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


def events_of(media_type: str, body: bytes, max_batch: int) -> Sequence[Event]:
    """The events of a verified body.

    Raises:
        RefusedError: With the contract's reason.
    """
    try:
        if media_type == SINGLE_MEDIA_TYPE:
            return (parse_event(body),)
        if media_type == BATCH_MEDIA_TYPE:
            events = parse_batch(body)
        else:
            raise RefusedError(
                EventReason.MEDIA_TYPE, f"send {SINGLE_MEDIA_TYPE} or {BATCH_MEDIA_TYPE}"
            )
    except ContractError as error:
        raise RefusedError(error.reason, error.detail) from error
    if len(events) > max_batch:
        raise RefusedError(EventReason.TOO_LARGE, f"the limit is {max_batch} events")
    return events
