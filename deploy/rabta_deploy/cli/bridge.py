"""`rabta bridge`: run the bridge, or ask a running one how it is. It parses, calls and prints."""

import asyncio
import json
import signal
import sys
import urllib.error
import urllib.request
from pathlib import Path

import click
import structlog

from rabta_bots.bridge import Bridge
from rabta_bots.clock import system_clock
from rabta_bots.faults import SettingsError
from rabta_bots.logs import log_as_json
from rabta_bots.matrix import MatrixClient, MatrixError
from rabta_bots.settings import Settings, parse_settings
from rabta_bots.store.opening import open_store
from rabta_contract.secrets_file import SecretError

ASK_SECONDS = 5

config_option = click.option(
    "--config",
    "config",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The bridge's settings, see docs/reference/bridge-settings.md.",
)


@click.group()
def bridge() -> None:
    """Carry e-Office into encrypted rooms and decisions back."""


@bridge.command()
@config_option
def run(config: Path) -> None:
    """Run the bridge until it is told to stop (SIGTERM or Ctrl-C)."""
    log_as_json()
    try:
        asyncio.run(_run(_settings(config)))
    except (SettingsError, SecretError) as error:
        raise click.ClickException(str(error)) from error
    except MatrixError as error:
        raise click.ClickException(
            f"{error} (see docs/reference/bridge-crypto.md for the cure)"
        ) from error


@bridge.command()
@config_option
def status(config: Path) -> None:
    """Ask the running bridge what waits and what failed; exit code 1 unless it is ready."""
    try:
        listen = _settings(config).listen
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    url = f"http://{listen.host}:{listen.port}/health/ready"
    try:
        with urllib.request.urlopen(url, timeout=ASK_SECONDS) as answer:
            told = json.load(answer)
    except urllib.error.HTTPError as error:
        told = json.load(error)
    except (OSError, ValueError) as error:
        raise click.ClickException(
            f"no bridge answers at {url}. Cure: start it with `rabta bridge run --config {config}`."
        ) from error
    for name, value in told.items():
        click.echo(f"{name}: {json.dumps(value)}")
    sys.exit(0 if told.get("ready") else 1)


def _settings(config: Path) -> Settings:
    try:
        text = config.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(
            f"cannot read {config}. Cure: copy config/bridge.example.yaml there and fill it in."
        ) from error
    return parse_settings(text)


async def _run(settings: Settings) -> None:
    engine = open_store(settings.database.full_url(), system_clock)
    try:
        client = MatrixClient(settings.matrix, engine, clock=system_clock)
        running = Bridge(settings, engine, client, clock=system_clock)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, running.stop)
        log = structlog.get_logger("rabta.bridge")
        await running.run(lambda url: log.info("bridge-listening", url=url))
    finally:
        engine.dispose()
