"""Runs the staff service until it is told to stop."""

import asyncio
from collections.abc import Callable
from datetime import datetime

import aiohttp
import structlog
from aiohttp import web

from rabta_contract.secrets_file import load_token
from rabta_staff.auditing import Audit
from rabta_staff.carrying import Carrier, SignOn
from rabta_staff.door import Door
from rabta_staff.faults import refused
from rabta_staff.homeserver import Homeserver
from rabta_staff.register import Register
from rabta_staff.settings import Settings

_PATIENCE_SECONDS = 10
"""For what is in hand, before the homeserver is waited for no longer."""

log = structlog.get_logger("rabta.staff")


async def serve(
    settings: Settings,
    clock: Callable[[], datetime],
    stop: asyncio.Event,
    listening: Callable[[str], None] | None = None,
) -> None:
    """Serve until `stop`.

    Args:
        settings: As parsed.
        clock: Gives the time.
        stop: Set from outside.
        listening: Called with the service's URL once it is open.

    Raises:
        StaffError: `store-unusable` or `port-taken`.
        SecretError: A secret cannot be used.
        JournalError: The audit cannot be continued.
    """
    for file in (*settings.token_files.values(), settings.import_token_file):
        load_token(file)
    settings.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    audit = Audit(settings.directory / "audit", settings.server_name, clock)
    register = Register(
        settings.directory / "staff.db",
        server_name=settings.server_name,
        reserved=(*settings.reserved, settings.account),
        clock=clock,
        audit=audit.done,
    )
    sign_on = settings.sign_on
    async with aiohttp.ClientSession() as session:
        homeserver = Homeserver(
            session,
            url=settings.homeserver_url,
            server_name=settings.server_name,
            account=settings.account,
            password=load_token(settings.password_file),
            registration_secret=load_token(settings.registration_secret_file),
        )
        carrier = Carrier(
            register,
            homeserver,
            settings.directory_file,
            SignOn(sign_on.provider, sign_on.subject) if sign_on else None,
        )
        door = Door(settings, register, carrier, audit)
        runner = web.AppRunner(door.app(), access_log=None)
        await runner.setup()
        carrying = asyncio.create_task(carrier.run())
        try:
            url = await _listen(runner, settings.port)
            log.info("staff-ready", url=url)
            if listening is not None:
                listening(url)
            await stop.wait()
        finally:
            await runner.cleanup()
            carrier.stop()
            await asyncio.wait({carrying}, timeout=_PATIENCE_SECONDS)
            carrying.cancel()
            await asyncio.gather(carrying, return_exceptions=True)
            register.close()
            audit.close()


async def _listen(runner: web.AppRunner, port: int) -> str:
    site = web.TCPSite(runner, "127.0.0.1", port)
    try:
        await site.start()
    except OSError as error:
        cure = "end what listens there, or give another port"
        raise refused("port-taken", f"port {port}", "is taken", cure) from error
    host, taken = runner.addresses[0][:2]
    return f"http://{host}:{taken}"
