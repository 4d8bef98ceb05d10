"""`rabta policy check | diff | schema`: for whoever writes the next issue."""

import sys
from collections import defaultdict
from datetime import datetime
from pathlib import Path

import click

from rabta_deploy.cli.policy.desk import (
    at_option,
    file_argument,
    json_option,
    read_policy,
    tell_json,
    utc_now,
)
from rabta_policy import Difference, Policy, Turn, difference, policy_schema
from rabta_policy.differences import Reach
from rabta_policy.moments import write_moment


@click.command()
@file_argument("policy_file")
@at_option
def check(policy_file: Path, at: datetime | None) -> None:
    """Say whether POLICY_FILE holds together, and what it amounts to; else every fault.

    Ends with 0 if it does, 2 if it has faults.
    """
    policy = read_policy(policy_file)
    now = at or utc_now()
    federating = policy.federating_servers(now)
    click.echo(
        f"{policy_file}: network {policy.network}, serial {policy.serial}, "
        f"{policy.standing(now)} on {write_moment(now)}."
    )
    click.echo(
        f"{len(policy.document.organisations)} organisations, {len(federating)} of their servers "
        f"may federate; {len(policy.document.permits)} permits."
    )


@click.command()
@file_argument("old_file")
@file_argument("new_file")
@at_option
@json_option
def diff(old_file: Path, new_file: Path, at: datetime | None, *, as_json: bool) -> None:
    """What changes from OLD_FILE to NEW_FILE: what is opened and closed between whom.

    Ends with 0 if they say the same at that moment, 1 if not, 2 if one has faults.
    """
    old, new = read_policy(old_file), read_policy(new_file)
    now = at or utc_now()
    found = difference(old, new, now)
    if as_json:
        tell_json(_as_json(found))
    else:
        _say(found, old, new, now)
    sys.exit(0 if found.nothing else 1)


def _say(found: Difference, old: Policy, new: Policy, now: datetime) -> None:
    click.echo(f"serial {old.serial} -> {new.serial}, as of {write_moment(now)}")
    if found.nothing:
        click.echo("Nothing changes at that moment.")
    for name in found.joined:
        click.echo(f"may federate now:   {name}")
    for name in found.left:
        click.echo(f"may not any more:   {name}")
    for line in found.classes:
        click.echo(f"class changes:      {line}")
    for turn in found.turns:
        room = f" in room {turn.room}" if turn.room else ""
        click.echo(f"{turn.origin} -> {', '.join(turn.destinations)}{room}")
        for word, reach in (("opens", turn.opened), ("closes", turn.closed)):
            for room_class, kinds in _by_class(reach).items():
                click.echo(f"    {word} {room_class}: {', '.join(kinds)}")


def _by_class(reach: Reach) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for kind, room_class in sorted(reach):
        found[room_class].append(str(kind))
    return found


def _as_json(found: Difference) -> dict[str, object]:
    return {
        "joined": list(found.joined),
        "left": list(found.left),
        "classes": list(found.classes),
        "turns": [_turn(turn) for turn in found.turns],
    }


def _turn(turn: Turn) -> dict[str, object]:
    return {
        "origin": turn.origin,
        "destinations": list(turn.destinations),
        "room": turn.room,
        "opened": _by_class(turn.opened),
        "closed": _by_class(turn.closed),
    }


@click.command()
def schema() -> None:
    """Print the JSON Schema of a policy (config/schema/policy.schema.json is this)."""
    tell_json(policy_schema())
