"""Homeservers, hostile servers, the policy between them, and people who use the client API."""

import json
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from hostile import Answer, Hostile, HostileRoom
from network_policy import Seal, document

from rabta_audit import chains, read_lines
from rabta_deploy.homeserver import Homeserver
from rabta_deploy.jsonhttp import request
from rabta_deploy.switchboard import Switchboard


class Person:
    """Someone signed in to a homeserver, asking as any client asks."""

    def __init__(self, homeserver: Homeserver, user_id: str, token: str) -> None:
        self.homeserver = homeserver
        self.user_id = user_id
        self.token = token
        self._syncs = 0

    def call(self, method: str, path: str, body: object = None) -> Answer:
        """Call the client API: `/_matrix/client/v3` and the path."""
        url = f"{self.homeserver.client_url}/_matrix/client/v3{path}"
        answer = request(method, url, json_body=body, token=self.token)
        return Answer(answer.status, answer.body)

    def create_room(self, **config: Any) -> Answer:
        """Create a room."""
        return self.call("POST", "/createRoom", config)

    def room(self, **config: Any) -> str:
        """Create a room that must come about; its id."""
        answer = self.create_room(**config)
        assert answer.status == 200, answer
        return str(answer.body["room_id"])

    def invite(self, room_id: str, user_id: str) -> Answer:
        """Invite someone."""
        return self.call("POST", f"/rooms/{quote(room_id)}/invite", {"user_id": user_id})

    def join(self, room_id: str, via: str = "") -> Answer:
        """Join a room, through a server when it is elsewhere."""
        query = f"?server_name={via}&via={via}" if via else ""
        return self.call("POST", f"/join/{quote(room_id)}{query}", {})

    def send(self, room_id: str, event_type: str, content: Mapping[str, Any]) -> Answer:
        """Send an event that is no state."""
        path = f"/rooms/{quote(room_id)}/send/{quote(event_type)}/{uuid.uuid4().hex}"
        return self.call("PUT", path, content)

    def set_state(
        self, room_id: str, event_type: str, content: Mapping[str, Any], state_key: str = ""
    ) -> Answer:
        """Send a state event."""
        path = f"/rooms/{quote(room_id)}/state/{quote(event_type)}/{quote(state_key)}"
        return self.call("PUT", path, content)

    def state(self, room_id: str, event_type: str, state_key: str = "") -> dict[str, Any] | None:
        """The content of a state event, None when there is none."""
        path = f"/rooms/{quote(room_id)}/state/{quote(event_type)}/{quote(state_key)}"
        answer = self.call("GET", path)
        return answer.body if answer.status == 200 else None

    def members(self, room_id: str) -> dict[str, str]:
        """Memberships by user id."""
        answer = self.call("GET", f"/rooms/{quote(room_id)}/members")
        return {
            event["state_key"]: event["content"]["membership"]
            for event in answer.body.get("chunk", [])
        }

    def sync(self) -> dict[str, Any]:
        """Everything the person sees now; Synapse caches an initial sync by its timeout."""
        self._syncs += 1
        return self.call("GET", f"/sync?timeout={self._syncs}").body

    def messages(self, room_id: str) -> list[dict[str, Any]]:
        """The last events of a room, newest first."""
        answer = self.call("GET", f"/rooms/{quote(room_id)}/messages?dir=b&limit=100")
        return list(answer.body.get("chunk", []))


