"""Behind `rabta records export` and `verify`: it calls the archiver's house and prints."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from signedjson.key import read_signing_keys

from rabta_deploy.cli.site import now
from rabta_deploy.fault import YardError
from rabta_deploy.homeserver import VerifyKey
from rabta_deploy.site.description import ARCHIVE_ACCOUNT, Site
from rabta_deploy.site.layout import Layout
from rabta_deploy.site.records_part import ARCHIVE_STATE, SIGNING_KEY
from rabta_records import checking, exporting
from rabta_records.faults import RecordsError
from rabta_records.vault import Vault

_CURES = {
    "out-exists": "name another directory",
    "identity-refused": "give the secret key of one of archive.recipients",
    "room-not-recorded": "see that the room invited the archiver",
    "record-damaged": "restore archive/rooms from a backup",
}


def export(
    site: Site,
    layout: Layout,
    out: Path,
    *,
    room: str,
    identity_file: Path,
    order: str,
    by: str,
    events: Sequence[Mapping[str, Any]] | None,
) -> None:
    """Export a room and print what came of it.

    Raises:
        YardError: Those of the export.
    """
    lines = identity_file.read_text(encoding="utf-8").splitlines()
    signing = layout.secret(SIGNING_KEY).read_text(encoding="utf-8")
    (key,) = read_signing_keys(signing.splitlines())
    asked = exporting.Asked(
        room_id=room,
        by=by,
        order=order,
        at=now(),
        server_name=site.server_name,
        archiver=site.user_id(ARCHIVE_ACCOUNT),
    )
    try:
        about = exporting.export(
            Vault(layout.state / ARCHIVE_STATE / "rooms"),
            [line.strip() for line in lines if line.strip() and not line.startswith("#")],
            asked,
            out,
            key=key,
            events=events,
        )
    except RecordsError as error:
        raise YardError(error.reason, error.text, _CURES[error.reason]) from error
    missing = about["not_recorded"]
    told = "the homeserver was not asked" if missing is None else f"{len(missing)} not recorded"
    click.echo(f"{out}: {about['events']} events, {len(about['files'])} files, {told}")
    public = VerifyKey.of(signing)
    click.echo(f"Signed by {site.server_name} with {public.key_id} {public.key}")


def verify(bag: Path, key: str | None) -> int:
    """Check an export and print what was found; gives the exit code."""
    # The library's own words say less than ours.
    logging.getLogger("bagit").setLevel(logging.CRITICAL)
    found = checking.check(bag)
    faults = list(found.faults)
    if key is not None and key != found.verify_key:
        faults.append(f"it is signed with another key: {found.verify_key}")
    for fault in faults:
        click.echo(fault)
    if not faults:
        chain = found.about["chain"]
        click.echo(f"Whole: {found.about['events']} events, chain of {chain['seq']} lines")
        click.echo(f"Signed by {found.server_name} with {found.verify_key}")
        if key is None:
            click.echo("Compare the key with the one the ministry has told you, or give --key.")
    return 1 if faults else 0
