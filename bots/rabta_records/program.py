"""The archiver as a program: one process for an account, with its health on the loopback."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from rabta_audit import Journal
from rabta_bots.matrix import MatrixClient
from rabta_bots.store.engine import engine_on
from rabta_bots.store.lease import FileLease
from rabta_records.archivist import Archivist, Counts
from rabta_records.settings import ArchiverSettings, ArchiverSettingsError
from rabta_records.vault import Vault


async def serve(
    settings: ArchiverSettings, clock: Callable[[], datetime], stop: asyncio.Event
) -> None:
    """Run until `stop`.

    Raises:
        ArchiverSettingsError: Another process is this archiver, or the port is taken.
        MatrixError: The permanent ones of the account.
    """
    directory = settings.directory
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    lease = FileLease(directory / "crypto.db.lock")
    if not lease.take():
        raise ArchiverSettingsError(
            f"{directory}: another process is this archiver, and two would destroy its keys"
        )
    engine = engine_on(f"sqlite:///{directory / 'crypto.db'}")
    journal = Journal(directory / "audit", "archiver")
    try:
        archivist = Archivist(
            MatrixClient(settings.matrix, engine, clock=clock),
            Vault(directory / "rooms", settings.recipients),
            classes=frozenset(settings.classes),
            largest_file_bytes=settings.largest_file_bytes,
            journal=journal,
            clock=clock,
        )
        runner = web.AppRunner(_health(archivist.counts))
        await runner.setup()
        try:
            await _listen(runner, settings.port)
            await archivist.run(stop)
        finally:
            await runner.cleanup()
    finally:
        journal.close()
        engine.dispose()
        lease.release()


async def _listen(runner: web.AppRunner, port: int) -> None:
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
    except OSError as error:
        raise ArchiverSettingsError(f"cannot listen on port {port}: {error.strerror}") from error


def _health(counts: Counts) -> web.Application:
    registry = CollectorRegistry()
    rooms = Gauge("rabta_archiver_rooms", "Rooms that are recorded", registry=registry)
    events = Gauge("rabta_archiver_events", "Events kept since the start", registry=registry)
    failing = Gauge("rabta_archiver_failing", "1 while a room fails", registry=registry)

    async def ready(_: web.Request) -> web.Response:
        status = HTTPStatus.OK if counts.ready else HTTPStatus.SERVICE_UNAVAILABLE
        return web.json_response({"ready": counts.ready}, status=status)

    async def measured(_: web.Request) -> web.Response:
        rooms.set(counts.rooms)
        events.set(counts.events)
        failing.set(int(counts.failing))
        body = generate_latest(registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.router.add_get("/health", ready)
    app.router.add_get("/metrics", measured)
    return app
