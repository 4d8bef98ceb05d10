"""`rabta gateway`: run the border gateway of one homeserver."""

import asyncio
import logging
import signal
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import click
import structlog

from rabta_gateway.gateway import Gateway, utc_now
from rabta_gateway.settings import Settings, SettingsError, load


@click.group()
def gateway() -> None:
    """The border gateway: all federation of one homeserver goes through it."""


@gateway.command()
@click.option(
    "--config",
    "config_file",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The settings, a YAML file (docs/reference/gateway-settings.md).",
)
@click.option("--debug", is_flag=True, help="Log forwarded requests too.")
def run(config_file: Path, *, debug: bool) -> None:
    """Run until SIGTERM or Ctrl-C; log lines are JSON on standard error."""
    _configure_logging(logging.DEBUG if debug else logging.INFO)
    try:
        asyncio.run(_serve(load(config_file)))
    except SettingsError as error:
        for fault in error.faults:
            click.echo(str(fault), err=True)
        sys.exit(2)


@gateway.command()
@click.option(
    "--config", "config_file", required=True, type=click.Path(path_type=Path, dir_okay=False)
)
def check(config_file: Path) -> None:
    """Read the settings, the policy, the keys and the certificate, and listen nowhere."""
    _configure_logging(logging.WARNING)
    try:
        checked = Gateway(load(config_file))
    except SettingsError as error:
        for fault in error.faults:
            click.echo(str(fault), err=True)
        sys.exit(2)
    policy = checked.policy.policy
    click.echo(f"The settings hold. Policy {policy.serial}: {policy.standing(utc_now())}.")


async def _serve(settings: Settings) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    running = Gateway(settings)
    await running.start()
    await stopping.wait()
    await running.stop()


def _configure_logging(level: int) -> None:
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            _stamp,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def _stamp(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The time in ISO 8601, UTC."""
    event["time"] = utc_now().isoformat(timespec="milliseconds")
    return event
