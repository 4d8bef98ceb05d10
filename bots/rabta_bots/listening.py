"""Opens the door's port, or says in words why it cannot."""

from aiohttp import web

from rabta_bots.faults import Fault, SettingsError
from rabta_bots.settings import Listen


async def listen(runner: web.AppRunner, where: Listen) -> str:
    """Listen with a runner that is set up; gives the URL.

    Raises:
        SettingsError: The port is taken.
    """
    try:
        await web.TCPSite(runner, where.host, where.port).start()
    except OSError as error:
        fault = Fault(
            "listen",
            f"cannot listen on {where.host}:{where.port} ({error.strerror}).",
            "stop what uses the port, or choose another; a standby needs a port of its own",
        )
        raise SettingsError([fault]) from error
    bound = runner.addresses[0]
    return f"http://{bound[0]}:{bound[1]}"
