"""The TURN secret: coturn takes what either signs, until the old credentials have ended.

coturn asks its database at every sign-in and tries each secret of the realm, so it never stops
(its `turnserver.conf`: "static-auth-secret", `turn_secret`). Not tried against a running one yet.
"""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

from rabta_deploy.fault import YardError
from rabta_deploy.secretfile import keep_secret, random_text, replace_secret
from rabta_deploy.site.description import Site
from rabta_deploy.site.homeserver_part import TURN_CREDENTIALS_LIVE
from rabta_deploy.site.layout import Layout
from rabta_deploy.site.parts import workloads
from rabta_deploy.site.rotation import AtWork
from rabta_deploy.site.secrets_of_site import add_turn_secret

_SLACK = timedelta(minutes=10)
"""The processes sign with the new secret some minutes after it was written."""


def rotate(site: Site, at: AtWork, *, dry: bool = False) -> list[str]:
    """Teach coturn a new secret, then let the homeserver's processes sign with it, one by one.

    Returns:
        What was done and what comes next.

    Raises:
        YardError: `no-such-part`, `overlap-open`, `part-not-ready`.
    """
    _wanted(site)
    layout = at.layout
    coming, current = layout.secret("turn.next"), layout.secret("turn")
    homeserver = [part for part in workloads(site, layout) if part.door]
    if not coming.exists() and len(_known(layout)) > 1:
        raise YardError(
            "overlap-open",
            "The last rotation is not finished.",
            "rabta site rotate turn --finish",
        )
    if dry:
        names = ", ".join(part.name for part in homeserver)
        return [f"Would make a secret, tell coturn, and restart one by one: {names}."]
    # Repeatable: `turn.next` stays until every process signs with it.
    secret = keep_secret(coming, random_text)
    add_turn_secret(site, layout, secret)
    if current.read_text(encoding="utf-8") != secret:
        replace_secret(current, secret)
    for part in homeserver:
        at.report(f"restarting {part.name}")
        at.control.restart(part)
    coming.unlink()
    hours = TURN_CREDENTIALS_LIVE / timedelta(hours=1)
    return [
        "The homeserver gives credentials by the new secret; coturn takes those of both.",
        f"Then, when the last old ones have ended in {hours:g} h: rabta site rotate turn --finish.",
    ]


def finish(site: Site, layout: Layout, now: datetime, *, dry: bool = False) -> list[str]:
    """Make coturn forget every secret but the one in force.

    Raises:
        YardError: `no-such-part`, `rotation-interrupted`, `overlap-too-short`.
    """
    _wanted(site)
    current = layout.secret("turn")
    if layout.secret("turn.next").exists():
        raise YardError(
            "rotation-interrupted", "The rotation did not come to its end.", "run it again first"
        )
    secret = current.read_text(encoding="utf-8")
    old = _known(layout) - {secret}
    if not old:
        return ["coturn knows one secret: there is nothing to finish."]
    since = datetime.fromtimestamp(current.stat().st_mtime, UTC)
    if now - since < TURN_CREDENTIALS_LIVE + _SLACK:
        raise YardError(
            "overlap-too-short",
            "Credentials by the old secret are still in use.",
            f"wait until {since + TURN_CREDENTIALS_LIVE + _SLACK:%F %H:%M} UTC",
        )
    if dry:
        return [f"Would make coturn forget {len(old)} old secrets."]
    with closing(sqlite3.connect(layout.secret("turn.db"))) as database, database:
        database.execute("DELETE FROM turn_secret WHERE value != ?", (secret,))
    return ["coturn knows the new secret alone."]


def _known(layout: Layout) -> set[str]:
    with closing(sqlite3.connect(layout.secret("turn.db"))) as database:
        return {value for (value,) in database.execute("SELECT value FROM turn_secret")}


def _wanted(site: Site) -> None:
    if site.calls is None:
        raise YardError("no-such-part", "The site has no calls.", "nothing is to be rotated")
