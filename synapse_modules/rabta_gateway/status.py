"""`/health` and `/metrics`, for this machine's own monitoring."""

from collections.abc import Callable
from datetime import datetime

from aiohttp import web
from canonicaljson import encode_canonical_json

from rabta_gateway.ledger import SERVER
from rabta_gateway.live_policy import LivePolicy
from rabta_gateway.metrics import Metrics
from rabta_policy import Standing


class Status:
    """Answers how the gateway is.

    Args:
        metrics: The counters.
        policy: The policy in force.
        clock: Gives the time, timezone-aware.
    """

    def __init__(
        self, *, metrics: Metrics, policy: LivePolicy, clock: Callable[[], datetime]
    ) -> None:
        self._metrics = metrics
        self._policy = policy
        self._clock = clock

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        if request.method != "GET":
            return _answer(405, b"{}", "application/json")
        match request.path:
            case "/health":
                return self._health()
            case "/metrics":
                return _answer(200, self._metrics.text(), "text/plain")
            case _:
                return _answer(404, b"{}", "application/json")

    def _health(self) -> web.Response:
        """200 while two servers could federate, 503 once the policy has expired."""
        now = self._clock()
        standing = self._policy.policy.standing(now)
        body = {
            "standing": str(standing),
            "serial": self._policy.policy.serial,
            "federating": len(self._policy.policy.federating_servers(now)),
        }
        status = 503 if standing is Standing.EXPIRED else 200
        return _answer(status, encode_canonical_json(body), "application/json")


def _answer(status: int, body: bytes, content_type: str) -> web.Response:
    return web.Response(
        status=status, body=body, content_type=content_type, headers={"Server": SERVER}
    )
