"""`rabta site rotate` and `rabta site upgrade`: change a site that runs. It parses and prints."""

import sys
from pathlib import Path

import click
from rich.console import Console

from rabta_deploy.cli.site import now, root_option, site, site_argument
from rabta_deploy.fault import YardError
from rabta_deploy.site.backup.taking import take
from rabta_deploy.site.control import control_of
from rabta_deploy.site.description import Site
from rabta_deploy.site.layout import Layout, layout_of
from rabta_deploy.site.preflight import Severity, findings, gather
from rabta_deploy.site.preflight.facts import policy_of
from rabta_deploy.site.preflight.live import ask
from rabta_deploy.site.reading import load
from rabta_deploy.site.rotation import AtWork
from rabta_deploy.site.rotation import signing_key as signing_key_rotation
from rabta_deploy.site.rotation import tls as tls_rotation
from rabta_deploy.site.rotation import turn as turn_rotation
from rabta_deploy.site.rotation import webhook as webhook_rotation
from rabta_deploy.site.upgrading import upgrade as upgrade_site
from rabta_policy import Policy

dry_option = click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
finish_option = click.option("--finish", is_flag=True, help="End the time in which both are good.")


@site.group()
def rotate() -> None:
    """Replace a secret of a site that runs; each command may be repeated after a break."""


@rotate.command("signing-key")
@site_argument
@root_option
@dry_option
@finish_option
def signing_key(site_file: Path, root: Path | None, *, dry_run: bool, finish: bool) -> None:
    """First make the next signing key; once the policy pins it, switch to it."""
    layout, policy = layout_of(root), _policy(load(site_file))
    if finish:
        _tell(signing_key_rotation.finish(site_file, layout, policy))
    else:
        _tell(signing_key_rotation.rotate(site_file, _at_work(layout), policy, dry=dry_run))


@rotate.command()
@site_argument
@root_option
@dry_option
@click.option("--face", type=click.Choice(tls_rotation.FACES), required=True, help="Who shows it.")
@click.option("--certificate", type=click.Path(path_type=Path), required=True, help="PEM chain.")
@click.option("--key", type=click.Path(path_type=Path), required=True, help="PEM key.")
def tls(
    site_file: Path, root: Path | None, face: str, certificate: Path, key: Path, *, dry_run: bool
) -> None:
    """Put a certificate and its key in place; no connection is dropped."""
    described, layout = load(site_file), layout_of(root)
    pair, policy = (certificate, key), _policy(described)
    _tell(tls_rotation.rotate(described, _at_work(layout), face, pair, policy, dry=dry_run))


@rotate.command()
@site_argument
@dry_option
@finish_option
def webhook(site_file: Path, *, dry_run: bool, finish: bool) -> None:
    """Make a second webhook secret; with --finish, end the first."""
    act = webhook_rotation.finish if finish else webhook_rotation.rotate
    _tell(act(load(site_file), dry=dry_run))


@rotate.command()
@site_argument
@root_option
@dry_option
@finish_option
def turn(site_file: Path, root: Path | None, *, dry_run: bool, finish: bool) -> None:
    """Sign credentials for calls by a new secret; with --finish, forget the old one."""
    described, layout = load(site_file), layout_of(root)
    if finish:
        _tell(turn_rotation.finish(described, layout, now(), dry=dry_run))
    else:
        _tell(turn_rotation.rotate(described, _at_work(layout), dry=dry_run))


@site.command()
@site_argument
@root_option
@click.option("--without-backup", is_flag=True, help="Take none first.")
def upgrade(site_file: Path, root: Path | None, *, without_backup: bool) -> None:
    """Render anew and restart part after part while the site runs."""
    described, layout = load(site_file), layout_of(root)
    found = findings(gather(described, layout, now(), ask(described, layout)))
    errors = [one for one in found if one.severity is Severity.ERROR]
    for one in errors:
        click.echo(f"{one.place}: {one.says} [{one.code}] Cure: {one.cure}.", err=True)
    if errors:
        click.echo("Nothing was changed.", err=True)
        sys.exit(1)
    if not without_backup:
        _say(f"backed up: {take(described, layout, now())}")
    done = upgrade_site(described, layout, control_of(layout), _say)
    click.echo(f"{len(done)} parts run the new version.")


def _at_work(layout: Layout) -> AtWork:
    return AtWork(layout, control_of(layout), now(), _say)


def _policy(described: Site) -> Policy:
    policy, reason = policy_of(described)
    if policy is None:
        raise YardError(
            "policy-refused",
            f"The signed policy is not believed: {reason}.",
            "docs/reference/reason-codes.md",
        )
    return policy


def _say(step: str) -> None:
    Console(stderr=True).print(step)


def _tell(lines: list[str]) -> None:
    for line in lines:
        click.echo(line)
