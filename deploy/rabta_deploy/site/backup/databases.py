"""Dumps a site's databases while people write, and brings a dump back into an empty one."""

import subprocess
from pathlib import Path

from rabta_bots.matrix import tables
from rabta_deploy.site.backup.archive import BackupError
from rabta_deploy.site.description import Site
from rabta_deploy.site.layout import Layout, ports
from rabta_deploy.site.small_parts import POSTGRES_PROGRAM

_PROGRAMS = Path(POSTGRES_PROGRAM).parent
BRIDGE = "rabta-bridge"
# An old ratchet that is used again destroys keys: the restored bridge is a new device of the
# same identity. Whom it trusts it goes on trusting.
_KEPT_OF_CLIENT = {"matrix_identity"}


def names(site: Site) -> list[str]:
    """The databases of a site."""
    return [site.database.name, *([BRIDGE] if site.eoffice else [])]


def dump(site: Site, layout: Layout, name: str, file: Path) -> None:
    """One consistent state of a database, as of the moment the dump begins.

    Raises:
        BackupError: `database-not-dumped`.
    """
    left_out = (
        [
            f"--exclude-table={table}"
            for table in sorted(tables.metadata.tables)
            if table not in _KEPT_OF_CLIENT
        ]
        if name == BRIDGE
        else []
    )
    _run(
        site,
        layout,
        ["pg_dump", "--format=custom", "--no-owner", f"--file={file}", *left_out, name],
        name,
        reason="database-not-dumped",
    )


def load(site: Site, layout: Layout, name: str, file: Path) -> None:
    """Bring a dump back, whole or not at all.

    Raises:
        BackupError: `database-not-restored`.
    """
    _run(
        site,
        layout,
        [
            *("pg_restore", "--no-owner", "--single-transaction", "--exit-on-error"),
            *(f"--dbname={name}", str(file)),
        ],
        name,
        reason="database-not-restored",
    )


def _run(site: Site, layout: Layout, command: list[str], name: str, *, reason: str) -> None:
    asked = site.database
    bridge = name == BRIDGE
    if bridge:
        password = layout.secret("bridge-database-password").read_text(encoding="utf-8")
    elif asked.password_file is not None:
        password = asked.password_file.read_text(encoding="utf-8")
    else:
        # libpq's own form: host, port, database, user, password.
        password = layout.secret("database-password").read_text().rpartition(":")[2]
    environment = {
        "PGHOST": asked.host or "127.0.0.1",
        "PGPORT": str(asked.port if asked.host else ports(site)["postgres"]),
        "PGUSER": BRIDGE if bridge else asked.user,
        "PGPASSWORD": password.strip(),
        "LC_ALL": "C",
        **(
            {"PGSSLMODE": "verify-full", "PGSSLROOTCERT": str(asked.ca_file)}
            if asked.ca_file
            else {}
        ),
    }
    done = subprocess.run(  # noqa: S603 - PostgreSQL's own program with our arguments
        [str(_PROGRAMS / command[0]), *command[1:]],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()[-1:] or ["no word"]
        raise BackupError(
            reason,
            f"{command[0]} of {name} failed: {said[0]}",
            "see that the database runs (`rabta site status`), and try again",
        )
