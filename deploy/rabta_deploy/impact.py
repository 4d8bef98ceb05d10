"""What a policy would cut on a running homeserver, asked before anybody signs it. It only reads.

Rooms are read through Synapse's admin API; what must go is told by `rabta_policy.plan`, the same
that the homeserver follows when the policy comes.
"""

import ipaddress
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from rabta_deploy.fault import YardError
from rabta_deploy.jsonhttp import Answer, request
from rabta_policy import Plan, Policy, Standing, State, here, know, plan, server_of

_ROOMS_A_PAGE = 100
_REFUSALS: dict[int, tuple[str, str]] = {
    HTTPStatus.UNAUTHORIZED: ("token-refused", "make a new token for the administrator"),
    HTTPStatus.FORBIDDEN: ("not-an-administrator", "use the token of a server administrator"),
}


class ImpactError(YardError):
    """The homeserver cannot be asked."""


@dataclass(frozen=True, slots=True)
class StateEvent:
    """A state event as the admin API gives it."""

    sender: str
    content: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Room:
    """A room in which somebody of the homeserver is.

    Attributes:
        room_id: Its id.
        name: Its name, else its alias; "" when it has neither.
        state: Its current state.
    """

    room_id: str
    name: str
    state: State


@dataclass(frozen=True, slots=True)
class Cut:
    """What goes from one room.

    Attributes:
        room_id: Its id.
        name: Its name, as people know it.
        room_class: Its class under the new policy.
        home: The server that made it.
        members: User ids of joined people who go.
        pending: User ids of people whose invite or knock is taken back.
        leaving: True when our own people leave; False when others are put out.
        due: Those of them who must go by the old policy too.
    """

    room_id: str
    name: str
    room_class: str
    home: str
    members: tuple[str, ...]
    pending: tuple[str, ...]
    leaving: bool
    due: frozenset[str] = frozenset()


class RunningHomeserver:
    """A homeserver as its administrator may see it.

    Args:
        url: Its client API: `https://...`, or `http://` on this machine.
        token: An administrator's access token.

    Raises:
        ImpactError: `homeserver-address`.
    """

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and _here(parts.hostname)):
            raise ImpactError(
                "homeserver-address",
                f"{url} would show the administrator's token to the network.",
                "use https://, or run this on the homeserver's machine with http://127.0.0.1:PORT",
            )
        self._url = url.rstrip("/")
        self._token = token

    def server_name(self) -> str:
        """Its Matrix server name, from whose token it is.

        Raises:
            ImpactError: As `rooms`.
        """
        told = self._ask("/_matrix/client/v3/account/whoami")
        return server_of(str(_expect(told)["user_id"]))

    def rooms(self, progress: Callable[[int, int], None]) -> Iterator[Room]:
        """Every room with a joined local person, page by page.

        Args:
            progress: Told how many rooms were looked at, and of how many.

        Raises:
            ImpactError: `homeserver-unreachable`, `token-refused`, `not-an-administrator`,
                `homeserver-refuses`.
        """
        seen: set[str] = set()
        start: int | None = 0
        while start is not None:
            query = f"from={start}&limit={_ROOMS_A_PAGE}&order_by=name"
            page = _expect(self._ask(f"/_synapse/admin/v1/rooms?{query}"))
            for listed in page["rooms"]:
                room_id = str(listed["room_id"])
                fresh = room_id not in seen
                seen.add(room_id)
                progress(len(seen), max(len(seen), int(page["total_rooms"])))
                # Who reconciles looks at rooms with somebody of ours in them, and so do we.
                if fresh and listed["joined_local_members"]:
                    state = self._state(room_id)
                    if state is not None:
                        name = listed.get("name") or listed.get("canonical_alias") or ""
                        yield Room(room_id, str(name), state)
            start = page.get("next_batch")

    def _state(self, room_id: str) -> State | None:
        answer = self._ask(f"/_synapse/admin/v1/rooms/{quote(room_id, safe='')}/state")
        if answer.status == HTTPStatus.NOT_FOUND:
            return None  # It went away since it was listed.
        return {
            (event["type"], event["state_key"]): StateEvent(event["sender"], event["content"])
            for event in _expect(answer)["state"]
        }

    def _ask(self, path: str) -> Answer:
        try:
            return request("GET", f"{self._url}{path}", token=self._token)
        except OSError as error:
            raise ImpactError(
                "homeserver-unreachable",
                f"{self._url} does not answer: {error}",
                "check the address, and that the homeserver runs",
            ) from error


def read_token(file: Path) -> str:
    """An access token from a file of mode 0600.

    Raises:
        ImpactError: `token-file-unreadable`, `token-file-open-to-others`.
    """
    try:
        mode = file.stat().st_mode
        token = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ImpactError(
            "token-file-unreadable", f"{file} cannot be read: {error}", "check the path"
        ) from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ImpactError(
            "token-file-open-to-others", f"{file} can be read by others.", "run chmod 600 on it"
        )
    return token


def cut_in(
    room: Room, new: Policy, *, ours: str, now: datetime, old: Policy | None = None
) -> Cut | None:
    """What a policy would cut from one room; None when it cuts nothing there.

    Args:
        room: The room as it is.
        new: The policy that is not signed yet.
        ours: The homeserver that holds the room.
        now: The moment it is asked for, with its zone.
        old: The policy in force: what it cuts as well is told apart.
    """
    if new.standing(now) is not Standing.IN_FORCE:
        return None  # A policy that does not speak cuts nothing: so the homeserver does, too.
    todo = _plan(room, new, ours, now)
    going = _going(todo)
    known = know(room.room_id, room.state, new, now)
    if known is None or not going:
        return None
    stands = dict(here(room.state))
    due = _going(_plan(room, old, ours, now)) if old else ()
    return Cut(
        room_id=room.room_id,
        name=room.name,
        room_class=known.room.room_class,
        home=known.home,
        members=tuple(user for user in going if stands[user] == "join"),
        pending=tuple(user for user in going if stands[user] != "join"),
        leaving=bool(todo.leave),
        due=frozenset(going) & frozenset(due),
    )


def _plan(room: Room, policy: Policy, ours: str, now: datetime) -> Plan:
    known = know(room.room_id, room.state, policy, now)
    if known is None or policy.standing(now) is not Standing.IN_FORCE:
        return Plan()
    return plan(policy, known, room.state, ours=ours, now=now)


def _going(todo: Plan) -> tuple[str, ...]:
    return (*todo.kick, *todo.leave)


def _here(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _expect(answer: Answer) -> dict[str, Any]:
    if answer.status == HTTPStatus.OK and isinstance(answer.body, dict):
        return answer.body
    told = answer.body.get("error", "") if isinstance(answer.body, dict) else ""
    reason, cure = _REFUSALS.get(answer.status, ("homeserver-refuses", "read the homeserver's log"))
    raise ImpactError(reason, f"The homeserver answered {answer.status} {told}".strip(), cure)
