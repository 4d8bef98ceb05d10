"""One request at the border: what is known about it, how it is counted and told.

Log and audit lines hold names, ids and reason codes. They never hold a query, a body, a
header or a key.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import structlog
from aiohttp import web
from canonicaljson import encode_canonical_json

from rabta_gateway.metrics import Metrics
from rabta_gateway.refusals import Refusal

SERVER = "rabta"
_audit = structlog.get_logger("rabta.gateway.audit")
_log = structlog.get_logger("rabta.gateway")
# Names that a stranger claims are logged cut: the longest server name has 255 characters.
_LONGEST = 255
_RATE_LIMITED = 429


class Direction(StrEnum):
    """Which way a request crosses the border."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


@dataclass(slots=True)
class Crossing:
    """What is known so far about one request.

    Attributes:
        direction: Which way.
        started: Monotonic seconds at its headers.
        endpoint: Name from the table, or `unknown`.
        origin: Server that asks; only a claim until `verified`.
        destination: Server that is asked.
        verified: Whether the origin is known for certain.
        parameters: Decoded path parameters (room, user, event ids).
    """

    direction: Direction
    started: float
    endpoint: str = "unknown"
    origin: str = ""
    destination: str = ""
    verified: bool = False
    parameters: Mapping[str, str] = field(default_factory=dict)


class Ledger:
    """Counts every crossing and writes one audit line per refusal.

    Args:
        metrics: The counters.
        monotonic: Seconds, for durations.
        serial: Gives the serial of the policy in force.
    """

    def __init__(
        self, metrics: Metrics, *, monotonic: Callable[[], float], serial: Callable[[], int]
    ) -> None:
        self._metrics = metrics
        self._monotonic = monotonic
        self._serial = serial

    def open(self, direction: Direction) -> Crossing:
        """Begin a crossing."""
        return Crossing(direction, self._monotonic())

    def forwarded(self, crossing: Crossing, status: int) -> None:
        """Close a crossing that was answered by the other side."""
        self._count(crossing, "forwarded")
        _log.debug("forwarded", status=status, **self._facts(crossing))

    def cut(self, crossing: Crossing, reason: str) -> None:
        """Close a crossing whose answer broke off after it had begun."""
        self._count(crossing, "cut")
        self._metrics.refusals.labels(str(crossing.direction), reason).inc()
        _audit.warning("cut", reason=reason, **self._facts(crossing))

    def left(self, crossing: Crossing) -> None:
        """Close a crossing whose caller went away before the end of its answer."""
        self._count(crossing, "left")

    def refused(self, crossing: Crossing, refusal: Refusal) -> web.Response:
        """Close a crossing that is not forwarded: count it, audit it, and make its answer."""
        self._count(crossing, "refused")
        self._metrics.refusals.labels(str(crossing.direction), refusal.reason).inc()
        _audit.warning("refused", reason=refusal.reason, rule=refusal.rule, **self._facts(crossing))
        told = crossing.verified or crossing.direction is Direction.OUTBOUND
        headers = {"Server": SERVER}
        if refusal.status == _RATE_LIMITED:
            headers["Retry-After"] = "1"
        return web.Response(
            status=refusal.status,
            body=encode_canonical_json(refusal.body(told=told)),
            content_type="application/json",
            headers=headers,
        )

    def failed(self, crossing: Crossing, error: Exception) -> web.Response:
        """Close a crossing in which our own code failed."""
        _log.error("internal-fault", exc_info=error)
        return self.refused(crossing, Refusal.because("internal-fault"))

    def _count(self, crossing: Crossing, outcome: str) -> None:
        direction = str(crossing.direction)
        self._metrics.requests.labels(direction, crossing.endpoint, outcome).inc()
        self._metrics.seconds.labels(direction).observe(self._monotonic() - crossing.started)

    def _facts(self, crossing: Crossing) -> dict[str, object]:
        facts: dict[str, object] = {
            "direction": str(crossing.direction),
            "endpoint": crossing.endpoint,
            "origin": crossing.origin[:_LONGEST] or None,
            "origin_verified": crossing.verified,
            "destination": crossing.destination[:_LONGEST] or None,
            "serial": self._serial(),
        }
        return facts | dict(crossing.parameters)
