"""The homeservers that are compared: one of each kind, made from one database, with one identity.

Rooms, members and tokens are the same in all, for all are copies of one homeserver that was
filled with the door loaded. A peer that is no Synapse has rooms with it too.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rabta_deploy.authority import NetworkAuthority
from rabta_deploy.bench.workloads import LocalSends, ReceivedEvents
from rabta_deploy.homeserver import DoorSettings, Homeserver
from rabta_deploy.jsonhttp import request
from rabta_deploy.ports import free_port
from rabta_deploy.process import until
from rabta_deploy.raw_homeserver import RawHomeserver, RawRoom
from rabta_deploy.switchboard import Switchboard
from rabta_policy import Address, Server, fill_servers, load_document

SERVER, PEER = "itt.gov.test", "fin.gov.test"
SIZES = (2, 300)
_LABEL = "org.rabta.room.class"
_CLASS = {"class": "unclassified"}
_MEGOLM = {"algorithm": "m.megolm.v1.aes-sha2"}
_PASSWORD = "bench"  # noqa: S105 - of accounts that live as long as the bench
_PEM = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"
_UPDATED_WITHIN_S = 180
_UNLIMITED = {"per_second": 100_000, "burst_count": 100_000}
_FREE: dict[str, Any] = {
    "bcrypt_rounds": 4,
    "rc_message": _UNLIMITED,
    "rc_joins": {"local": _UNLIMITED, "remote": _UNLIMITED},
    "rc_joins_per_room": _UNLIMITED,
    "rc_login": {"address": _UNLIMITED, "account": _UNLIMITED},
    "rc_invites": dict.fromkeys(("per_room", "per_user", "per_issuer"), _UNLIMITED),
    # A fresh database has a hundred of them before it; they are done before it is copied.
    "background_updates": {"sleep_enabled": False},
    "rc_federation": {"window_size": 1000, "sleep_limit": 100_000, "reject_limit": 100_000},
}


def now() -> datetime:
    """The real time: a bench runs today."""
    return datetime.now(UTC)  # noqa: TID251 - as above


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A kind of homeserver to measure.

    Attributes:
        name: What the table calls it.
        module: Python path of a module to load; None for plain Synapse.
        config: The module's settings.
        folder: Where the module is installed; None for the door, and where there is none.
    """

    name: str
    module: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    folder: Path | None = None

    def overrides(self) -> dict[str, Any]:
        """The settings that differ from our own homeservers'."""
        if self.module is None:
            modules = []
        else:
            modules = [{"module": self.module, "config": dict(self.config)}]
        # The door alone fills the whitelist itself, and wants it empty.
        return {"modules": modules, "federation_domain_whitelist": [SERVER, PEER], **_FREE}


