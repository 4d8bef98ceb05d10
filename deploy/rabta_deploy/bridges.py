"""Runs the bridges of several ministries on one machine: a process each, started again if it ends.

They share nothing but this parent: each has its settings, its store, its account and its port,
so that one ministry's trouble is no other's. It writes nothing down and needs no port.
"""

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import structlog

from rabta_bots.faults import Fault, SettingsError
from rabta_bots.settings import Settings

log = structlog.get_logger("rabta.bridges")

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
# One that ran for so long began well: its next pause is the first again.
WELL_S = 60.0


def refuse_sharing(settings: Mapping[Path, Settings]) -> None:
    """Refuse settings of which two name the same account, store or port.

    Raises:
        SettingsError: Every such pair.
    """
    seen: dict[tuple[str, str], Path] = {}
    faults = []
    for path, one in settings.items():
        listen = (
            f"{one.listen.host}:{one.listen.port}" if one.listen.port else f"any port of {path}"
        )
        for name, value in (
            ("matrix.user_id", one.matrix.user_id),
            ("database.url", one.database.url),
            ("listen.port", listen),
        ):
            other = seen.setdefault((name, value), path)
            if other != path:
                cure = "give each ministry its own"
                faults.append(Fault(f"{path}: {name}", f"{other} has the same.", cure))
    if faults:
        raise SettingsError(faults)


async def run_bridges(
    configs: Sequence[Path],
    stop: asyncio.Event,
    *,
    command: Callable[[Path], Sequence[str]] | None = None,
) -> None:
    """Run until `stop`; then every bridge finishes what it has in hand.

    Args:
        configs: A settings file for each.
        stop: Ends it.
        command: What runs one; by default `rabta bridge run --config FILE`.
    """
    run = command or _command
    async with asyncio.TaskGroup() as group:
        for config in configs:
            group.create_task(_keep_running(run(config), config, stop))


async def _keep_running(command: Sequence[str], config: Path, stop: asyncio.Event) -> None:
    loop, pause = asyncio.get_running_loop(), FIRST_PAUSE_S
    while not stop.is_set():
        began = loop.time()
        process = await asyncio.create_subprocess_exec(*command)
        log.info("bridge-started", config=str(config), pid=process.pid)
        ended, stopping = (
            asyncio.create_task(process.wait()),
            asyncio.create_task(stop.wait()),
        )
        await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not ended.done():
            process.terminate()
        code = await ended
        if stop.is_set():
            log.info("bridge-stopped", config=str(config), exit_code=code)
            return
        pause = FIRST_PAUSE_S if loop.time() - began > WELL_S else pause
        log.warning("bridge-ended", config=str(config), exit_code=code, again_in_seconds=pause)
        try:
            async with asyncio.timeout(pause):
                await stop.wait()
        except TimeoutError:
            pause = min(pause * 2, LONGEST_PAUSE_S)


def _command(config: Path) -> Sequence[str]:
    return (sys.executable, "-m", "rabta_deploy.cli", "bridge", "run", "--config", str(config))
