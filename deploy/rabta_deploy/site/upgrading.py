"""Puts a new version of a running site in force, one part after the other; people go on talking.

Synapse's main process comes before its workers: it alone changes the database's schema, which the
release before still reads (Synapse's "Database schema", `SCHEMA_COMPAT_VERSION`).
"""

import subprocess
from collections.abc import Callable

import psycopg

from rabta_deploy.fault import YardError
from rabta_deploy.process import until
from rabta_deploy.site.control import Control
from rabta_deploy.site.database import connect
from rabta_deploy.site.description import Site
from rabta_deploy.site.layout import Layout
from rabta_deploy.site.parts import in_order, workloads
from rabta_deploy.site.ready import ready
from rabta_deploy.site.rendering import config_files, write
from rabta_deploy.site.secrets_of_site import make_secrets
from rabta_deploy.site.workload import Workload

_WELL_WITHIN_S = 60
_SCHEMA = "from synapse.storage.schema import SCHEMA_VERSION\nprint(SCHEMA_VERSION)"


def upgrade(
    site: Site, layout: Layout, control: Control, report: Callable[[str], None]
) -> list[str]:
    """Render, then restart every part in the order of its start, each once the last one is well.

    It may be repeated: a part that was restarted already is restarted again.

    Returns:
        Names of the parts, in the order in which they were restarted.

    Raises:
        YardError: `schema-too-new` before anything is touched; `upgrade-stopped`, which tells what
            runs the new version, what the old one, and how to go back.
    """
    judge_schema(site, layout)
    parts = [part for group in in_order(workloads(site, layout)) for part in group]
    changed = write(config_files(tuple(parts)), layout.config)
    make_secrets(site, layout)
    control.renew(parts)
    report(f"rendered: {changed} files changed")
    done: list[Workload] = []
    for part in parts:
        report(f"restarting {part.name}")
        try:
            control.restart(part)
            _well(parts)
        except YardError as error:
            raise _stopped(part, done, parts, error) from error
        done.append(part)
    return [part.name for part in done]


def _well(parts: list[Workload]) -> None:
    """Wait until every part answers: those that lost the restarted one find it again."""

    def silent() -> list[str]:
        return [part.name for part in parts if not ready(part.probe.url)]

    if not until(lambda: not silent(), within_s=_WELL_WITHIN_S, every_s=0.2):
        names = ", ".join(silent())
        raise YardError("part-not-ready", f"{names} no longer answers.", "read its log")


def _stopped(
    at: Workload, done: list[Workload], parts: list[Workload], error: YardError
) -> YardError:
    after = [one.name for one in parts if one is not at and one not in done]
    return YardError(
        "upgrade-stopped",
        f"At {at.name}: {error.text} New: {', '.join(one.name for one in done) or 'none'}. "
        f"Still the old: {', '.join(after) or 'none'}.",
        f"{error.cure}; mend it and upgrade again, or install the release before and upgrade "
        "again: its parts come back in the same order",
    )


def judge_schema(site: Site, layout: Layout) -> None:
    """Refuse a Synapse that is older than the database allows.

    Raises:
        YardError: `schema-too-new`, `database-away`.
    """
    try:
        with connect(site, layout, timeout_s=10) as connection:
            row = connection.execute("SELECT compat_version FROM schema_compat_version").fetchone()
    except psycopg.OperationalError as error:
        raise YardError(
            "database-away", "The site's database does not answer.", "see that the site runs"
        ) from error
    code = subprocess.run(  # noqa: S603 - the site's own interpreter, our own words
        [layout.python, "-c", _SCHEMA], capture_output=True, text=True, check=True
    )
    version = int(code.stdout)
    if row is not None and row[0] > version:
        raise YardError(
            "schema-too-new",
            f"The database wants a Synapse of schema {row[0]} or later; this one has {version}.",
            "install the later release, or restore the backup from before it",
        )
