"""`rabta bridge`: run the bridge, or ask a running one how it is. It parses, calls and prints."""

import asyncio
import getpass
import json
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import structlog
from sqlalchemy import Connection

from rabta_bots.alone import AccountTakenError, Alone
from rabta_bots.clock import system_clock
from rabta_bots.commands.deciding import PATIENCE
from rabta_bots.faults import SettingsError
from rabta_bots.intake.feed import FeedError
from rabta_bots.logs import log_as_json
from rabta_bots.matrix import MatrixClient, MatrixError
from rabta_bots.matrix.sealing import Seal, read_secret
from rabta_bots.replaying import ReplayError, read_feed_again, replan_event
from rabta_bots.settings import Settings, parse_settings
from rabta_bots.store import dead_letters as letters
from rabta_bots.store.lease import LeaseLostError, LeaseUnreachableError, lease_on
from rabta_bots.store.opening import open_store
from rabta_contract.secrets_file import SecretError
from rabta_deploy.bridges import refuse_sharing, run_bridges

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
@click.option(
    "--config",
    "configs",
    required=True,
    multiple=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The bridge's settings, see docs/reference/bridge-settings.md. Several times: a process "
    "for each ministry.",
)
@click.option(
    "--standby",
    type=click.Choice(["wait", "refuse"]),
    help="While another process is the bridge of the account: wait to take over, or refuse to "
    "start. Wins over the setting.",
)
def run(configs: tuple[Path, ...], standby: str | None) -> None:
    """Run the bridge until it is told to stop (SIGTERM or Ctrl-C)."""
    log_as_json()
    try:
        if len(configs) > 1:
            if standby is not None:
                raise click.UsageError("with several ministries, `standby` stands in each settings")
            refuse_sharing({config: _settings(config) for config in configs})
            asyncio.run(_run_several(configs))
            return
        settings = _settings(configs[0])
        if standby is not None:
            settings = settings.model_copy(update={"standby": standby})
        asyncio.run(_run(settings))
    except AccountTakenError as error:
        raise click.ClickException(
            f"another process is the bridge of {error}, and two would destroy its keys. Cure: "
            "stop that one, or let this one wait as a standby with `--standby wait`."
        ) from error
    except LeaseLostError as error:
        raise click.ClickException(
            f"this process is the bridge no longer: {error}. Nothing was written since. Cure: "
            "start it again; it stands by while another process is the bridge."
        ) from error
    except (SettingsError, SecretError) as error:
        raise click.ClickException(str(error)) from error
    except MatrixError as error:
        raise click.ClickException(
            f"{error} (see docs/reference/bridge-crypto.md for the cure)"
        ) from error


@bridge.command()
@config_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
def status(config: Path, *, as_json: bool) -> None:
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
    if as_json:
        click.echo(json.dumps(told))
    else:
        for name, value in told.items():
            click.echo(f"{name}: {json.dumps(value)}")
    sys.exit(0 if told.get("ready") else 1)


@bridge.command()
@config_option
@click.option(
    "--after",
    type=click.IntRange(min=0),
    help="Read the feed again behind this sequence number, and store what is missing.",
)
@click.option("--event", "event_id", help="Make the missing cards of this stored event.")
@click.option("--dry-run", is_flag=True, help="Change nothing; say what would be done.")
def replay(config: Path, *, after: int | None, event_id: str | None, dry_run: bool) -> None:
    """Go over events once more; nothing is shown twice. The bridge may run meanwhile."""
    if (after is None) == (event_id is None):
        raise click.UsageError("give exactly one of --after and --event")
    log_as_json()
    try:
        settings = _settings(config)
        if event_id is not None:
            posts = replan_event(settings, event_id, _operator(), dry_run=dry_run)
            for post_id in posts:
                click.echo(f"card for {post_id}")
            click.echo(f"{len(posts)} cards{' would be' if dry_run else ''} made")
            return
        told = asyncio.run(read_feed_again(settings, after or 0, dry_run=dry_run))
    except FeedError as error:
        raise click.ClickException(
            f"{error}. Cure: see that e-Office runs and takes the feed token, then try again."
        ) from error
    except (SettingsError, SecretError, ReplayError) as error:
        raise click.ClickException(str(error)) from error
    stored = "would be stored" if dry_run else "stored"
    click.echo(f"known {told.known}, {stored} {told.stored}, differing {told.differing}")
    sys.exit(1 if told.differing else 0)


