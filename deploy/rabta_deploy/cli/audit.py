"""`rabta audit`: what an auditor asks of the journals; it reads and never writes them."""

from importlib.metadata import version
from pathlib import Path

import click

from rabta_audit import Head, chains, read_lines, to_cef, verify
from rabta_audit.chain import unseal
from rabta_audit.journal import read_head

Folder = click.Path(exists=True, file_okay=False, path_type=Path)


@click.group()
def audit() -> None:
    """Verify and export the audit journals of a server."""


def _chains(directory: Path) -> dict[str, list[Path]]:
    found = chains(directory)
    if not found:
        raise click.ClickException(
            f"{directory} holds no audit journal (PROCESS-000000000001.jsonl). "
            "Name the folder that `audit_dir` names in the settings."
        )
    return found


@audit.command("verify")
@click.argument("directory", type=Folder)
@click.option(
    "--head",
    "heads",
    multiple=True,
    metavar="PROCESS:SEQ:HASH",
    help="A head kept elsewhere; without it the one beside the journal is used.",
)
def verify_command(directory: Path, heads: tuple[str, ...]) -> None:
    """Find any line that was edited, cut, reordered or taken out; exit 1 when there is one."""
    anchors = dict(map(_anchor, heads))
    whole = True
    for process, files in _chains(directory).items():
        anchor = anchors.get(process) or read_head(directory, process)
        head, broken = verify(read_lines(files), anchor)
        if anchor is None:
            click.echo(f"{process}: no head is kept, so a cut end cannot be seen.")
        for fault in broken:
            click.echo(f"{process}: {fault.reason}: {fault.text}")
        if not broken:
            click.echo(f"{process}: whole, {head.seq} lines, head {head.hash}")
        whole = whole and not broken
    if not whole:
        raise SystemExit(1)


@audit.command("export")
@click.argument("directory", type=Folder)
@click.option("--format", "form", type=click.Choice(["jsonl", "cef"]), default="jsonl")
def export_command(directory: Path, form: str) -> None:
    """Print every line for a SIEM, as JSON Lines or CEF; exit 1 at a line that was edited."""
    for process, files in _chains(directory).items():
        for number, line in enumerate(read_lines(files), start=1):
            try:
                record, _, _ = unseal(line)
            except ValueError as exc:
                raise click.ClickException(
                    f"{process}, line {number}: {exc}. Run `rabta audit verify {directory}`."
                ) from exc
            if form == "cef":
                click.echo(to_cef(record, version=version("rabta")))
            else:
                click.echo(line.decode().rstrip("\n"))


def _anchor(text: str) -> tuple[str, Head]:
    try:
        process, seq, digest = text.rsplit(":", 2)
        return process, Head(int(seq), digest)
    except ValueError as exc:
        raise click.BadParameter(f"{text!r} is not PROCESS:SEQ:HASH, as verify prints it.") from exc
