"""`rabta policy impact`: what a policy would cut on a running homeserver, before it is signed."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from rabta_deploy.cli.policy.desk import (
    at_option,
    authority_option,
    fail,
    file_argument,
    json_option,
    read_policy,
    tell_json,
    utc_now,
)
from rabta_deploy.fault import YardError
from rabta_deploy.impact import Cut, RunningHomeserver, cut_in, read_token
from rabta_policy import Fault, Policy, Standing, server_of
from rabta_policy.moments import write_moment

_WIDE = 200


@click.command()
@file_argument("new_file")
@click.option("--homeserver", "url", required=True, help="Its client API, http://127.0.0.1:8008.")
@click.option(
    "--token-file",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="A server administrator's access token, a file of mode 0600.",
)
@click.option(
    "--old",
    "old_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The policy in force: what goes by it already is told apart.",
)
@at_option
@authority_option
@json_option
def impact(
    new_file: Path,
    *,
    url: str,
    token_file: Path,
    old_file: Path | None,
    at: datetime | None,
    authority_file: Path | None,
    as_json: bool,
) -> None:
    """Which rooms, members and pending invites of a homeserver would NEW_FILE cut?

    Nothing is changed on the homeserver. Ends with 0 if nothing would be cut, 1 if something
    would, 2 if a file or the homeserver cannot be used.
    """
    new = read_policy(new_file, authority_file)
    old = read_policy(old_file) if old_file else None
    now = at or utc_now()
    try:
        homeserver = RunningHomeserver(url, read_token(token_file))
        ours = homeserver.server_name()
        with _progress() as progress:
            rooms = homeserver.rooms(progress)
            asked = [cut_in(room, new, ours=ours, now=now, old=old) for room in rooms]
    except YardError as error:
        fail([Fault("", error.text, f"{error.cure}.".capitalize())], url, error.reason)
    cuts = [cut for cut in asked if cut is not None]
    if as_json:
        tell_json(_as_json(cuts, new, ours, now, len(asked)))
    else:
        _say(cuts, new, ours, now, len(asked), compared=old is not None)
    sys.exit(1 if cuts else 0)


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error, where somebody looks at it."""
    columns = (TextColumn("reading rooms"), BarColumn(), MofNCompleteColumn())
    screen = Console(stderr=True)
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task("rooms", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _say(
    cuts: list[Cut], new: Policy, ours: str, now: datetime, looked_at: int, *, compared: bool
) -> None:
    standing = new.standing(now)
    click.echo(f"{ours}: serial {new.serial}, {standing} on {write_moment(now)}.")
    if standing is not Standing.IN_FORCE:
        click.echo("A policy that is not in force puts nobody out of a room.")
    if cuts:
        # In a file a row stays a row; on a screen it folds where the screen ends.
        width = None if sys.stdout.isatty() else _WIDE
        Console(highlight=False, width=width).print(_table(cuts, compared=compared))
    members = sum(len(cut.members) for cut in cuts)
    pending = sum(len(cut.pending) for cut in cuts)
    due = sum(len(cut.due) for cut in cuts)
    click.echo(
        f"{looked_at} rooms, {len(cuts)} of them cut: {members} members and {pending} pending "
        "invites would go." + (f" {due} of them go by the old policy already." if due else "")
    )
    click.echo("Nothing was changed.")


def _table(cuts: list[Cut], *, compared: bool) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("room", "class", "made by", "who goes"):
        table.add_column(name, overflow="fold")
    table.add_column("members", justify="right")
    table.add_column("invites", justify="right")
    if compared:
        table.add_column("by old", justify="right")
    table.add_column("they")
    for cut in cuts:
        members, pending, due = (
            Counter(map(server_of, people)) for people in (cut.members, cut.pending, cut.due)
        )
        title = (cut.name or cut.room_id, cut.room_class, cut.home)
        for server in sorted(members | pending):
            numbers = [members[server], pending[server], *([due[server]] if compared else ())]
            how = "leave" if cut.leaving else "are put out"
            table.add_row(*title, server, *map(str, numbers), how)
            title = ("", "", "")
    return table


def _as_json(
    cuts: list[Cut], new: Policy, ours: str, now: datetime, looked_at: int
) -> dict[str, object]:
    return {
        "server_name": ours,
        "serial": new.serial,
        "standing": str(new.standing(now)),
        "at": write_moment(now),
        "rooms": looked_at,
        "cuts": [
            {
                "room_id": cut.room_id,
                "name": cut.name,
                "class": cut.room_class,
                "made_by": cut.home,
                "members": list(cut.members),
                "pending": list(cut.pending),
                "leaving": cut.leaving,
                "due_by_old": sorted(cut.due),
            }
            for cut in cuts
        ],
    }
