"""`rabta hold`: place, lift and list legal holds. It parses, calls and prints."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from rabta_deploy.cli.site import Faults, now, root_option, site_argument
from rabta_deploy.records.hold import Hold, Lift
from rabta_deploy.records.register import Register
from rabta_deploy.site.layout import layout_of
from rabta_deploy.site.reading import load
from rabta_deploy.site.records_part import STATE

by_option = click.option("--by", required=True, help="Name and post of the officer.")
order_option = click.option("--order", required=True, help="Number of the order, such as 1-5/2026.")


def register(site_file: Path, root: Path | None) -> Register:
    """The register of a site."""
    return Register(layout_of(root).state / STATE, load(site_file).server_name)


@click.group(cls=Faults)
def hold() -> None:
    """Legal holds: what they cover is destroyed by nobody."""


@hold.command()
@site_argument
@root_option
@click.option("--room", help="Room id, !...")
@click.option("--person", help="Matrix user id, @...: every room that the person is or was in.")
@click.option("--file", "file_number", help="File number: every room that the bridge is in.")
@order_option
@by_option
@click.option(
    "--until",
    type=click.DateTime(["%Y-%m-%d"]),
    help="The last day, in UTC; without it until it is lifted.",
)
def place(
    *,
    site_file: Path,
    root: Path | None,
    room: str | None,
    person: str | None,
    file_number: str | None,
    order: str,
    by: str,
    until: datetime | None,
) -> None:
    """Place a hold on one of a room, a person or a file; it holds from now on."""
    named = {"room": room, "person": person, "file": file_number}
    given = [(kind, subject) for kind, subject in named.items() if subject]
    if len(given) != 1:
        raise click.UsageError("give one of --room, --person and --file")
    ((kind, subject),) = given
    if not subject.startswith({"room": "!", "person": "@"}.get(kind, "")):
        raise click.UsageError(f"a {kind} is named by its Matrix id")
    asked = Hold.model_validate(
        {
            "id": "H0000",
            "kind": kind,
            "subject": subject,
            "order": order,
            "by": by,
            "at": now(),
            "until": until.replace(tzinfo=UTC) + timedelta(days=1) if until else None,
        }
    )
    click.echo(_line(register(site_file, root).place(asked, now()), now()))


@hold.command()
@site_argument
@root_option
@click.argument("hold_id", metavar="HOLD")
@order_option
@by_option
@click.option("--countersigned", required=True, help="Another officer, who agrees.")
def lift(
    *, site_file: Path, root: Path | None, hold_id: str, order: str, by: str, countersigned: str
) -> None:
    """Lift HOLD (H0001); two officers answer for it."""
    ended = Lift(order=order, by=by, countersigned=countersigned, at=now())
    click.echo(_line(register(site_file, root).lift(hold_id, ended), now()))


@hold.command(name="list")
@site_argument
@root_option
@click.option("--all", "with_past", is_flag=True, help="Those that are over too.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def list_holds(site_file: Path, root: Path | None, *, with_past: bool, as_json: bool) -> None:
    """The holds in force."""
    found = [one for one in register(site_file, root).holds() if with_past or one.in_force(now())]
    if as_json:
        click.echo(json.dumps([one.model_dump(mode="json") for one in found], ensure_ascii=False))
        return
    for one in found:
        click.echo(_line(one, now()))
    click.echo(f"{len(found)} holds")


def _line(one: Hold, at: datetime) -> str:
    stands = "in force" if one.in_force(at) else "over"
    until = f" until {one.until:%F %H:%M}Z" if one.until else ""
    lifted = f"; lifted by {one.lift.by}, order {one.lift.order}" if one.lift else ""
    return (
        f"{one.id} {stands}{until}: {one.kind} {one.subject}, order {one.order}, "
        f"by {one.by}, {one.at:%F}{lifted}"
    )
