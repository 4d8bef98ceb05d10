"""The in-process guard: what a verified server may ask about our people and our rooms.

No documented hook covers keys, devices, one-time keys, profiles, media, aliases and to-device
messages. Synapse answers every one of them to any server it talks to; here each needs the pair's
right and, where a person is concerned, a room shared with that person or an open invite. It
never touches events: what may be in a room is decided elsewhere. A request that is in none of its
lists is refused, so that a new release of Synapse opens nothing by itself.
"""

from collections.abc import Mapping
from urllib.parse import unquote

from synapse.module_api import JsonDict

from rabta_policy import Action, ActionKind
from rabta_synapse.judge import Judge, Note
from rabta_synapse.outside_view import OutsideView
from rabta_synapse.refusal import CLOSED_ENDPOINT, NOT_TOGETHER, Refusal
from rabta_synapse.shared_rooms import SharedRooms

_ROOTS = ("/_matrix/federation/v1/", "/_matrix/federation/v2/")
_PATH = "guard"

_OF_A_ROOM = frozenset(
    {
        "event", "state", "state_ids", "backfill", "get_missing_events", "event_auth",
        "timestamp_to_event", "make_join", "send_join", "make_leave", "send_leave",
        "make_knock", "send_knock", "invite",
    }
)  # fmt: skip
"""Requests that name a room or an event: Synapse, the room's ACL and the door's other callbacks
judge them."""

Query = Mapping[bytes, list[bytes]]
"""The parameters as Synapse reads them: another parser could read another person."""

_BY_PEOPLE = {"user/keys/query": "device_keys", "user/keys/claim": "one_time_keys"}
"""Requests whose body names people; those who may not be asked about are taken out of it."""


class Guard:
    """Judges federation requests.

    Args:
        judge: Asked for the pair's right.
        shared: Knows who shares a room with whom.
        outside: Knows who may see a room from outside.
    """

    def __init__(self, judge: Judge, shared: SharedRooms, outside: OutsideView) -> None:
        self._judge = judge
        self._shared = shared
        self._outside = outside

    async def inbound(self, origin: str, path: str, query: Query, content: JsonDict | None) -> None:
        """Judge one verified request before Synapse handles it.

        Args:
            origin: The server that signed it.
            path: Its path as it was sent, escapes and all.
            query: Its parameters as Synapse reads them.
            content: The body; people and ephemeral events that may not pass are taken out.

        Raises:
            SynapseError: The request as a whole is denied.
        """
        root = next((root for root in _ROOTS if path.startswith(root)), "")
        asked = path.removeprefix(root) if root else ""
        if asked in _BY_PEOPLE:
            await self._keep(origin, content, _BY_PEOPLE[asked], ActionKind.KEYS)
        elif asked.startswith("send/"):
            await self._ephemeral(origin, content)
        elif refusal := await self._request(origin, asked, query):
            raise refusal.error

    async def shows(self, origin: str, room_id: str) -> bool:
        """Whether a room may stand in a space's list for a server, where Synapse would show it."""
        return await self._outside.room(origin, room_id) is None

    async def _request(self, origin: str, asked: str, query: Query) -> Refusal | None:
        """A request that is denied or allowed as a whole."""
        match asked.split("/"):
            case [first, *_] if first in _OF_A_ROOM:
                refusal = None
            case ["user", "devices", user_id]:
                refusal = await self._about(origin, unquote(user_id), "keys")
            case ["query", "profile"]:
                refusal = await self._about(origin, _first(query, b"user_id"), "profile")
            case ["query", "directory"]:
                refusal = self._right(origin, ActionKind.ALIAS)
                refusal = refusal or await self._outside.alias(origin, _first(query, b"room_alias"))
            case ["media", "download" | "thumbnail", media_id]:
                uploader = await self._shared.uploader(unquote(media_id))
                refusal = await self._about(origin, uploader or "", "media")
            case ["publicRooms"] | ["hierarchy", _]:
                refusal = self._right(origin, ActionKind.DIRECTORY)
            case _:
                refusal = self._judge.refuse_request(CLOSED_ENDPOINT, path=_PATH, origin=origin)
        return refusal

    async def _about(self, origin: str, user_id: str, kind: str) -> Refusal | None:
        """A question about one of our people: the pair's right, and a room in common."""
        refusal = self._right(origin, ActionKind(kind))
        if refusal is not None or await self._shared.share(user_id, origin):
            return refusal
        action = Action(ActionKind(kind), origin, self._judge.server_name)
        return self._judge.refuse(action, NOT_TOGETHER, path=_PATH)

    def _right(self, origin: str, kind: ActionKind) -> Refusal | None:
        action = Action(kind, origin, self._judge.server_name)
        verdict = self._judge.ask([action], path=_PATH, note=Note.DENIALS)
        return verdict if isinstance(verdict, Refusal) else None

    async def _keep(
        self, origin: str, content: JsonDict | None, field: str, kind: ActionKind
    ) -> None:
        people = (content or {}).get(field)
        if not isinstance(people, dict):
            return
        for user_id in list(people):
            if await self._about(origin, str(user_id), kind.value):
                del people[user_id]

    async def _ephemeral(self, origin: str, content: JsonDict | None) -> None:
        edus = (content or {}).get("edus")
        if content is None or not isinstance(edus, list):
            return
        kept = []
        for edu in edus:
            kind = edu.get("edu_type") if isinstance(edu, dict) else None
            if kind == "m.direct_to_device":
                await self._keep(origin, edu.get("content"), "messages", ActionKind.TO_DEVICE)
            elif kind in ("m.presence", "m.typing") and self._right(origin, ActionKind.PRESENCE):
                continue
            kept.append(edu)
        content["edus"] = kept


def _first(query: Query, name: bytes) -> str:
    """The value that Synapse takes of a parameter: its first. Bad UTF-8 names nobody."""
    return query.get(name, [b""])[0].decode("utf-8", "replace")
