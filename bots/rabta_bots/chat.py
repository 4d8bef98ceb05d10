"""What the pipeline needs of a Matrix client; `rabta_bots.matrix` has it, a recorder in tests."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection

from rabta_bots.matrix import Condition, EncryptedFile, Received, Undecryptable


class Chat(Protocol):
    """An account in encrypted rooms. Every coroutine raises `MatrixError`."""

    user_id: str

    async def start(self) -> None:
        """Log in or restore."""

    async def sync_forever(self, on_received: Callable[[], None]) -> None:
        """Sync until `stop`; `on_received` after each commit that brought something."""

    async def stop(self) -> None:
        """End `sync_forever` and close connections."""

    def received(self, limit: int = 50) -> list[Received]:
        """The undone events, oldest first."""

    def said(self, event_id: str) -> Received | None:
        """An event that was received, done or not."""

    def done(self, event_id: str, connection: Connection | None = None) -> None:
        """Mark an event as dealt with, in the caller's transaction."""

    def changed_identities(self) -> list[str]:
        """The users who get nothing until a person acknowledged their new identity."""

    def undecryptable(self, *, older_than: timedelta) -> list[Undecryptable]:
        """The events that could not be read for so long, and were not given up."""

    def condition(self) -> Condition:
        """Count what an operator should hear of; only after `start`."""

    def give_up(self, event_id: str, connection: Connection) -> None:
        """Let such an event be void, in the caller's transaction: its sender was told."""

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
        """Create an encrypted room into which only we invite; gives its id.

        Without `talk` only we write in it. The same `key` gives the same room.
        """

    async def send(
        self,
        room_id: str,
        content: Mapping[str, Any],
        *,
        txn_id: str,
        event_type: str = "m.room.message",
    ) -> str:
        """Send an encrypted event; gives its id, the same for the same transaction."""

    async def upload(self, path: Path) -> EncryptedFile:
        """Put a file's ciphertext into the media store; a repeat makes another ciphertext."""

    async def download(self, file: EncryptedFile, into: Path, *, max_bytes: int) -> int:
        """Fetch, check and decrypt a file of at most so many bytes; gives its size."""

    async def invite(self, room_id: str, user_id: str) -> None:
        """Invite; already there is success."""

    async def kick(self, room_id: str, user_id: str, reason: str) -> None:
        """Remove; not there is success."""

    async def raise_class(self, room: str, room_class: str, *, officer: str) -> str:
        """Have the homeserver label a room as the officer; gives the class before."""

    async def leave_as_guest(self, room_id: str) -> bool:
        """Leave a room of other people's that we were invited to; False for any other."""

    async def readers(self, room_id: str, event_id: str) -> dict[str, datetime]:
        """Who is seen to have read the room up to an event or past it; nobody has signed that."""

    async def members(self, room_id: str) -> dict[str, str]:
        """User id to membership."""

    def members_known(self, connection: Connection, room_id: str) -> dict[str, str] | None:
        """The same from the store alone, in the caller's transaction; None where it must ask."""

    async def redact(self, room_id: str, event_id: str, txn_id: str, reason: str) -> str:
        """Take an event's content back; gives the redaction's id."""
