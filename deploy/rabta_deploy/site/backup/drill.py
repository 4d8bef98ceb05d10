"""Proves a backup: restores it beside the site, starts it, and sends a message there."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

from rabta_deploy.jsonhttp import request
from rabta_deploy.ports import free_port
from rabta_deploy.secretfile import password
from rabta_deploy.site.backup.archive import BackupError
from rabta_deploy.site.backup.restoring import restore
from rabta_deploy.site.description import Site
from rabta_deploy.site.layout import below
from rabta_deploy.site.running import Running, silent
from rabta_deploy.site.trial import free_span

_PERSON = "rabta-drill"


@dataclass(frozen=True, slots=True)
class Drilled:
    """What a drill showed.

    Attributes:
        at: When the backup was taken.
        users: Accounts in it.
        rooms: Rooms in it.
        event_id: The message that was sent on the restored site.
    """

    at: str
    users: int
    rooms: int
    event_id: str


def drill(
    site: Site,
    file: Path,
    identities: Sequence[str],
    report: Callable[[str], None] = silent,
) -> Drilled:
    """Restore into a directory that is thrown away, without federation, bridge, calls or push.

    Raises:
        BackupError: `drill-failed`, and those of `restore`.
        YardError: The restored site does not start.
    """
    with TemporaryDirectory(prefix="rabta-drill-") as name:
        home = Path(name)
        home.chmod(0o711)
        alone = _alone(site)
        layout = below(home / "site")
        manifest = restore(alone, layout, file, identities, report)
        running = Running(alone, layout, report=report)
        running.up()
        try:
            return _shown(running, str(manifest["at"]))
        finally:
            running.down()


def _alone(site: Site) -> Site:
    """The same site where nobody else sees it."""
    client = site.client.model_copy(update={"host": "127.0.0.1", "port": free_port()})
    return site.model_copy(
        update={
            "client": client,
            "federation": None,
            "calls": None,
            "push": None,
            "archive": None,
            "monitoring": None,
            "ports_from": free_span(),
        }
    )


def _shown(running: Running, at: str) -> Drilled:
    token = running.administrator_token
    secret = password()
    running.admin.register(_PERSON, secret)
    person = running.admin.log_in(_PERSON, secret)
    url = running.client_url
    made = request("POST", f"{url}/_matrix/client/v3/createRoom", json_body={}, token=person)
    room = quote(str(made.body.get("room_id")), safe="")
    sent = request(
        "PUT",
        f"{url}/_matrix/client/v3/rooms/{room}/send/m.room.encrypted/drill",
        json_body={"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "drill"},
        token=person,
    )
    if sent.status != HTTPStatus.OK:
        raise BackupError(
            "drill-failed",
            f"The restored site took no message ({sent.status}).",
            "read its log; do not trust this backup",
        )
    admin = f"{url}/_synapse/admin"
    users = request("GET", f"{admin}/v2/users?limit=1", token=token).body["total"]
    rooms = request("GET", f"{admin}/v1/rooms?limit=1", token=token).body["total_rooms"]
    return Drilled(at, int(users), int(rooms), str(sent.body["event_id"]))
