"""Answers how the bridge is: alive, ready, and its metrics. It tells numbers, never names."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy.exc import SQLAlchemyError

from rabta_bots.metrics import QUEUES, Metrics

log = structlog.get_logger("rabta.bridge.health")

STORE_UNREACHABLE = "store-unreachable"
Report = Callable[[], Awaitable[dict[str, Any]]]


def add_health(app: web.Application, report: Report, metrics: Metrics) -> None:
    """Serve `/health/live`, `/health/ready` (also as `/health`) and `/metrics`.

    Args:
        app: Gets the routes.
        metrics: What `/metrics` shows.
        report: Gives `ready` and the counts; where the store fails it, the bridge is not ready.
    """

    async def told_now() -> dict[str, Any]:
        try:
            return await report()
        except SQLAlchemyError as error:
            log.warning("store-failed", error=type(error).__name__)
            return {"ready": False, "reason": STORE_UNREACHABLE}

    async def live(_: web.Request) -> web.Response:
        return web.json_response({"live": True})

    async def ready(_: web.Request) -> web.Response:
        told = await told_now()
        status = HTTPStatus.OK if told["ready"] else HTTPStatus.SERVICE_UNAVAILABLE
        return web.json_response(told, status=status)

    async def measured(_: web.Request) -> web.Response:
        told = await told_now()
        if "reason" not in told:
            # While the store cannot be asked, the last numbers stand.
            metrics.waiting.set(told.get("waiting", 0))
            metrics.dead.labels(kind="message").set(told.get("messages_dead", 0))
            metrics.dead.labels(kind="command").set(told.get("commands_dead", 0))
            metrics.standby.set(int(told.get("standby", False)))
            metrics.lag.set(told.get("lag_seconds", 0))
            for queue in QUEUES:
                metrics.queue_age.labels(queue=queue).set(told.get(f"oldest_{queue}_seconds", 0))
                metrics.retrying.labels(queue=queue).set(told.get(f"{queue}s_retrying", 0))
            metrics.undecryptable.set(told.get("undecryptable", 0))
            metrics.unsigned_devices.set(told.get("unsigned_devices", 0))
            metrics.changed_identities.set(told.get("changed_identities", 0))
        return web.Response(
            body=generate_latest(metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    app.router.add_get("/health", ready)
    app.router.add_get("/health/live", live)
    app.router.add_get("/health/ready", ready)
    app.router.add_get("/metrics", measured)
