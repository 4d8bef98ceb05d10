"""Takes a backup of a site that runs, and keeps as many as the site says."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from rabta_deploy.site.backup import archive, databases
from rabta_deploy.site.backup.archive import BackupError
from rabta_deploy.site.description import Backups, Site
from rabta_deploy.site.layout import Layout

_ENDING = ".rabta.age"
# Not its keys to rooms: the restored archiver is a new device under the old identity.
_ARCHIVE = ("archive/rooms", "archive/audit", "archive/recovery-key")
# Below the state directory: what the parts keep beside their databases.
_STATE = (
    "synapse/media",
    "gateway",
    "audit",
    "records",
    "bridge/recovery-key",
    "staff/audit",
    *_ARCHIVE,
)
_REGISTER = "staff/staff.db"
# Made anew with the cluster.
_NOT_KEPT = {"database-password", "bridge-database-password"}


def silent(_done: int, _of: int) -> None:
    """Report progress to nobody."""


def wanted(site: Site) -> Backups:
    """Where backups go.

    Raises:
        BackupError: `no-backups`.
    """
    if site.backups is None:
        raise BackupError(
            "no-backups",
            "The site file describes no backups.",
            "add `backups` with a directory and the age public keys of those who may read them",
        )
    return site.backups


def take(
    site: Site,
    layout: Layout,
    now: datetime,
    report: Callable[[int, int], None] = silent,
) -> Path:
    """Take a backup; one that is interrupted leaves the last good one as it was.

    First the databases, then the media: what a database names is there when it is copied.

    Raises:
        BackupError: `no-backups`, `database-not-dumped`, `recipient-refused`,
            `backup-not-written`.
    """
    backups = wanted(site)
    backups.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    name = f"{site.organisation}-{now:%Y%m%dT%H%M%S%fZ}{_ENDING}"
    file = backups.directory / name
    with TemporaryDirectory(prefix="dump-", dir=layout.state) as staging:
        dumps = {}
        for database in databases.names(site):
            dumped = Path(staging) / database
            databases.dump(site, layout, database, dumped)
            dumps[f"databases/{database}"] = dumped
        if (layout.state / _REGISTER).exists():
            dumped = Path(staging) / "register"
            with (
                closing(sqlite3.connect(layout.state / _REGISTER)) as register,
                closing(sqlite3.connect(dumped)) as copy,
            ):
                register.backup(copy)
            dumps[f"state/{_REGISTER}"] = dumped
        archive.write(
            file,
            dumps | dict(_members(site, layout)),
            {
                "organisation": site.organisation,
                "server_name": site.server_name,
                "at": f"{now:%FT%TZ}",
            },
            backups.recipients,
            report,
        )
    for old in listed(backups)[backups.keep :]:
        old.unlink()
    return file


def listed(backups: Backups) -> list[Path]:
    """The whole backups, the newest first."""
    return sorted(backups.directory.glob(f"*{_ENDING}"), reverse=True)


def _members(site: Site, layout: Layout) -> Iterator[tuple[str, Path]]:
    yield "policy/policy.json", site.policy.policy_file
    yield "policy/authority.yaml", site.policy.authority_file
    for secret in sorted(layout.secrets.iterdir()):
        if secret.is_file() and secret.name not in _NOT_KEPT:
            yield f"secrets/{secret.name}", secret
    for below in _STATE:
        for file in _files(layout.state / below):
            yield f"state/{file.relative_to(layout.state)}", file


def _files(place: Path) -> Iterator[Path]:
    if place.is_file():
        yield place
    for file in sorted(place.rglob("*")) if place.is_dir() else []:
        if file.is_file():
            yield file


def described(manifest: dict[str, object]) -> str:
    """One line on a backup that was checked."""
    members = manifest.get("sha256")
    count = len(members) if isinstance(members, dict) else 0
    return json.dumps({key: manifest[key] for key in ("organisation", "at")}) + f", {count} files"
