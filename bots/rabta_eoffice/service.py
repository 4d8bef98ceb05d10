"""One e-Office as a process: opens its parts, serves until stopped, closes them in order."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog
from aiohttp import web
from sqlalchemy.exc import SQLAlchemyError

from rabta_contract import SigningSecrets, load_signing_secrets, load_token
from rabta_eoffice.clock import Clock, system_clock
from rabta_eoffice.desk import Desk
from rabta_eoffice.establishment import Establishment
from rabta_eoffice.push import Push
from rabta_eoffice.seed import load_seed, plant
from rabta_eoffice.sessions import Sessions
from rabta_eoffice.settings import Settings, SettingsError
from rabta_eoffice.tables import open_database
from rabta_eoffice.web.app import build

CHARGES_LOOKED_AT_SECONDS = 1.0

log = structlog.get_logger("eoffice")


@dataclass(frozen=True, slots=True)
class Serving:
    """An e-Office that answers. `url` has the port that was really taken."""

    desk: Desk
    url: str


@asynccontextmanager
async def serving(settings: Settings, clock: Clock = system_clock) -> AsyncIterator[Serving]:
    """Serve until the block ends.

    Raises:
        SettingsError: Seed, database or port cannot be used.
        SecretError: A secret's file cannot be used.
    """
    session_secret = load_token(settings.session_secret_file)
    command_secrets = load_signing_secrets(settings.command_secret_file)
    feed_token = load_token(settings.feed_token_file)
    webhook_secrets = (
        None
        if settings.webhook_secret_file is None
        else load_signing_secrets(settings.webhook_secret_file)
    )
    seed = None if settings.seed_file is None else load_seed(settings.seed_file)
    try:
        engine = open_database(settings.database_file)
    except SQLAlchemyError as error:
        raise SettingsError(
            f"{settings.database_file}: the database cannot be opened "
            f"({type(error.__cause__ or error).__name__}); the folder must exist and be writable"
        ) from None
    try:
        desk = Desk(engine, org=settings.org, public_url=settings.public_url, clock=clock)
        if seed is not None:
            await asyncio.to_thread(plant, seed, desk)
        application = build(
            desk,
            sessions=Sessions(desk, secret=session_secret, hours=settings.session_hours),
            command_secrets=command_secrets,
            feed_token=feed_token,
            secure_cookies=settings.public_url.startswith("https://"),
        )
        runner = web.AppRunner(application, handle_signals=False, access_log=None)
        await runner.setup()
        try:
            port = await _listen(runner, settings)
            async with _working(_works(settings, desk, webhook_secrets)):
                yield Serving(desk, f"http://{settings.host}:{port}")
        finally:
            await runner.cleanup()
    finally:
        engine.dispose()


async def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        SettingsError: As `serving`.
        SecretError: As `serving`.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with serving(settings) as office:
        log.info("serving", url=office.url, org=settings.org)
        await stop.wait()
        log.info("stopping")


async def _listen(runner: web.AppRunner, settings: Settings) -> int:
    site = web.TCPSite(runner, settings.host, settings.port)
    try:
        await site.start()
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise SettingsError(
            f"{settings.host}:{settings.port} cannot be listened on ({why}); "
            "stop what uses it or give another `host` and `port`"
        ) from None
    return int(runner.addresses[0][1])


def _works(
    settings: Settings, desk: Desk, secrets: SigningSecrets | None
) -> list[Coroutine[Any, Any, None]]:
    works: list[Coroutine[Any, Any, None]] = [_end_charges(Establishment(desk))]
    if settings.webhook_url is not None and secrets is not None:
        push = Push(
            desk,
            url=settings.webhook_url,
            secrets=secrets,
            longest_pause=settings.webhook_longest_pause_seconds,
        )
        desk.on_told = push.poke
        works.append(push.run())
    if settings.heartbeat_seconds is not None:
        works.append(_heartbeat(desk, settings.heartbeat_seconds))
    return works


@asynccontextmanager
async def _working(works: list[Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Run the works beside the block; one that fails ends the process, loudly."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work) for work in works]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


async def _end_charges(establishment: Establishment) -> None:
    while True:
        await asyncio.to_thread(establishment.tell_ended)
        await asyncio.sleep(CHARGES_LOOKED_AT_SECONDS)


async def _heartbeat(desk: Desk, seconds: int) -> None:
    while True:
        await asyncio.sleep(seconds)
        await asyncio.to_thread(desk.heartbeat)
