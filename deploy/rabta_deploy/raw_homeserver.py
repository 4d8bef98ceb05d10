"""A homeserver that is no Synapse: its own name and signing key, and federation by hand.

It speaks to a Synapse's plain federation listener directly and is spoken to through the
switchboard. Events are built and signed with Synapse's own library, so that what is refused is
refused for what it says and not for how it is written. The bench is answered by it as by any
peer; the tests make a hostile one of it.
"""

import json
from collections.abc import Callable, Mapping
from http.client import HTTPConnection
from typing import Any, NamedTuple
from urllib.parse import quote

from signedjson.key import encode_verify_key_base64, generate_signing_key, get_verify_key
from signedjson.sign import sign_json
from synapse.api.room_versions import KNOWN_ROOM_VERSIONS, RoomVersion
from synapse.crypto.event_signing import add_hashes_and_signatures, compute_event_signature
from synapse.events import make_event_from_dict

from rabta_deploy.switchboard import Delivery

Json = dict[str, Any]


class Answer(NamedTuple):
    """What a homeserver answered."""

    status: int
    body: Json

    @property
    def reason(self) -> str:
        """The door's reason code, "" without one."""
        return str(self.body.get("org.rabta.reason", ""))


class RawHomeserver:
    """A homeserver that says what it is told to say.

    Args:
        server_name: Its Matrix name.
        now_ms: The time in milliseconds, for `origin_server_ts`.
    """

    def __init__(self, server_name: str, now_ms: Callable[[], int]) -> None:
        self.server_name = server_name
        self.key = generate_signing_key("raw")
        self.received: list[Delivery] = []
        self.rooms: dict[str, RawRoom] = {}
        self.now_ms = now_ms

    @property
    def verify_keys(self) -> dict[str, str]:
        """Its public keys as the policy pins them."""
        return {f"ed25519:{self.key.version}": encode_verify_key_base64(get_verify_key(self.key))}

    def user(self, localpart: str) -> str:
        """A user id of this server."""
        return f"@{localpart}:{self.server_name}"

    def request(
        self, port: int, destination: str, method: str, path: str, content: Json | None = None
    ) -> Answer:
        """Send a signed federation request to a Synapse's plain federation listener."""
        envelope: Json = {
            "method": method,
            "uri": path,
            "origin": self.server_name,
            "destination": destination,
        }
        if content is not None:
            envelope["content"] = content
        signed = sign_json(envelope, self.server_name, self.key)
        ((key_id, signature),) = signed["signatures"][self.server_name].items()
        headers = {
            "Authorization": f'X-Matrix origin="{self.server_name}",key="{key_id}",'
            f'sig="{signature}",destination="{destination}"',
            "Content-Type": "application/json",
        }
        connection = HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            body = None if content is None else json.dumps(content)
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            raw = response.read()
            return Answer(response.status, json.loads(raw) if raw.startswith(b"{") else {})
        finally:
            connection.close()

    def sign_event(self, event: Json, version: RoomVersion) -> Json:
        """Hash and sign an event as this server, whatever it says."""
        event.pop("hashes", None)
        event.pop("signatures", None)
        add_hashes_and_signatures(version, event, self.server_name, self.key)
        return event

    def make_join(self, port: int, destination: str, room_id: str, user_id: str) -> Answer:
        """Ask a Synapse for the template of a join, in every version we know."""
        versions = "&".join(f"ver={version}" for version in ("11", "12"))
        path = f"/_matrix/federation/v1/make_join/{_q(room_id)}/{_q(user_id)}?{versions}"
        return self.request(port, destination, "GET", path)

    def send_join(self, port: int, destination: str, room_id: str, made: Answer) -> Answer:
        """Sign the template of a join and offer it."""
        version = KNOWN_ROOM_VERSIONS[made.body["room_version"]]
        event = self.sign_event({**made.body["event"], "origin_server_ts": self.now_ms()}, version)
        path = f"/_matrix/federation/v2/send_join/{_q(room_id)}/{_q(event_id_of(event, version))}"
        return self.request(port, destination, "PUT", path, event)

    def answer(self, delivery: Delivery) -> tuple[int, Any]:
        """Answer what a homeserver asks of us: keys, and the rooms we made up."""
        self.received.append(delivery)
        path = delivery.path
        if path.startswith("/_matrix/key/v2/server"):
            return 200, self._keys()
        if path.startswith("/_matrix/federation/v1/send/"):
            return 200, {"pdus": {}}
        if "/v2/invite/" in path and delivery.body:
            version = KNOWN_ROOM_VERSIONS[delivery.body["room_version"]]
            event = delivery.body["event"]
            signature = compute_event_signature(
                version, {**event, "signatures": {}}, self.server_name, self.key
            )
            return 200, {"event": {**event, "signatures": event["signatures"] | signature}}
        for room in self.rooms.values():
            if quote(room.room_id, safe="") in path or room.room_id in path:
                return room.answer(delivery)
        return 200, {}

    def _keys(self) -> Json:
        document = {
            "server_name": self.server_name,
            "valid_until_ts": self.now_ms() + 86_400_000,
            "verify_keys": {key: {"key": value} for key, value in self.verify_keys.items()},
            "old_verify_keys": {},
        }
        return sign_json(document, self.server_name, self.key)


