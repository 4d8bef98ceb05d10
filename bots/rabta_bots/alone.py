"""Lets one process at a time be the bridge of an account; another waits warm and takes over."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import structlog
from aiohttp import web
from sqlalchemy import Engine

from rabta_bots.bridge import Bridge
from rabta_bots.chat import Chat
from rabta_bots.clock import Clock
from rabta_bots.faults import Fault, SettingsError
from rabta_bots.health import add_health
from rabta_bots.intake.door import EVENT_PATHS
from rabta_bots.listening import listen
from rabta_bots.metrics import Metrics
from rabta_bots.settings import Settings
from rabta_bots.store.fence import fence, raise_epoch
from rabta_bots.store.lease import Lease, LeaseLostError, LeaseUnreachableError, lease_on
from rabta_bots.store.opening import open_store
from rabta_contract.answers import EventReason
from rabta_contract.command import error_body

log = structlog.get_logger("rabta.bridge.alone")

TRY_SECONDS = 1.0
CHECK_SECONDS = 1.0
# After the account was lost: the work in hand cannot be written any more.
CANCEL_SECONDS = 2.0


class AccountTakenError(Exception):
    """Another process is the bridge of this account, and waiting was not wanted."""


@dataclass(frozen=True, slots=True)
class Alone:
    """Is the bridge of the account as soon as nobody else is.

    Args:
        settings: As parsed.
        clock: Gives the time.
        stop: Ends it in order.
        make_chat: Makes the Matrix client on the open store.
        listening: Called with the URL whenever a door is open, the standby's too.
    """

    settings: Settings
    clock: Clock
    stop: asyncio.Event
    make_chat: Callable[[Engine], Chat]
    listening: Callable[[str], None]

    async def run(self) -> None:
        """Wait for the account if need be, and run the bridge until `stop`.

        Raises:
            AccountTakenError: Another has the account, and `standby` is `refuse`.
            LeaseLostError: The account was lost while this process was the bridge.
            SettingsError, MatrixError: As `Bridge.run`.
        """
        settings = self.settings
        lease = lease_on(settings.database.full_url(), settings.matrix.user_id)
        try:
            if not await _first_try(lease):
                if settings.standby == "refuse":
                    raise AccountTakenError(settings.matrix.user_id)
                async with _standing_by(settings, self.listening):
                    await _wait(lease, self.stop)
            if not self.stop.is_set():
                await self._lead(lease)
        finally:
            await asyncio.to_thread(lease.release)

    async def _lead(self, lease: Lease) -> None:
        account = self.settings.matrix.user_id
        loop, lost = asyncio.get_running_loop(), asyncio.Event()

        def broken() -> None:
            loop.call_soon_threadsafe(lost.set)

        url = self.settings.database.full_url()
        engine = await asyncio.to_thread(open_store, url, self.clock)
        try:
            epoch = await asyncio.to_thread(raise_epoch, engine, account)
            fence(engine, account, epoch, broken)
            log.info("bridge-leads", epoch=epoch)
            bridge = Bridge(self.settings, engine, self.make_chat(engine), clock=self.clock)
            await self._run_guarded(bridge, _guard(lease, lost))
        finally:
            engine.dispose()

    async def _run_guarded(self, bridge: Bridge, guard: Coroutine[Any, Any, None]) -> None:
        running = asyncio.create_task(bridge.run(self.listening))
        guarding = asyncio.create_task(guard)
        stopping = asyncio.create_task(self.stop.wait())
        try:
            await asyncio.wait({running, guarding, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if stopping.done():
                bridge.stop()
                await asyncio.wait({running, guarding}, return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                await _cut_short(running)
                await guarding
            await running
        finally:
            for task in (running, guarding, stopping):
                task.cancel()


async def _first_try(lease: Lease) -> bool:
    try:
        return await asyncio.to_thread(lease.take)
    except LeaseUnreachableError as error:
        fault = Fault(
            "database.url",
            f"the database cannot be opened ({error}).",
            "check that it runs, that the path can be written, and the password file",
        )
        raise SettingsError([fault]) from error


async def _wait(lease: Lease, stop: asyncio.Event) -> None:
    log.info("bridge-stands-by")
    while not stop.is_set():
        try:
            async with asyncio.timeout(TRY_SECONDS):
                await stop.wait()
        except TimeoutError:
            try:
                if await asyncio.to_thread(lease.take):
                    log.info("bridge-takes-over")
                    return
            except LeaseUnreachableError as error:
                log.warning("account-not-asked-for", error=str(error))


@asynccontextmanager
async def _standing_by(settings: Settings, listening: Callable[[str], None]) -> AsyncIterator[None]:
    """Answer health checks as alive and not ready, and senders that they try again."""

    async def report() -> dict[str, Any]:
        return {"ready": False, "standby": True}

    async def busy(_: web.Request) -> web.Response:
        return web.Response(
            status=HTTPStatus.SERVICE_UNAVAILABLE,
            body=error_body(EventReason.UNAVAILABLE, "this bridge stands by"),
            content_type="application/json",
            headers={"Retry-After": "5"},
        )

    app = web.Application()
    for path in EVENT_PATHS:
        app.router.add_post(path, busy)
    add_health(app, report, Metrics())
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        listening(await listen(runner, settings.listen))
        yield
    finally:
        await runner.cleanup()


async def _guard(lease: Lease, lost: asyncio.Event) -> None:
    """Return never; raise when the account is lost."""
    while True:
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await lost.wait()
        except TimeoutError:
            await asyncio.to_thread(lease.check)
        else:
            raise LeaseLostError("another process began its epoch")


async def _cut_short(running: asyncio.Task[None]) -> None:
    """Cancel it, and once more if it waits for work in hand."""
    log.error("account-lost")
    for _ in range(2):
        running.cancel()
        await asyncio.wait({running}, timeout=CANCEL_SECONDS)