class Network:
    """What a test module works with.

    Attributes:
        homeservers: Real ones by organisation code.
        hostiles: Hostile ones by organisation code.
        seal: Signs and installs policies.
        audit: Folder of the journals, one below for each organisation.
        board: Carries federation between them.
        serial: The serial issued last.
    """

    def __init__(
        self,
        *,
        homeservers: dict[str, Homeserver],
        hostiles: dict[str, Hostile],
        servers: dict[str, dict[str, Any]],
        seal: Seal,
        board: Switchboard,
        audit: Path,
        now: Callable[[], datetime],
    ) -> None:
        self.homeservers = homeservers
        self.hostiles = hostiles
        self.seal = seal
        self.board = board
        self.audit = audit
        self.serial = 0
        self._servers = servers
        self._now = now
        self._people: dict[str, Person] = {}

    def start(self) -> None:
        """Start every real homeserver and wait for all."""
        for homeserver in self.homeservers.values():
            homeserver.start()
        for homeserver in self.homeservers.values():
            homeserver.wait_ready()

    def issue(self, serial: int | None = None, **options: Any) -> int:
        """Issue a policy, by default with the next serial; options as in `document`."""
        number = self.serial + 1 if serial is None else serial
        self.seal.issue(document(self._servers, serial=number, now=self._now(), **options))
        self.serial = max(self.serial, number)
        return number

    def in_force(self, serial: int | None = None) -> bool:
        """Whether every process of every homeserver says this serial (the last) is in force."""
        said = f"Policy with serial {serial or self.serial} is in force"
        return all(self.log_says(said, code) for code in self.homeservers)

    def log_says(self, words: str, code: str = "ITT") -> bool:
        """Whether the log of every process of a homeserver contains these words."""
        logs = self.homeservers[code].logs.values()
        return all(words in log.read_text() for log in logs)

    def audited(self, code: str = "ITT") -> list[dict[str, Any]]:
        """Every audit line of a homeserver, of all its processes by time."""
        found = [
            json.loads(line)
            for files in chains(self.audit / code).values()
            for line in read_lines(files)
        ]
        return sorted(found, key=lambda line: str(line["time"]))

    def metric(self, name: str) -> float:
        """A value of ITT's, added up over its processes."""
        told = 0.0
        for address in self.homeservers["ITT"].metrics_urls.values():
            url = urlsplit(address)
            connection = HTTPConnection(url.netloc, timeout=10)
            try:
                connection.request("GET", url.path)
                page = connection.getresponse().read().decode()
            finally:
                connection.close()
            values = re.findall(rf"^{re.escape(name)} (\S+)$", page, re.MULTILINE)
            told += sum(map(float, values))
        return told

    def person(self, name: str, code: str = "ITT", *, admin: bool = False) -> Person:
        """An account, signed in; the same for the same name."""
        key = f"{name}:{code}"
        if key not in self._people:
            homeserver = self.homeservers[code]
            user_id = homeserver.register(name, "pass-" + name, admin=admin)
            token = homeserver.admin.log_in(name, "pass-" + name)
            homeserver.lift_rate_limits(user_id)
            self._people[key] = Person(homeserver, user_id, token)
        return self._people[key]

    def federation(
        self, origin: str, path: str, content: dict[str, Any] | None = None, method: str = "GET"
    ) -> Answer:
        """A signed request of a hostile server to ITT."""
        itt = self.homeservers["ITT"]
        port = itt.settings.federation_port
        return self.hostiles[origin].request(port, itt.server_name, method, path, content)

    def make_join(self, origin: str, room_id: str, name: str = "spy") -> Answer:
        """A hostile server asks ITT for the template of a join of its own user."""
        itt, peer = self.homeservers["ITT"], self.hostiles[origin]
        port = itt.settings.federation_port
        return peer.make_join(port, itt.server_name, room_id, peer.user(name))

    def send_join(self, origin: str, room_id: str, made: Answer) -> Answer:
        """A hostile server signs that template and offers it."""
        itt = self.homeservers["ITT"]
        port = itt.settings.federation_port
        return self.hostiles[origin].send_join(port, itt.server_name, room_id, made)

    def offer_invite(self, room: HostileRoom, user_id: str, stripped: Any = None) -> Answer:
        """A hostile server invites a user of ITT, with the stripped state it likes."""
        event_id, body = room.invite(user_id, stripped)
        path = f"/_matrix/federation/v2/invite/{quote(room.room_id)}/{quote(event_id)}"
        code = room.server.server_name.partition(".")[0].upper()
        return self.federation(code, path, body, "PUT")
