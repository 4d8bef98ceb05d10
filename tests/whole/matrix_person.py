"""Someone signed in to a homeserver, asking as any client asks."""

import itertools
from typing import Any
from urllib.parse import quote

from rabta_deploy.homeserver import Homeserver
from rabta_deploy.jsonhttp import Answer, request
from rabta_deploy.process import until
from rabta_deploy.site.running import Running

PASSWORD = "a password of these tests"


class Person:
    """Someone signed in, asking as any client asks; what encryption would carry stays a marker."""

    _numbers = itertools.count(1)

    def __init__(
        self, homeserver: Homeserver | Running, localpart: str, *, client_url: str | None = None
    ) -> None:
        self.client_url = client_url or homeserver.client_url
        self.user_id = homeserver.register(localpart, PASSWORD)
        homeserver.lift_rate_limits(self.user_id)
        self._token = homeserver.admin.log_in(localpart, PASSWORD)
        self._synced = ""
        self._invites: set[str] = set()

    def ask(self, method: str, path: str, body: object = None) -> Answer:
        url = f"{self.client_url}/_matrix/client/v3/{path}"
        return request(method, url, json_body=body, token=self._token)

    def create_room(self, **config: Any) -> str:
        made = self.ask("POST", "createRoom", {"preset": "private_chat", **config})
        assert made.status == 200, made.body
        return str(made.body["room_id"])

    def invite(self, room: str, user_id: str) -> Answer:
        return self.ask("POST", f"rooms/{quote(room)}/invite", {"user_id": user_id})

    def join(self, room: str, via: str = "") -> Answer:
        query = f"?server_name={via}&via={via}" if via else ""
        return self.ask("POST", f"join/{quote(room)}{query}", {})

    def leave(self, room: str) -> Answer:
        return self.ask("POST", f"rooms/{quote(room)}/leave", {})

    def comes(self, room: str, by: "Person") -> None:
        """Be invited and come in."""
        assert until(lambda: by.invite(room, self.user_id).status == 200, within_s=20)
        assert until(lambda: self.join(room).status == 200, within_s=20)

    def say(self, room: str, marker: str) -> str:
        """Send an event as an encrypting client would; the marker stands for its ciphertext."""
        body = {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": marker, "session_id": "s"}
        path = f"rooms/{quote(room)}/send/m.room.encrypted/{next(self._numbers)}"
        answer = self.ask("PUT", path, body)
        assert answer.status == 200, answer.body
        return str(answer.body["event_id"])

    def say_refused(self, room: str) -> bool:
        """Whether this person may no longer write there."""
        body = {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "refused", "session_id": "s"}
        path = f"rooms/{quote(room)}/send/m.room.encrypted/{next(self._numbers)}"
        return self.ask("PUT", path, body).status >= 400

    def heard(self, room: str) -> list[str]:
        """The markers in a room, oldest first."""
        answer = self.ask("GET", f"rooms/{quote(room)}/messages?dir=b&limit=200")
        events = answer.body["chunk"] if answer.status == 200 else []
        said = [event["content"].get("ciphertext") for event in reversed(events)]
        return [marker for marker in said if marker]

    def hears(self, room: str, marker: str) -> bool:
        return until(lambda: marker in self.heard(room), within_s=20)

    def members(self, room: str) -> dict[str, str]:
        """User id -> membership, as this person's homeserver has it."""
        answer = self.ask("GET", f"rooms/{quote(room)}/members")
        events = answer.body["chunk"] if answer.status == 200 else []
        return {event["state_key"]: event["content"]["membership"] for event in events}

    def rooms(self) -> list[str]:
        return list(self.ask("GET", "joined_rooms").body["joined_rooms"])

    def invited_to(self, room: str) -> bool:
        since = f"&since={self._synced}" if self._synced else ""
        news = self.ask("GET", f"sync?timeout=0{since}").body
        self._synced = news["next_batch"]
        self._invites |= set(news.get("rooms", {}).get("invite", {}))
        return room in self._invites
