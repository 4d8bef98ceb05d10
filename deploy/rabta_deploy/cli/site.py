"""`rabta site`: describe a ministry's site, render it, run it. It parses, calls and prints."""

import json
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

import click
from rich.console import Console

from rabta_deploy.fault import YardError
from rabta_deploy.process import ProcessError
from rabta_deploy.site.draft import write_draft
from rabta_deploy.site.layout import below, layout_of
from rabta_deploy.site.preflight import Severity, findings, gather
from rabta_deploy.site.preflight.live import ask
from rabta_deploy.site.reading import load, site_schema
from rabta_deploy.site.rendering import rendered, write
from rabta_deploy.site.running import Running, root_of
from rabta_deploy.site.secrets_of_site import make_secrets
from rabta_deploy.site.trial import Trial, make

site_argument = click.argument(
    "site_file", metavar="SITE.YAML", type=click.Path(path_type=Path, dir_okay=False)
)


root_option = click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False),
    help="Of a site that runs below one directory; without it, the machine's own directories.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="For machines.")


class Faults(click.Group):
    """Prints a fault of the yard in its own words and ends with 2."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a fault never becomes a traceback."""
        try:
            return super().invoke(ctx)
        except YardError as error:
            click.echo(str(error), err=True)
            sys.exit(2)


@click.group(cls=Faults)
def site() -> None:
    """A ministry's site: one description, rendered, checked and run."""


@site.command()
@click.option("--trial", "is_trial", is_flag=True, help="Make certificates, keys and a policy too.")
@click.option("--organisation", prompt=True, help="Code in the policy's registry, such as ITT.")
@click.option("--server-name", prompt=True, help="Matrix server name; it can never change.")
@click.option(
    "--network",
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory of the trial network, whose sites federate. [default: DIRECTORY/network]",
)
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
def init(
    directory: Path, organisation: str, server_name: str, network: Path | None, *, is_trial: bool
) -> None:
    """Ask what is needed and write DIRECTORY/site.yaml."""
    trial = Trial(directory, network or directory / "network", organisation, server_name)
    file = make(trial, now, {}) if is_trial else _draft(trial)
    click.echo(f"Written: {file}")
    click.echo(f"Next: rabta site render {file} OUT, or rabta site run {file}")


def _draft(trial: Trial) -> Path:
    """A site file to fill in: what only the ministry knows is asked, what it brings is named."""
    return write_draft(trial.file, organisation=trial.organisation, server_name=trial.server_name)


@site.command()
@site_argument
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
def render(site_file: Path, out: Path) -> None:
    """Write everything the site is made of as text below OUT; no secret is among it."""
    texts = rendered(load(site_file))
    changed = write(texts, out)
    click.echo(f"{len(texts)} files below {out}, {changed} changed. Next: `rabta site secrets`.")


@site.command()
@site_argument
@root_option
def secrets(site_file: Path, root: Path | None) -> None:
    """Make the secrets that the site needs and has not, one file of mode 0600 each."""
    made = make_secrets(load(site_file), layout_of(root))
    for file in made:
        click.echo(f"Made: {file}")
    click.echo(f"{len(made)} secrets made now; those that were there are as they were.")


@site.command()
@site_argument
@click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False),
    help="Holds everything of the site. [default: the directory of SITE.YAML]",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print what runs as one JSON line when ready."
)
def run(site_file: Path, root: Path | None, *, as_json: bool) -> None:
    """Run the site on this machine until Ctrl-C or SIGTERM; a part that ends is started again."""
    stopping = _stop_signals()
    say = Console(stderr=True).print
    described = load(site_file)
    running = Running(described, below(root_of(root or site_file.parent)), report=say)
    try:
        running.up()
    except ProcessError as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    face = described.client
    told = {
        "client_url": f"https://{face.name}:{face.port}",
        "loopback_url": running.client_url,
        "pids": {name: child.pid for name, child in running.children.items()},
    }
    click.echo(json.dumps(told) if as_json else f"Ready: {told['client_url']}. Ctrl-C ends it.")
    try:
        running.watch(stopping)
    finally:
        running.down()


@site.command()
@site_argument
@root_option
@json_option
def preflight(site_file: Path, root: Path | None, *, as_json: bool) -> None:
    """Look at a site before it is put in force; exit code 1 when an error is found."""
    _look(site_file, root, as_json=as_json, live=False)


@site.command()
@site_argument
@root_option
@json_option
def status(site_file: Path, root: Path | None, *, as_json: bool) -> None:
    """The same of a site that runs, and whether every part of it answers."""
    _look(site_file, root, as_json=as_json, live=True)


def _look(site_file: Path, root: Path | None, *, as_json: bool, live: bool) -> None:
    described = load(site_file)
    layout = layout_of(root)
    said = ask(described, layout) if live else None
    found = findings(gather(described, layout, now(), said))
    if as_json:
        click.echo(json.dumps([asdict(one) for one in found], ensure_ascii=False))
    else:
        for one in found:
            click.echo(f"{one.severity}: {one.place}: {one.says} [{one.code}] Cure: {one.cure}.")
        errors = sum(one.severity is Severity.ERROR for one in found)
        click.echo(f"{len(found)} findings, {errors} of them errors.")
    sys.exit(1 if any(one.severity is Severity.ERROR for one in found) else 0)


@site.command()
def schema() -> None:
    """Print the JSON Schema of site.yaml."""
    click.echo(json.dumps(site_schema(), indent=2, ensure_ascii=False))


def _stop_signals() -> Callable[[], bool]:
    seen: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        seen.append(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, note)
    return lambda: bool(seen)


def now() -> datetime:
    """The time of day, in UTC."""
    return datetime.now(UTC)  # noqa: TID251 - the command line's clock
