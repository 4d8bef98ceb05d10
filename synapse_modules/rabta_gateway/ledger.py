"""The book of all crossings: counted, logged, audited, and answered where they are refused.

Log and audit lines hold names, ids and reason codes. They never hold a query, a body, a
header or a key.
"""

from collections.abc import Callable

import structlog
from aiohttp import web
from canonicaljson import encode_canonical_json

from rabta_gateway.audit import Trail
from rabta_gateway.crossing import Crossing, Direction
from rabta_gateway.metrics import Metrics
from rabta_gateway.refusals import Refusal
from rabta_policy import Grant

SERVER = "rabta"
_audit = structlog.get_logger("rabta.gateway.audit")
_log = structlog.get_logger("rabta.gateway")
# Names that a stranger claims are logged cut: the longest server name has 255 characters.
_LONGEST = 255
# After these the same request may be sent again (RFC 9110, 10.2.3).
_RETRY_AFTER = {429: "1", 503: "5"}


class Ledger:
    """Counts every crossing and writes one audit line per refusal and per grant.

    Args:
        metrics: The counters.
        trail: The chained audit.
        monotonic: Seconds, for durations.
        serial: Gives the serial of the policy in force.
    """

    def __init__(
        self,
        metrics: Metrics,
        trail: Trail,
        *,
        monotonic: Callable[[], float],
        serial: Callable[[], int],
    ) -> None:
        self._metrics = metrics
        self._trail = trail
        self._monotonic = monotonic
        self._serial = serial

    def open(self, direction: Direction) -> Crossing:
        """Begin a crossing."""
        return Crossing(direction, self._monotonic())

    def forwarded(self, crossing: Crossing, status: int) -> None:
        """Close a crossing that was answered by the other side."""
        self._count(crossing, "forwarded")
        _log.debug("forwarded", status=status, **self._facts(crossing))

    def granted(self, crossing: Crossing, grant: Grant) -> None:
        """Audit a grant of the judge before it is used.

        Raises:
            RefusedError: `audit-unwritable`.
        """
        self._trail.granted(crossing, grant, serial=self._serial())

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
        if self._trail.tells_of(crossing):
            facts = self._facts(crossing)
            _audit.warning("refused", reason=refusal.reason, rule=refusal.rule, **facts)
            self._trail.denied(crossing, refusal, serial=self._serial())
        told = crossing.verified or crossing.direction is Direction.OUTBOUND
        headers = {"Server": SERVER}
        if refusal.status in _RETRY_AFTER:
            headers["Retry-After"] = _RETRY_AFTER[refusal.status]
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
            "action": crossing.action,
            "endpoint": crossing.endpoint,
            "origin": crossing.origin[:_LONGEST] or None,
            "origin_verified": crossing.verified,
            "destination": crossing.destination[:_LONGEST] or None,
            "serial": self._serial(),
        }
        return facts | dict(crossing.parameters)
