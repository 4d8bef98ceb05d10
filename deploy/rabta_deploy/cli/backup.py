"""`rabta backup`: take, list, verify, restore and drill. It parses, calls and prints."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click
import pyrage
from rich.console import Console
from rich.progress import Progress

from rabta_deploy.cli.site import Faults, now, root_option, site_argument
from rabta_deploy.secretfile import write_secret
from rabta_deploy.site.backup import archive, taking
from rabta_deploy.site.backup.drill import drill as drill_backup
from rabta_deploy.site.backup.restoring import restore as restore_backup
from rabta_deploy.site.description import Site
from rabta_deploy.site.layout import layout_of
from rabta_deploy.site.reading import load

identity_option = click.option(
    "--identity",
    "identity_file",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="File with the age secret key of one of the site's recipients.",
)
backup_option = click.option(
    "--backup",
    "backup_file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Which one. [default: the newest]",
)


@click.group(cls=Faults)
def backup() -> None:
    """Backups of a site: encrypted with age, proven by a drill."""


@backup.command()
@click.argument("key_file", type=click.Path(path_type=Path, dir_okay=False))
def keygen(key_file: Path) -> None:
    """Make an age key pair: the secret half into KEY_FILE (0600), the public one on screen."""
    if key_file.exists():
        raise click.ClickException(f"{key_file} is there already. Cure: name another file.")
    made = pyrage.x25519.Identity.generate()
    write_secret(key_file, f"{made}\n")
    click.echo(str(made.to_public()))
    click.echo("Name it in site.yaml under backups.recipients; keep the file off this machine.")


@backup.command()
@site_argument
@root_option
def take(site_file: Path, root: Path | None) -> None:
    """Take a backup of the site while it runs."""
    site = load(site_file)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("files", total=None)

        def report(done: int, of: int) -> None:
            progress.update(task, completed=done, total=of)

        file = taking.take(site, layout_of(root), now(), report)
    click.echo(f"Taken: {file}")


@backup.command(name="list")
@site_argument
def list_backups(site_file: Path) -> None:
    """The whole backups, the newest first."""
    found = taking.listed(taking.wanted(load(site_file)))
    for file in found:
        click.echo(f"{file}  {file.stat().st_size:,} bytes")
    click.echo(f"{len(found)} backups")


@backup.command()
@site_argument
@identity_option
@backup_option
def verify(site_file: Path, identity_file: Path, backup_file: Path | None) -> None:
    """Decrypt a backup and check every file in it against its hash; nothing is unpacked."""
    file = _chosen(load(site_file), backup_file)
    click.echo(f"Whole: {taking.described(archive.read(file, _keys(identity_file), None))}")


@backup.command()
@site_argument
@root_option
@identity_option
@backup_option
def restore(
    site_file: Path, root: Path | None, identity_file: Path, backup_file: Path | None
) -> None:
    """Bring a site back into empty directories; start it with `rabta site run`."""
    site = load(site_file)
    say = Console(stderr=True).print
    file = _chosen(site, backup_file)
    manifest = restore_backup(site, layout_of(root), file, _keys(identity_file), say)
    click.echo(f"Restored: {taking.described(manifest)}")


@backup.command()
@site_argument
@identity_option
@backup_option
def drill(site_file: Path, identity_file: Path, backup_file: Path | None) -> None:
    """Restore a backup beside the site, start it, send a message there, and throw it away."""
    site = load(site_file)
    say = Console(stderr=True).print
    shown = drill_backup(site, _chosen(site, backup_file), _keys(identity_file), say)
    click.echo(json.dumps(asdict(shown)))


def _chosen(site: Site, given: Path | None) -> Path:
    if given is not None:
        return given
    found = taking.listed(taking.wanted(site))
    if not found:
        click.echo("There is no backup yet. Cure: take one with `rabta backup take`.", err=True)
        sys.exit(2)
    return found[0]


def _keys(file: Path) -> list[str]:
    lines = file.read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]