class RawRoom:
    """A room such a server made by itself, and serves to whoever asks.

    Args:
        server: Its maker.
        version: Room version identifier.
        create: Content added to the create event.
        state: Further state events: (type, content).
    """

    def __init__(
        self,
        server: RawHomeserver,
        version: str,
        *,
        create: Mapping[str, Any] | None = None,
        state: tuple[tuple[str, Json], ...] = (),
        join_rule: str = "public",
    ) -> None:
        self.server = server
        self.version = KNOWN_ROOM_VERSIONS[version]
        self.creator = server.user("owner")
        self.events: list[Json] = []
        self.ids: list[str] = []
        self.by_type: dict[tuple[str, str], str] = {}
        self.room_id = ""
        first = self._add("m.room.create", "", {"room_version": version, **(create or {})})
        if self.version.msc4291_room_ids_as_hashes:
            self.room_id = "!" + first[1:]
        self.come_in(self.creator)
        powers = {} if self.version.msc4289_creator_power_enabled else {self.creator: 100}
        self._add("m.room.power_levels", "", {"users": powers})
        self._add("m.room.join_rules", "", {"join_rule": join_rule})
        for event_type, content in state:
            self._add(event_type, "", content)
        server.rooms[self.room_id] = self

    def come_in(self, user_id: str) -> None:
        """Let a user of this server join."""
        self._add("m.room.member", user_id, {"membership": "join"}, user_id)

    def say(self, event_type: str, content: Json) -> Json:
        """The creator's next message: a signed event for `/send`."""
        event = self._template(event_type, None, content, self.creator)
        self._sign(event)
        return event

    def invite(self, user_id: str, stripped: list[Json] | None = None) -> tuple[str, Json]:
        """Invite someone.

        Returns:
            The event id, and the body of the v2 invite request.
        """
        event_id = self._add("m.room.member", user_id, {"membership": "invite"})
        return event_id, {
            "event": self.events[-1],
            "room_version": self.version.identifier,
            "invite_room_state": self.stripped() if stripped is None else stripped,
        }

    def stripped(self) -> list[Json]:
        """The honest stripped state: the create event and the label, whole events."""
        shown = ("m.room.create", "org.rabta.room.class", "m.room.join_rules")
        return [event for event in self.events if event["type"] in shown]

    def answer(self, delivery: Delivery) -> tuple[int, Any]:
        """Serve the join dance, and nothing else of this room."""
        if "/make_join/" in delivery.path:
            user_id = delivery.path.partition("?")[0].rpartition("/")[2].replace("%40", "@")
            user_id = user_id.replace("%3A", ":")
            template = self._template("m.room.member", user_id, {"membership": "join"}, user_id)
            return 200, {"room_version": self.version.identifier, "event": template}
        if "/send_join/" in delivery.path and delivery.body:
            self.ids.append(event_id_of(delivery.body, self.version))
            return 200, {
                "state": self.events,
                "auth_chain": self.events,
                "event": delivery.body,
                "origin": self.server.server_name,
                "members_omitted": False,
            }
        return 404, {"errcode": "M_NOT_FOUND", "error": "gone"}

    def _add(
        self, event_type: str, state_key: str, content: Json, sender: str | None = None
    ) -> str:
        event = self._template(event_type, state_key, content, sender or self.creator)
        event_id = self._sign(event)
        self.events.append(event)
        self.by_type[(event_type, state_key)] = event_id
        return event_id

    def _sign(self, event: Json) -> str:
        self.server.sign_event(event, self.version)
        event_id = event_id_of(event, self.version)
        self.ids.append(event_id)
        return event_id

    def _template(self, event_type: str, state_key: str | None, content: Json, sender: str) -> Json:
        if not self.room_id and not self.version.msc4291_room_ids_as_hashes:
            self.room_id = f"!{self.server.now_ms()}x:{self.server.server_name}"
        auth = ["m.room.create", "m.room.power_levels"]
        if event_type == "m.room.member":
            auth.append("m.room.join_rules")
        if self.version.msc4291_room_ids_as_hashes:
            auth.remove("m.room.create")
        keys = [(kind, "") for kind in auth]
        keys += [("m.room.member", who) for who in dict.fromkeys((sender, state_key or sender))]
        auth_ids = dict.fromkeys(self.by_type[key] for key in keys if key in self.by_type)
        event: Json = {
            "type": event_type,
            "sender": sender,
            "content": content,
            "room_id": self.room_id,
            "origin_server_ts": self.server.now_ms(),
            "depth": len(self.ids) + 1,
            "prev_events": self.ids[-1:],
            "auth_events": [] if event_type == "m.room.create" else list(auth_ids),
        }
        if state_key is not None:
            event["state_key"] = state_key
        if event_type == "m.room.create" and self.version.msc4291_room_ids_as_hashes:
            del event["room_id"]
        return event


def _q(text: str) -> str:
    return quote(text, safe="")


def event_id_of(event: Json, version: RoomVersion) -> str:
    """The event id: the reference hash in URL-safe unpadded base64."""
    return make_event_from_dict(event, version).event_id
