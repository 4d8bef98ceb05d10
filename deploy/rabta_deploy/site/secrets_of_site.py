"""The secrets of a site: made once, one file of mode 0600 each; what is derived follows."""

import base64
import hashlib
import secrets
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

from rabta_deploy.homeserver import new_signing_key
from rabta_deploy.secretfile import keep_secret, password, random_text, write_secret
from rabta_deploy.site import staff_part
from rabta_deploy.site.description import Site
from rabta_deploy.site.layout import Layout
from rabta_deploy.site.parts import workloads
from rabta_deploy.synapse_config import pgpass

_KEY_BYTES = 32
NEXT_KEY = "signing.key.next"
"""The signing key that is to be rotated to: nothing signs with it yet."""


def _key() -> str:
    return base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()


_MADE: dict[str, Callable[[], str]] = {
    "registration": random_text,
    "macaroon": random_text,
    "form": random_text,
    "replication": random_text,
    "redis": random_text,
    "turn": random_text,
    "signing.key": new_signing_key,
    "bridge-account-password": password,
    "bridge-store-key": _key,
    "grafana-password": password,
    "records-account-password": password,
    "records-signing.key": new_signing_key,
    "archive-account-password": password,
    "archive-store-key": _key,
    "staff-account-password": password,
    "staff-import-token": random_text,
}


def make_secrets(site: Site, layout: Layout) -> list[Path]:
    """Make what the site needs and has not; those of the databases come with them.

    Returns:
        The files that were made now.
    """
    layout.secrets.mkdir(parents=True, exist_ok=True, mode=0o700)
    layout.secrets.chmod(0o700)
    wanted = wanted_secrets(site, layout)
    if "turn.db" in wanted:
        wanted.add("turn")
    fresh = [layout.secret(name) for name in sorted(wanted) if not layout.secret(name).exists()]
    made = _MADE | {name: random_text for name in wanted if name.startswith(staff_part.TOKEN)}
    for name in sorted(wanted & made.keys()):
        keep_secret(layout.secret(name), made[name])
    if "redis.acl" in wanted:
        _redis_users(layout)
    if "turn.db" in wanted:
        _turn_database(site, layout)
    if site.database.password_file is not None:
        _database_password(layout, site.database.password_file.read_text(encoding="utf-8").strip())
    return [file for file in fresh if file.exists()]


def wanted_secrets(site: Site, layout: Layout) -> set[str]:
    """Names of all secrets that a part of the site reads."""
    return {name for part in workloads(site, layout) for name in part.secrets}


def keep_database_passwords(layout: Layout, urls: Iterable[tuple[str, str]]) -> None:
    """Write what the managed cluster's roles log in with.

    Args:
        layout: The site's directories.
        urls: Pairs of a role and its URL with the password.
    """
    for role, url in urls:
        line = pgpass(url)
        if role == "synapse" and line is not None:
            _write(layout.secret("database-password"), line)
        elif line is not None:
            _write(layout.secret("bridge-database-password"), line.strip().removeprefix("*:*:*:*:"))


def _database_password(layout: Layout, given: str) -> None:
    line = pgpass(f"postgresql://x:{given}@x/x")
    if line is not None:
        _write(layout.secret("database-password"), line)


def _redis_users(layout: Layout) -> None:
    digest = hashlib.sha256(layout.secret("redis").read_bytes()).hexdigest()
    _write(layout.secret("redis.acl"), f"user default on #{digest} ~* &* +@all\n")


def _turn_database(site: Site, layout: Layout) -> None:
    if not layout.secret("turn.db").exists():
        write_secret(layout.secret("turn.db"), "")
    add_turn_secret(site, layout, layout.secret("turn").read_text(encoding="utf-8"))


def add_turn_secret(site: Site, layout: Layout, secret: str) -> None:
    """Have coturn take what `secret` signs, too: its user database, in its own schema."""
    with closing(sqlite3.connect(layout.secret("turn.db"))) as database, database:
        database.execute(
            "CREATE TABLE IF NOT EXISTS turn_secret"
            " (realm varchar(127), value varchar(256), PRIMARY KEY (realm, value))"
        )
        wanted = (site.server_name, secret)
        # During a rotation there are two.
        if wanted not in database.execute("SELECT realm, value FROM turn_secret").fetchall():
            database.execute("INSERT INTO turn_secret VALUES (?, ?)", wanted)


def _write(file: Path, text: str) -> None:
    if not file.exists() or file.read_text(encoding="utf-8") != text:
        write_secret(file, text)
