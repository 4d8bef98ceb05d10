"""A recorder at the Matrix port: rooms and messages in memory, and officers who write into them."""

# ruff: noqa: ARG002 - the port has arguments that a recorder has no use for

import asyncio
import hashlib
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from rabta_bots.matrix import (
    Condition,
    EncryptedFile,
    MatrixError,
    Received,
    SenderTrust,
    Undecryptable,
)

BOT = "@rabta:itt.gov.test"


@dataclass
class Sent:
    """One message of the bridge."""

    event_id: str
    room_id: str
    type: str
    content: dict[str, Any]
    txn_id: str

    @property
    def body(self) -> str:
        """The plain text."""
        return str(self.content.get("body", ""))

    @property
    def replaces(self) -> str | None:
        """The message that this one edits."""
        relation = self.content.get("m.relates_to", {})
        return relation.get("event_id") if relation.get("rel_type") == "m.replace" else None


@dataclass
class Recorder:
    """The second implementation of `rabta_bots.chat.Chat`."""

    user_id: str = BOT
    rooms: dict[str, dict[str, str]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    classes: dict[str, str] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    sent: list[Sent] = field(default_factory=list)
    kicked: list[tuple[str, str]] = field(default_factory=list)
    raised: list[tuple[str, str, str]] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    raise_failures: list[MatrixError] = field(default_factory=list)
    redacted: list[str] = field(default_factory=list)
    failures: list[MatrixError] = field(default_factory=list)
    start_failures: list[MatrixError] = field(default_factory=list)
    unread_for: timedelta = timedelta(days=1)
    """Since when they could not."""
    reads: dict[str, dict[str, datetime]] = field(default_factory=dict)
    """Event id to who has read it, and when."""
    changed: list[str] = field(default_factory=list)
    """Users whose identity changed."""
    unread: dict[str, Undecryptable] = field(default_factory=dict)
    """Messages that could not be read for minutes, by event id."""
    given_up: list[Undecryptable] = field(default_factory=list)
    media: dict[str, bytes] = field(default_factory=dict)
    """What was uploaded, in clear, by its mxc: (a recorder encrypts nothing)."""
    clock: Callable[[], datetime] = lambda: datetime.fromtimestamp(0, UTC)
    """The homeserver's."""
    lost_sends: int = 0
    """So many documents are taken, and the answers to them lost."""

    def __post_init__(self) -> None:
        self._numbers = itertools.count(1)
        self.answering = asyncio.Event()
        """While it is not set, what is sent stands in its room and the answer is on its way."""
        self.answering.set()
        self._inbox: dict[str, Received] = {}
        self._said: dict[str, Received] = {}
        self._poke: Callable[[], None] = lambda: None
        self._stopped = asyncio.Event()

    async def start(self) -> None:
        if self.start_failures:
            raise self.start_failures.pop(0)

    async def sync_forever(self, on_received: Callable[[], None]) -> None:
        self._poke = on_received
        await self._stopped.wait()

    async def stop(self) -> None:
        self.answering.set()
        self._stopped.set()

    def received(self, limit: int = 50) -> list[Received]:
        return list(self._inbox.values())[:limit]

    def said(self, event_id: str) -> Received | None:
        return self._said.get(event_id)

    def done(self, event_id: str, connection: Connection | None = None) -> None:
        self._inbox.pop(event_id, None)

    def changed_identities(self) -> list[str]:
        return list(self.changed)

    def undecryptable(self, *, older_than: timedelta) -> list[Undecryptable]:
        return list(self.unread.values()) if self.unread_for >= older_than else []

    def condition(self) -> Condition:
        return Condition(undecryptable=len(self.unread))

    def give_up(self, event_id: str, connection: Connection) -> None:
        self.given_up.append(self.unread.pop(event_id))

    async def create_room(
        self,
        *,
        name: str,
        topic: str,
        invite: Sequence[str],
        room_class: str,
        direct: bool = False,
        talk: bool = True,
        key: str | None = None,
    ) -> str:
        room_id = f"!room{next(self._numbers)}:itt.gov.test"
        self.rooms[room_id] = {self.user_id: "join", **dict.fromkeys(invite, "invite")}
        self.names[room_id] = name
        if not talk:
            self.silent.add(room_id)
        self.classes[room_id] = room_class
        return room_id

    async def send(
        self,
        room_id: str,
        content: Mapping[str, Any],
        *,
        txn_id: str,
        event_type: str = "m.room.message",
    ) -> str:
        if self.failures:
            raise self.failures.pop(0)
        for earlier in self.sent:
            if earlier.txn_id == txn_id:
                return earlier.event_id
        event_id = f"$sent{next(self._numbers)}"
        self.sent.append(Sent(event_id, room_id, event_type, dict(content), txn_id))
        await self.answering.wait()
        if "file" in content and self.lost_sends:
            self.lost_sends -= 1
            raise MatrixError("homeserver-unreachable", permanent=False)
        return event_id

    async def upload(self, path: Path) -> EncryptedFile:
        if self.failures:
            raise self.failures.pop(0)
        return self.keep(path.read_bytes())  # noqa: ASYNC240 - a recorder may block

    def keep(self, body: bytes) -> EncryptedFile:
        """A file in the media store, as an officer's client puts one there."""
        url = f"mxc://itt.gov.test/media{next(self._numbers)}"
        self.media[url] = body
        return EncryptedFile(url, bytes(32), bytes(16), hashlib.sha256(body).digest())

    async def download(self, file: EncryptedFile, into: Path, *, max_bytes: int) -> int:
        if self.failures:
            raise self.failures.pop(0)
        body = self.media.get(file.url)
        if body is None:
            raise MatrixError("not-found", permanent=True)
        if len(body) > max_bytes:
            raise MatrixError("attachment-too-large", permanent=True)
        if hashlib.sha256(body).digest() != file.sha256:
            raise MatrixError("attachment-changed", permanent=True)
        into.write_bytes(body)  # noqa: ASYNC240 - a recorder may block
        return len(body)

    async def invite(self, room_id: str, user_id: str) -> None:
        self.rooms[room_id].setdefault(user_id, "invite")
        if self.rooms[room_id][user_id] == "leave":
            self.rooms[room_id][user_id] = "invite"

    async def kick(self, room_id: str, user_id: str, reason: str) -> None:
        self.rooms[room_id][user_id] = "leave"
        self.kicked.append((room_id, user_id))

    async def raise_class(self, room: str, room_class: str, *, officer: str) -> str:
        self.raised.append((room, room_class, officer))
        if self.raise_failures:
            raise self.raise_failures.pop(0)
        return "restricted"

    async def leave_as_guest(self, room_id: str) -> bool:
        self.left.append(room_id)
        return True

    async def readers(self, room_id: str, event_id: str) -> dict[str, datetime]:
        return dict(self.reads.get(event_id, {}))

    async def members(self, room_id: str) -> dict[str, str]:
        return dict(self.rooms[room_id])

    def members_known(self, connection: Connection, room_id: str) -> dict[str, str] | None:
        return dict(self.rooms[room_id]) if room_id in self.rooms else None

    async def redact(self, room_id: str, event_id: str, txn_id: str, reason: str) -> str:
        if self.failures:
            raise self.failures.pop(0)
        if event_id not in self.redacted:
            self.redacted.append(event_id)
        return f"$redaction-of-{event_id}"

    # What officers and tests do.

    def write(
        self,
        user_id: str,
        room_id: str,
        text: str,
        *,
        reply_to: str | None = None,
        device: SenderTrust = SenderTrust.SIGNED,
        encrypted: bool = True,
        type_: str = "m.room.message",
        content: dict[str, Any] | None = None,
    ) -> str:
        """An officer's message arrives."""
        event_id = f"$said{next(self._numbers)}"
        made: dict[str, Any] = content or {"msgtype": "m.text", "body": text}
        if reply_to is not None:
            made["m.relates_to"] = {"m.in_reply_to": {"event_id": reply_to}}
        self._said[event_id] = self._inbox[event_id] = Received(
            event_id=event_id,
            room_id=room_id,
            sender=user_id,
            type=type_,
            content=made,
            encrypted=encrypted,
            device=device,
            device_id="PHONE",
            origin_server_ts=int(self.clock().timestamp() * 1000),
        )
        self._poke()
        return event_id

    def cards(self) -> list[Sent]:
        """New messages to rooms that answer nothing and edit nothing."""
        return [sent for sent in self.sent if "m.relates_to" not in sent.content]

    def answer_to(self, event_id: str) -> Sent | None:
        """The last reply of the bridge to a message."""
        replies = [
            sent
            for sent in self.sent
            if sent.content.get("m.relates_to", {}).get("m.in_reply_to", {}).get("event_id")
            == event_id
        ]
        return replies[-1] if replies else None

    def edit_of(self, event_id: str) -> Sent | None:
        """The last edit of a message."""
        edits = [sent for sent in self.sent if sent.replaces == event_id]
        return edits[-1] if edits else None