class Yard:
    """One filled homeserver, and copies of it.

    Args:
        home: An empty directory.
        template: The policy that names both servers.
    """

    def __init__(self, home: Path, template: Path) -> None:
        self._home = home
        self.board = Switchboard()
        self.peer = RawHomeserver(PEER, lambda: int(now().timestamp() * 1000))
        self.board.peer(PEER, self.peer.answer)
        self._authority = NetworkAuthority(home / "policy")
        self._template = template
        self._filled = self._homeserver("filled", overrides=_FREE, door=self._door("filled"))
        self.local_sends: list[LocalSends] = []
        self.received_events: list[ReceivedEvents] = []
        self._token = ""

    def fill(self) -> None:
        """Make the homeserver, its people, its rooms and the peer's; then stop it."""
        self._publish()
        self._filled.start()
        self._filled.wait_ready()
        boss = self._filled.register("boss", _PASSWORD)
        self._token = self._filled.admin.log_in("boss", _PASSWORD)
        for size in SIZES:
            self.local_sends.append(LocalSends(size, self._local_room(size), self._token))
            room = self._peer_room(size, boss)
            self.received_events.append(ReceivedEvents(size, room, SERVER, self._token))
        until(self._updated, within_s=_UPDATED_WITHIN_S)
        self._filled.stop()

    def _updated(self) -> bool:
        """Whether Synapse has nothing left to do on its database."""
        url = f"{self._filled.client_url}/_synapse/admin/v1/background_updates/status"
        return not request("GET", url, token=self._filled.admin_token).body["current_updates"]

    def copy(self, subject: Subject) -> Homeserver:
        """A homeserver of that kind, not started: the filled one's directory, other settings."""
        door = self._door(subject.name) if subject == DOOR else None
        overrides = _FREE if subject == DOOR else subject.overrides()
        made = self._homeserver(subject.name, overrides=overrides, door=door, folder=subject.folder)
        shutil.copytree(self._filled.files.directory, made.files.directory)
        made.files.log.unlink()
        return made

    def close(self) -> None:
        """Stop what runs of its own."""
        if self._filled.child is not None:
            self._filled.stop()
        self.board.close()

    def _homeserver(
        self,
        name: str,
        *,
        overrides: Mapping[str, Any],
        door: DoorSettings | None,
        folder: Path | None = None,
    ) -> Homeserver:
        return Homeserver(
            SERVER,
            self._home / name,
            client_port=free_port(),
            federation_port=free_port(),
            gateway_out_port=self.board.port,
            python_path=folder,
            door=door,
            overrides=dict(overrides),
        )

    def _door(self, name: str) -> DoorSettings:
        return DoorSettings(
            policy_file=self._authority.files.policy,
            authority_file=self._authority.files.authority,
            audit_directory=self._home / f"audit-{name}",
        )

    def _publish(self) -> None:
        servers = {
            code: Server(
                name=name,
                address=Address(host="127.0.0.1", port=1),
                tls_ca=_PEM,
                verify_keys=keys,
            )
            for code, name, keys in (
                ("ITT", SERVER, dict([self._filled.verify_key])),
                ("FIN", PEER, self.peer.verify_keys),
            )
        }
        document = fill_servers(load_document(self._template.read_text()), servers)
        self._authority.publish(document, now=now())

    def _local_room(self, size: int) -> str:
        """An encrypted room of so many of our own people."""
        room_id = str(
            self._post(
                "/createRoom",
                {
                    "preset": "private_chat",
                    "initial_state": [{"type": _LABEL, "content": _CLASS}],
                },
            )["room_id"]
        )
        for number in range(size - 1):
            name = f"u{size}x{number}"
            member = self._filled.register(name, _PASSWORD)
            self._post(f"/rooms/{quote(room_id)}/invite", {"user_id": member})
            token = self._filled.admin.log_in(name, _PASSWORD)
            self._post(f"/join/{quote(room_id)}", {}, token)
        return room_id

    def _peer_room(self, size: int, guest: str) -> RawRoom:
        """An encrypted room of the peer, of so many of its people and one of ours."""
        state = (("m.room.encryption", _MEGOLM), (_LABEL, _CLASS))
        room = RawRoom(self.peer, "11", create={_LABEL: _CLASS}, state=state)
        for number in range(size - 2):
            room.come_in(self.peer.user(f"u{size}x{number}"))
        event_id, body = room.invite(guest)
        path = f"/_matrix/federation/v2/invite/{quote(room.room_id)}/{quote(event_id)}"
        port = self._filled.settings.federation_port
        invited = self.peer.request(port, SERVER, "PUT", path, body)
        if invited.status != 200:  # noqa: PLR2004 - HTTP's own number
            raise RuntimeError(f"an invite of the bench was refused: {invited.body}")
        self._post(f"/join/{quote(room.room_id)}", {})
        return room

    def _post(self, path: str, body: object, token: str | None = None) -> dict[str, Any]:
        url = f"{self._filled.client_url}/_matrix/client/v3{path}"
        answer = request("POST", url, json_body=body, token=token or self._token)
        if answer.status != 200:  # noqa: PLR2004 - HTTP's own number
            raise RuntimeError(f"{path} was refused: {answer.body}")
        return dict(answer.body)


DOOR = Subject("door", module="rabta_synapse.Door")
"""Ours; its settings come from the yard."""
PLAIN, AGAIN = Subject("plain"), Subject("plain-again")
"""Synapse without any module, twice: how far two of the same are apart is what can be told."""
