"""`rabta eoffice`: runs the reference e-Office."""

import asyncio
from pathlib import Path

import click

from rabta_contract import SecretError
from rabta_eoffice import logs
from rabta_eoffice.service import run as serve
from rabta_eoffice.settings import Settings, SettingsError


@click.group()
def eoffice() -> None:
    """The reference e-Office: files, notes and decisions in a browser, events to the bridge."""


@eoffice.command()
@click.option(
    "--config",
    "config",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Settings in YAML; see config/eoffice.example.yaml.",
)
def run(config: Path) -> None:
    """Serve until stopped (SIGTERM or Ctrl-C)."""
    logs.configure()
    try:
        asyncio.run(serve(Settings.load(config)))
    except (SettingsError, SecretError) as fault:
        raise click.ClickException(str(fault)) from None
