"""`rabta records`: what the records office keeps and destroys. It parses, calls and prints."""

import asyncio
import json
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from threading import Event
from types import FrameType
from typing import TypeVar

import click

from rabta_bots.logs import log_as_json
from rabta_deploy.cli.hold import by_option, order_option, register
from rabta_deploy.cli.site import Faults, json_option, now, root_option, site_argument
from rabta_deploy.records import keeper
from rabta_deploy.records.settings import RecordsSettings, load
from rabta_deploy.site import reading, records_part
from rabta_deploy.site.layout import layout_of
from rabta_policy.record import RecordCategory

F = TypeVar("F", bound=Callable[..., object])


def config_option(name: str) -> Callable[[F], F]:
    """The settings that a site renders for one of its programs."""
    return click.option(
        "--config",
        "config_file",
        required=True,
        type=click.Path(path_type=Path, dir_okay=False),
        help=f"As `rabta site render` wrote it: {name}.",
    )


@click.group(cls=Faults)
def records() -> None:
    """The records office: what is kept how long, and what is destroyed."""


@records.command(name="open")
@site_argument
@root_option
@by_option
def open_register(site_file: Path, root: Path | None, by: str) -> None:
    """Open the register of holds, once. Until then nothing is ever destroyed."""
    register(site_file, root).open(by, now())
    click.echo("The register is open: what its time has come for is destroyed from now on.")


@records.command()
@site_argument
@root_option
@click.argument("room")
@click.argument("category", type=click.Choice([one.value for one in RecordCategory]))
@order_option
def category(site_file: Path, root: Path | None, room: str, category: str, order: str) -> None:
    """Give ROOM (!...) the record CATEGORY; everybody in it sees that. It never keeps less."""
    with keeper.signed_in(_settings(site_file, root)) as homeserver:
        before = homeserver.set_category(room, category, order)
    click.echo(f"{room}: {before or 'none'} -> {category}")


@records.command()
@site_argument
@root_option
@click.option("--dry-run", is_flag=True, help="Destroy nothing; say what would be.")
@json_option
def purge(site_file: Path, root: Path | None, *, dry_run: bool, as_json: bool) -> None:
    """Go through all rooms now; exit code 1 when one could not be dealt with."""
    report = keeper.purge_once(_settings(site_file, root), now, dry=dry_run)
    if as_json:
        click.echo(json.dumps(asdict(report)))
    else:
        done = "would be destroyed" if dry_run else "destroyed"
        for room, before in report.purged.items():
            click.echo(f"{room}: {done}: what came in before {before}")
        for room, kept in report.kept.items():
            click.echo(f"{room}: kept: {' '.join(kept)}")
        for room, reason in report.failed.items():
            click.echo(f"{room}: failed: {reason}")
        for what, since, number in (
            ("media", report.media_before, report.media),
            ("copies", report.copies_before, report.copies),
        ):
            many = "" if dry_run else f"{number} "
            told = f"{many}{done} that nobody used since {since}" if since else "kept"
            click.echo(f"{what}: {told}")
        click.echo(json.dumps(keeper.counts(report)))
    sys.exit(1 if report.failed else 0)


@records.command()
@site_argument
@root_option
@click.argument("room")
@order_option
def record(site_file: Path, root: Path | None, room: str, order: str) -> None:
    """Have the archiver invited to ROOM (!...); it tells the room that it is recorded."""
    with keeper.signed_in(_settings(site_file, root)) as homeserver:
        archiver = homeserver.invite_archiver(room, order)
    click.echo(f"{room}: {archiver} is invited")


@records.command()
@config_option("records.yaml")
def run(config_file: Path) -> None:
    """Go through the rooms again and again, until SIGTERM or Ctrl-C."""
    log_as_json()
    stopped = Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopped.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    keeper.keep(load(config_file), now, stopped)


@records.command()
@site_argument
@root_option
@click.argument("room")
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--identity",
    "identity_file",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="File with the age secret key of the records office.",
)
@click.option("--offline", is_flag=True, help="Do not ask the homeserver for its own events.")
@order_option
@by_option
def export(
    *,
    site_file: Path,
    root: Path | None,
    room: str,
    out: Path,
    identity_file: Path,
    offline: bool,
    order: str,
    by: str,
) -> None:
    """Write the record of ROOM (!...) into the new directory OUT, in clear, for the Archives."""
    from rabta_deploy.cli import exporting

    site = reading.load(site_file)
    layout = layout_of(root)
    if offline:
        events = None
    else:
        with keeper.signed_in(records_part.settings(site, layout)) as homeserver:
            events = list(homeserver.events(room))
    exporting.export(
        site, layout, out, room=room, identity_file=identity_file, order=order, by=by, events=events
    )


@records.command()
@click.argument("bag", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option("--key", help="The ministry's key, `ed25519:ID BASE64`, as an export showed it.")
def verify(bag: Path, key: str | None) -> None:
    """Find any change of an export since it was signed; exit code 1 when there is one."""
    from rabta_deploy.cli import exporting

    sys.exit(exporting.verify(bag, key))


@records.command()
@config_option("archiver.yaml")
def archiver(config_file: Path) -> None:
    """Run the archiver until SIGTERM or Ctrl-C."""
    from rabta_audit import JournalError
    from rabta_bots.matrix import MatrixError
    from rabta_records.faults import RecordsError
    from rabta_records.settings import ArchiverSettingsError

    log_as_json()
    try:
        asyncio.run(_archive(config_file))
    except (ArchiverSettingsError, MatrixError, JournalError, RecordsError) as error:
        raise click.ClickException(str(error)) from error


async def _archive(config_file: Path) -> None:
    from rabta_records.program import serve
    from rabta_records.settings import load as load_archiver

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve(load_archiver(config_file), now, stop)


def _settings(site_file: Path, root: Path | None) -> RecordsSettings:
    return records_part.settings(reading.load(site_file), layout_of(root))
