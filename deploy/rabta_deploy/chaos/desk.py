"""One officer at a client of their own: reads all that comes, answers cards, notes every word."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rabta_deploy.chaos.cards import Key, Seen, seen
from rabta_deploy.officer import Officer, OfficerError

_LOOK_S = 0.4
_SEND_S = 240.0


@dataclass
class Room:
    """What was read of one room.

    Attributes:
        read: Event id -> message, in the order of the timeline.
        last: The newest event before which everything could be read.
    """

    read: dict[str, dict[str, Any]] = field(default_factory=dict)
    last: str | None = None


class Desk:
    """An officer's desk.

    Args:
        person: e-Office's id of the person.
        officer: Signed in.
        bot: The bridge's user id: its invitations are accepted, its messages are read.
    """

    def __init__(self, person: str, officer: Officer, bot: str) -> None:
        self.person = person
        self._officer = officer
        self._bot = bot
        self._rooms: defaultdict[str, Room] = defaultdict(Room)
        self._cards: dict[tuple[str, str, str], Seen] = {}
        self._replies: defaultdict[str, list[Seen]] = defaultdict(list)
        self._news = asyncio.Condition()

    async def read_for_ever(self) -> None:
        """Read until cancelled, whatever the homeserver does meanwhile."""
        while True:
            with contextlib.suppress(OfficerError):
                await self._look()
            await asyncio.sleep(_LOOK_S)

    async def _look(self) -> None:
        for room in await self._officer.rooms():
            room_id = room["room_id"]
            if room["membership"] == "invite" and room["inviter"] == self._bot:
                await self._officer.join(room_id)
            elif room["membership"] == "join":
                await self._read(room_id)

    async def _read(self, room_id: str) -> None:
        room = self._rooms[room_id]
        fresh = False
        whole = True
        for message in await self._officer.history(room_id, until=room.last):
            whole = whole and not unreadable(message)
            if whole:
                room.last = message["event_id"]
            if message["event_id"] in room.read or unreadable(message):
                continue
            room.read[message["event_id"]] = message
            if message["sender"] == self._bot:
                self._note(seen(message, self.person, len(room.read)))
                fresh = True
        if fresh:
            async with self._news:
                self._news.notify_all()

    def _note(self, one: Seen) -> None:
        if one.card is not None and not one.card.reminder:
            self._cards[one.card.post, one.card.file_no, one.card.movement] = one
        if one.reply_to is not None:
            self._replies[one.reply_to].append(one)

    async def card(self, post: str, file_no: str, movement: int, *, within_s: float) -> Seen:
        """The card of a movement, once it is there.

        Raises:
            TimeoutError: It did not come.
        """
        return await self._until(lambda: self._cards.get((post, file_no, str(movement))), within_s)

    async def reply(self, message: str, fits: Callable[[Seen], bool], *, within_s: float) -> Seen:
        """The bridge's first fitting answer to a message of ours.

        Raises:
            TimeoutError: It did not come.
        """
        return await self._until(
            lambda: next((one for one in self._replies[message] if fits(one)), None), within_s
        )

    async def _until(self, find: Callable[[], Seen | None], within_s: float) -> Seen:
        async with asyncio.timeout(within_s), self._news:
            while (found := find()) is None:
                await self._news.wait()
            return found

    async def write(self, room: str, body: str, *, reply_to: str | None = None) -> str:
        """Write a message, as often as it takes, once; gives its event id.

        Raises:
            OfficerError: It could not be sent for minutes.
        """
        content: dict[str, Any] = {"msgtype": "m.text", "body": body}
        if reply_to is not None:
            content["m.relates_to"] = {"m.in_reply_to": {"event_id": reply_to}}
        return await self._officer.send_event(room, "m.room.message", content, persist_s=_SEND_S)

    async def everything(self) -> tuple[list[Seen], list[str]]:
        """Every message of the bridge that stands in the officer's rooms, and what is unreadable.

        Read once more from each room's beginning: what counts is what a client sees now.
        """
        found: list[Seen] = []
        closed: list[str] = []
        for room in await self._officer.rooms():
            if room["membership"] != "join":
                continue
            history = await self._officer.history(room["room_id"], within_s=120)
            for place, message in enumerate(history):
                if message["sender"] != self._bot:
                    continue
                if unreadable(message):
                    closed.append(f"{message['event_id']}: {why_unreadable(message)}")
                else:
                    found.append(seen(message, self.person, place))
        return found, closed


def unreadable(message: dict[str, Any]) -> bool:
    """Whether an officer cannot read it, or is warned of it."""
    return not message["decrypted"] or message["shield"] != "none"


def why_unreadable(message: dict[str, Any]) -> str:
    """In a word."""
    return str(message["failure"] or message["shield_reason"] or "not encrypted")


def keys_of(found: list[Seen]) -> list[tuple[Key, Seen]]:
    """The cards among the messages."""
    return [(one.card, one) for one in found if one.card is not None]
