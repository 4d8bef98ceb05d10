"""`rabta staff`: staff in and out. It parses, calls and prints."""

import asyncio
import signal
import sys
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click

from rabta_audit import JournalError
from rabta_bots.clock import system_clock
from rabta_bots.logs import log_as_json
from rabta_contract.secrets_file import SecretError, load_token
from rabta_deploy.jsonhttp import request
from rabta_staff.faults import StaffError, refused
from rabta_staff.settings import Settings

_TIMEOUT_S = 600
config_option = click.option(
    "--config",
    "config_file",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="As `rabta site render` wrote it: staff.yaml.",
)


class Faults(click.Group):
    """Prints a fault in its own words and ends with 2."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a fault never becomes a traceback."""
        try:
            return super().invoke(ctx)
        except (StaffError, SecretError, JournalError) as error:
            click.echo(str(error), err=True)
            sys.exit(2)


@click.group(cls=Faults)
def staff() -> None:
    """Who serves the ministry, on which post, and what becomes of their accounts."""


@staff.command()
@config_option
def run(config_file: Path) -> None:
    """Run the staff service until SIGTERM or Ctrl-C."""
    log_as_json()
    asyncio.run(_run(Settings.load(config_file)))


async def _run(settings: Settings) -> None:
    from rabta_staff.program import serve

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve(settings, system_clock, stop)


@staff.command(name="import")
@config_option
@click.option("--dry-run", is_flag=True, help="Change nothing; say what would be.")
@click.option("--whole", is_flag=True, help="Whoever does not stand in the list leaves.")
@click.argument("file", metavar="FILE.csv", type=click.Path(path_type=Path, dir_okay=False))
def import_list(config_file: Path, file: Path, *, dry_run: bool, whole: bool) -> None:
    """Have the running service take FILE.csv, whole or not at all."""
    try:
        raw = file.read_bytes()
    except OSError as error:
        says = f"cannot be read ({error.strerror})"
        raise refused("list-unreadable", str(file), says, "name the list of staff") from error
    asked = {name: "" for name, said in {"dry_run": dry_run, "whole": whole}.items() if said}
    told = _ask(config_file, "/import", asked, raw)
    for line in told["done"]:
        click.echo(line)
    done = "would change" if dry_run else "changed"
    click.echo(f"{len(told['done'])} {done}.")


@staff.command()
@config_option
@click.argument("user_name")
def password(config_file: Path, user_name: str) -> None:
    """Give USER_NAME a new password, shown once; where there is no single sign-on."""
    click.echo(_ask(config_file, "/password", {"user": user_name})["password"])


def _ask(
    config_file: Path, path: str, query: dict[str, str], body: bytes | None = None
) -> dict[str, Any]:
    """Ask the running service as the operator; a refusal is told and ends with 1."""
    settings = Settings.load(config_file)
    url = f"http://127.0.0.1:{settings.port}{path}"
    try:
        answer = request(
            "POST",
            f"{url}?{urlencode(query)}",
            body=body,
            token=load_token(settings.import_token_file),
            headers={"Content-Type": "text/csv"},
            timeout_s=_TIMEOUT_S,
        )
    except OSError as error:
        cure = "run the site, or `rabta staff run`"
        raise refused("service-away", url, "does not answer", cure) from error
    told = answer.body if isinstance(answer.body, dict) else {}
    if answer.status != HTTPStatus.OK:
        reason = str(told.get("reason", f"{url} answered {answer.status}; read its log"))
        click.echo(
            "\n".join([reason, *(f"  {fault}" for fault in told.get("faults", ()))]), err=True
        )
        sys.exit(1)
    return told
