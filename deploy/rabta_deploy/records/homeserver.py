"""The admin API of a homeserver as the records office needs it; it reads no message.

Everything in a room but state is ciphertext here. https://element-hq.github.io/synapse: "Purge
History API", "Room Details API", "Delete local media by date or size", "Purge Remote Media API".
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from rabta_deploy.fault import YardError
from rabta_deploy.jsonhttp import Answer, request
from rabta_deploy.process import until
from rabta_deploy.records.deciding import RecordRoom
from rabta_policy import server_of
from rabta_policy.record import category_in

_PAGE = 500
_PURGE_WITHIN_S = 3600
_LOOK_EVERY_S = 0.2
_CREATE = ("m.room.create", "")


class HomeserverError(YardError):
    """The homeserver did not do what the records office asked."""


@dataclass(frozen=True, slots=True)
class _StateEvent:
    """A state event of the admin API, as the policy reads one."""

    sender: str
    content: dict[str, Any]


class RecordsHomeserver:
    """Admin requests of the records office.

    Args:
        client_url: `http://127.0.0.1:port`.
        token: Access token of an administrator.
    """

    def __init__(self, client_url: str, token: str) -> None:
        self._url = client_url
        self._token = token

    def rooms(self) -> Iterator[str]:
        """The ids of all rooms that the homeserver holds anything of."""
        start: int | None = 0
        while start is not None:
            path = f"/_synapse/admin/v1/rooms?from={start}&limit={_PAGE}&order_by=name"
            page = self._call("GET", path)
            yield from (str(room["room_id"]) for room in page["rooms"])
            start = page.get("next_batch")

    def room(self, room_id: str) -> RecordRoom:
        """A room's category and people, by its state."""
        told = self._call("GET", f"/_synapse/admin/v1/rooms/{_quoted(room_id)}/state")["state"]
        state = {
            (event["type"], event["state_key"]): _StateEvent(event["sender"], event["content"])
            for event in told
        }
        return RecordRoom(
            room_id=room_id,
            category=category_in(state),
            people=frozenset(key for kind, key in state if kind == "m.room.member"),
            home=server_of(state[_CREATE].sender) if _CREATE in state else None,
        )

    def has_something_before(self, room_id: str, before: datetime, now: datetime) -> bool:
        """Whether a purge would destroy anything.

        It destroys what is no state, up to the last event from before the time: so there must be
        such an event, and another behind it. A date that an event claims and that has not come
        yet says nothing about it.
        """
        found = False
        for event in self.events(room_id):
            if _ms(before) <= int(event["origin_server_ts"]) <= _ms(now):
                return False
            if found:
                return True
            found = "state_key" not in event
        return False

    def events(self, room_id: str) -> Iterator[dict[str, Any]]:
        """Every event of a room, oldest first, as its server signed it, with its `event_id`.

        What people wrote is ciphertext.
        """
        path = f"/_synapse/admin/v1/rooms/{_quoted(room_id)}/messages?dir=f&limit={_PAGE}"
        path += f"&filter={quote(json.dumps({'event_format': 'federation'}))}"
        start = ""
        while True:
            page = self._call("GET", f"{path}{start}")
            yield from page["chunk"]
            if not page.get("end") or not page["chunk"]:
                return
            start = f"&from={quote(page['end'])}"

    def purge(self, room_id: str, before: datetime) -> None:
        """Destroy what came in before a time, and wait until it is done. State stays.

        Synapse keeps the newest event of a room whatever its age: later ones refer to it.

        Raises:
            HomeserverError: `purge-failed`.
        """
        path = f"/_synapse/admin/v1/purge_history/{_quoted(room_id)}"
        body = {"delete_local_events": True, "purge_up_to_ts": _ms(before)}
        answer = self._ask("POST", path, body)
        if answer.status == HTTPStatus.NOT_FOUND:
            return  # nothing came in before
        begun = _expect(answer)["purge_id"]
        status: dict[str, Any] = {}

        def ended() -> bool:
            path = f"/_synapse/admin/v1/purge_history_status/{begun}"
            status.update(self._call("GET", path))
            return bool(status["status"] != "active")

        done = until(ended, within_s=_PURGE_WITHIN_S, every_s=_LOOK_EVERY_S)
        if not done or status["status"] != "complete":
            told = status.get("error", f"not done in {_PURGE_WITHIN_S} s")
            raise HomeserverError(
                "purge-failed", f"{room_id}: {told}", "read the homeserver's log; it is tried again"
            )

    def purge_media(self, before: datetime) -> int:
        """Destroy media of our own people that nobody used since a time; gives how many."""
        path = f"/_synapse/admin/v1/media/delete?before_ts={_ms(before)}"
        return int(self._call("POST", path)["total"])

    def purge_copies(self, before: datetime) -> int:
        """Destroy copies of other servers' media that nobody used since a time; gives how many."""
        path = f"/_synapse/admin/v1/purge_media_cache?before_ts={_ms(before)}"
        return int(self._call("POST", path)["deleted"])

    def set_category(self, room_id: str, category: str, order: str) -> str | None:
        """Give a room a record category, in the name of somebody with full power there.

        Returns:
            The category before, or None.

        Raises:
            HomeserverError: With the door's reason.
        """
        body = {"room": room_id, "category": category, "order": order}
        before = self._call("POST", "/_synapse/client/rabta/room_record", body)["before"]
        return None if before is None else str(before)

    def invite_archiver(self, room_id: str, order: str) -> str:
        """Have the archiver invited, in the name of somebody with full power in the room.

        Returns:
            Its user id.

        Raises:
            HomeserverError: With the door's reason.
        """
        body = {"room": room_id, "archiver": True, "order": order}
        return str(self._call("POST", "/_synapse/client/rabta/room_record", body)["archiver"])

    def log_out(self) -> None:
        """End the session."""
        self._call("POST", "/_matrix/client/v3/logout", {})

    def _call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        return _expect(self._ask(method, path, body))

    def _ask(self, method: str, path: str, body: object = None) -> Answer:
        try:
            return request(method, f"{self._url}{path}", json_body=body, token=self._token)
        except OSError as error:
            raise HomeserverError(
                "homeserver-away", f"{self._url} does not answer.", "see that the site runs"
            ) from error


def _expect(answer: Answer) -> dict[str, Any]:
    body = answer.body if isinstance(answer.body, dict) else {}
    if answer.status == HTTPStatus.OK:
        return body
    raise HomeserverError(
        str(body.get("org.rabta.reason", "homeserver-refused")),
        f"The homeserver answered {answer.status} {body.get('error', '')}".strip(),
        "read its log",
    )


def _quoted(room_id: str) -> str:
    return quote(room_id, safe="")


def _ms(when: datetime) -> int:
    return int(when.timestamp() * 1000)
