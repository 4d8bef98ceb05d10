"""What every `rabta policy` command does alike: reads files, tells faults, asks the clock once."""

import json
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import click

from rabta_policy import Authority, Fault, Policy, PolicyError, open_signed, parse
from rabta_policy.moments import read_moment

WRONG_INPUT = 2
"""The exit code for a file or an argument that cannot be used."""


def utc_now() -> datetime:
    """The clock of the command line."""
    return datetime.now(UTC)  # noqa: TID251 - the one clock of these commands


class MomentOption(click.ParamType[datetime]):
    """A date and time with its offset."""

    name = "moment"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Read RFC 3339 with an offset."""
        try:
            return read_moment(value)
        except ValueError as error:
            self.fail(f"{value} {error}", param, ctx)


at_option = click.option(
    "--at",
    type=MomentOption(),
    default=None,
    help="For this moment, e.g. 2026-09-15T10:00:00+05:00. [default: now]",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
authority_option = click.option(
    "--authority",
    "authority_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Believe the policy only if it is signed as this authority.yaml demands.",
)


def file_argument(name: str) -> Callable[[Any], Any]:
    """A file to be read, as an argument of a command."""
    return click.argument(name, type=click.Path(path_type=Path, dir_okay=False))


def read_bytes(file: Path) -> bytes:
    """A file's bytes; ends the command with words when it cannot be read."""
    try:
        return file.read_bytes()
    except OSError as error:
        fail([Fault("", f"cannot be read: {error.strerror}.", "Check the path.")], str(file))


def read_text(file: Path) -> str:
    """A file's text; ends the command with words when it cannot be read or is not UTF-8."""
    try:
        return read_bytes(file).decode("utf-8")
    except UnicodeDecodeError:
        fail([Fault("", "is not UTF-8 text.", "Save it as UTF-8.")], str(file))


def read_authority(file: Path) -> Authority:
    """Read `authority.yaml`; ends the command with its faults."""
    try:
        return Authority.parse(read_text(file))
    except PolicyError as error:
        fail(error.faults, str(file), error.reason)


def read_policy(file: Path, authority_file: Path | None = None) -> Policy:
    """Read a policy, signed or not; with an authority only a signed one. Ends with its faults."""
    try:
        if authority_file is not None:
            return open_signed(read_bytes(file), read_authority(authority_file))
        return parse(read_text(file))
    except PolicyError as error:
        fail(error.faults, str(file), error.reason)


def fail(faults: Iterable[Fault], source: str, reason: str = "") -> NoReturn:
    """Tell every fault on standard error and end with 2."""
    for fault in faults:
        click.echo(f"{source}: {fault}", err=True)
    if reason:
        click.echo(f"{source}: refused [{reason}]", err=True)
    sys.exit(WRONG_INPUT)


def tell_json(value: Any) -> None:
    """One JSON document on standard output."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True))
