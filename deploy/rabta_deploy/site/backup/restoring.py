"""Brings a site back from a backup, into empty directories and nowhere else."""

import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rabta_deploy.site.backup import archive, databases
from rabta_deploy.site.backup.archive import BackupError
from rabta_deploy.site.description import Site
from rabta_deploy.site.layout import Layout
from rabta_deploy.site.running import Running, silent


def restore(
    site: Site,
    layout: Layout,
    file: Path,
    identities: Sequence[str],
    report: Callable[[str], None] = silent,
) -> dict[str, Any]:
    """Check the backup whole, then put everything in its place; the site is not started.

    Args:
        site: The description; the archive holds no copy of it.
        layout: Its directories; empty, or not there.
        file: The backup.
        identities: age secret keys; one must fit.
        report: Told, in words, what is being done now.

    Returns:
        The backup's manifest.

    Raises:
        BackupError: `restore-onto-a-site`, `restore-external-database`, `backup-of-another`,
            and those of `archive.read` and `databases.load`.
    """
    _refuse_a_site(site, layout)
    layout.state.mkdir(parents=True, exist_ok=True, mode=0o755)
    with TemporaryDirectory(prefix="restore-", dir=layout.state.parent) as staging:
        unpacked = Path(staging)
        report("decrypting and checking the backup")
        manifest = archive.read(file, identities, unpacked)
        if manifest["server_name"] != site.server_name:
            raise BackupError(
                "backup-of-another",
                f"The backup is of {manifest['server_name']}, the site is {site.server_name}.",
                "take the backup of this site",
            )
        report("putting keys, media and the policy in their places")
        _put(unpacked / "secrets", layout.secrets)
        _put(unpacked / "state", layout.state)
        _put_policy(site, unpacked / "policy")
        report("restoring the databases")
        _databases(site, layout, unpacked / "databases")
    return manifest


def _refuse_a_site(site: Site, layout: Layout) -> None:
    if site.database.kind != "managed":
        raise BackupError(
            "restore-external-database",
            "The site's database is not its own.",
            "make an empty one, describe it as managed on a trial, or use pg_restore by hand",
        )
    there = [
        directory
        for directory in (layout.state, layout.config)
        if directory.exists() and any(directory.iterdir())
    ]
    if there:
        raise BackupError(
            "restore-onto-a-site",
            f"{there[0]} holds a site already.",
            "stop it and move its directories away first; nothing was touched",
        )


def _put(source: Path, target: Path) -> None:
    if not source.is_dir():
        return
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    for file in sorted(source.rglob("*")):
        place = target / file.relative_to(source)
        if file.is_dir():
            place.mkdir(exist_ok=True, mode=0o700)
        else:
            shutil.move(file, place)
            place.chmod(0o600)


def _put_policy(site: Site, source: Path) -> None:
    """The policy comes back only where none, or an older one, lies: a serial never goes back."""
    pairs = {
        "policy.json": site.policy.policy_file,
        "authority.yaml": site.policy.authority_file,
    }
    for name, place in pairs.items():
        kept = source / name
        if not place.exists() or (name == "policy.json" and _serial(place) < _serial(kept)):
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
            fresh = place.with_name(f".{place.name}.{os.getpid()}")
            shutil.copyfile(kept, fresh)
            fresh.replace(place)


def _serial(file: Path) -> int:
    try:
        return int(json.loads(file.read_bytes())["serial"])
    except (OSError, ValueError, KeyError):
        return 0


def _databases(site: Site, layout: Layout, dumps: Path) -> None:
    running = Running(site, layout)
    running.up_to("postgres")
    try:
        for name in databases.names(site):
            databases.load(site, layout, name, dumps / name)
    finally:
        running.down()