@bridge.command(name="import-store")
@config_option
@click.option(
    "--store",
    "source",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The SQLite file of the older bot; it is only read.",
)
@click.option(
    "--passphrase-file",
    required=True,
    type=click.Path(path_type=Path),
    help="Holds the bot's `pickle_key`, mode 0600; nio's default is DEFAULT_KEY.",
)
def import_store(config: Path, source: Path, passphrase_file: Path) -> None:
    """Take the keys of a bot on an older matrix-nio over, once, before the first start."""
    try:
        from rabta_bots.matrix import importing
    except ImportError as error:
        raise click.ClickException(
            f"{error}. Cure: install the extra, `pip install rabta[bots,deploy,migrate]`."
        ) from error
    try:
        settings = _settings(config)
        passphrase = read_secret(passphrase_file)
        seal = Seal.from_file(settings.matrix.store_key_file)
        lease = lease_on(settings.database.full_url(), settings.matrix.user_id)
        if not lease.take():
            raise click.ClickException(
                f"a bridge of {settings.matrix.user_id} is running. Cure: stop it first."
            )
        try:
            engine = open_store(settings.database.full_url(), system_clock)
            done = importing.import_store(
                source,
                passphrase,
                engine,
                seal,
                user_id=settings.matrix.user_id,
                device_id=settings.matrix.device_id,
                clock=system_clock,
            )
            engine.dispose()
        finally:
            lease.release()
    except (SettingsError, SecretError) as error:
        raise click.ClickException(str(error)) from error
    except LeaseUnreachableError as error:
        raise click.ClickException(f"the database cannot be reached ({error}).") from error
    except MatrixError as error:
        raise click.ClickException(
            f"{error} (see docs/reference/bridge-crypto.md for the cure)"
        ) from error
    click.echo(
        f"device {done.device_id}: {done.olm_sessions} Olm sessions, {done.room_keys} room keys"
    )


@bridge.group(name="dead-letters")
def dead_letters() -> None:
    """See and settle what was refused for good: messages to rooms, commands to e-Office."""


@dead_letters.command(name="list")
@config_option
def list_letters(config: Path) -> None:
    """One line each, by numbers and codes alone: nothing of what it says."""
    with _store(config) as connection:
        found = letters.dead_letters(connection)
    for letter in found:
        where = f"card {letter.card_id}, {letter.post_id}" if letter.card_id else "an answer"
        click.echo(
            f"{letter.name}  {letter.made_at:%Y-%m-%dT%H:%M:%SZ}  {letter.kind} {letter.part}  "
            f"{letter.reason}  tries {letter.attempts}  {where}  {letter.room_class or '-'}"
        )
    click.echo(f"{len(found)} dead letters")


@dead_letters.command()
@config_option
@click.argument("name", metavar="ID")
def retry(config: Path, name: str) -> None:
    """Have the running bridge try it again; mend first what its reason names."""
    with _store(config) as connection:
        letters.retry_letter(connection, name, _operator(), system_clock(), PATIENCE)
    click.echo(f"{name} is tried again")


@dead_letters.command()
@config_option
@click.argument("name", metavar="ID")
@click.option("--reason", required=True, help="Why, for the audit; nothing of a file's content.")
def drop(config: Path, name: str, reason: str) -> None:
    """Give it up; what it said is forgotten, the audit keeps that it was dropped and why."""
    if not reason.strip():
        raise click.BadParameter("say why, for the audit", param_hint="--reason")
    with _store(config) as connection:
        letters.drop_letter(connection, name, _operator(), reason.strip(), system_clock())
    click.echo(f"{name} is dropped")


@contextmanager
def _store(config: Path) -> Iterator[Connection]:
    """One transaction on the store of a bridge that may be running; faults are told in words."""
    try:
        engine = open_store(_settings(config).database.full_url(), system_clock, as_it_is=True)
    except (SettingsError, SecretError) as error:
        raise click.ClickException(str(error)) from error
    try:
        with engine.begin() as connection:
            yield connection
    except letters.DeadLetterError as error:
        raise click.ClickException(str(error)) from error
    finally:
        engine.dispose()


def _operator() -> str:
    return f"operator:{getpass.getuser()}"


def _settings(config: Path) -> Settings:
    try:
        text = config.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(
            f"cannot read {config}. Cure: copy config/bridge.example.yaml there and fill it in."
        ) from error
    return parse_settings(text)


def _told_to_stop() -> asyncio.Event:
    """Set by SIGTERM and Ctrl-C."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def _run_several(configs: tuple[Path, ...]) -> None:
    await run_bridges(configs, _told_to_stop())


async def _run(settings: Settings) -> None:
    stop = _told_to_stop()
    log = structlog.get_logger("rabta.bridge")
    await Alone(
        settings,
        clock=system_clock,
        stop=stop,
        make_chat=lambda engine: MatrixClient(settings.matrix, engine, clock=system_clock),
        listening=lambda url: log.info("bridge-listening", url=url),
    ).run()
