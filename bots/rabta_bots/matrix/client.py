"""The Matrix client of the bridge: never plaintext, never twice, never killed by what it reads."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine

from rabta_bots.matrix.errors import MatrixError
from rabta_bots.matrix.received import Received, Undecryptable
from rabta_bots.matrix.settings import MatrixSettings


class MatrixClient:
    """One device of one account, with its crypto state in the bridge's own database.

    Every coroutine raises `MatrixError` and returns only when the thing is done.

    Args:
        settings: The account.
        engine: The bridge's engine. The tables are `rabta_bots.matrix.metadata`.
        clock: Gives the time, timezone-aware.
    """

    def __init__(
        self, settings: MatrixSettings, engine: Engine, *, clock: Callable[[], datetime]
    ) -> None:
        self.user_id = settings.user_id
        self._engine = engine
        self._clock = clock

    async def start(self) -> None:
        """Log in or restore, publish keys, make the identity once and check it ever after.

        Raises:
            MatrixError: permanent `identity-not-ours` when the server shows another identity for
                the account than the one we hold; permanent `wrong-store-key`, `login-refused`;
                not permanent `homeserver-unreachable`.
        """
        raise MatrixError("not-started", permanent=True)

    async def sync_forever(self, on_received: Callable[[], None]) -> None:
        """Sync until `stop`, committing crypto state, received rows and sync token together.

        Args:
            on_received: Called after each commit that brought rows or keys. Must not block.

        Raises:
            MatrixError: only permanent ones; what passes is retried with a bounded wait.
        """
        raise MatrixError("not-started", permanent=True)

    async def stop(self) -> None:
        """End `sync_forever` and close connections. The account stays logged in."""

    def received(self, limit: int = 50) -> list[Received]:
        """Give the undone events, oldest first, with the trust that holds now."""
        raise MatrixError("not-started", permanent=True)

    def done(self, event_id: str, connection: Connection | None = None) -> None:
        """Mark an event as dealt with, inside the caller's transaction where one is given."""
        raise MatrixError("not-started", permanent=True)

    def undecryptable(self, *, older_than: timedelta = timedelta(0)) -> list[Undecryptable]:
        """Give the events that still can not be read, and have been so for `older_than`."""
        raise MatrixError("not-started", permanent=True)

    async def create_room(
        self,
        *,
        name: str,
        topic: str,
        invite: Sequence[str],
        room_class: str,
        direct: bool = False,
    ) -> str:
        """Create a private, encrypted room and return its id."""
        raise MatrixError("not-started", permanent=True)

    async def send(
        self,
        room_id: str,
        content: Mapping[str, Any],
        *,
        txn_id: str,
        event_type: str = "m.room.message",
    ) -> str:
        """Send an encrypted event and return its event id; a repeat sends identical bytes.

        Raises:
            MatrixError: permanent `room-not-encrypted`, `not-joined`, `identity-changed` (the only
                readers have changed their identity), `content-too-large`; not permanent
                `no-reader` (nobody in the room has a device signed by its owner yet),
                `rate-limited`, `homeserver-unreachable`, `not-started`.
        """
        raise MatrixError("not-started", permanent=True)

    async def invite(self, room_id: str, user_id: str) -> None:
        """Invite a user. Already invited or joined is success."""
        raise MatrixError("not-started", permanent=True)

    async def kick(self, room_id: str, user_id: str, reason: str) -> None:
        """Remove a user, or take back an invitation. Not being there is success."""
        raise MatrixError("not-started", permanent=True)

    async def members(self, room_id: str) -> dict[str, str]:
        """Give user id -> membership (`join`, `invite`, `leave`, `ban`, `knock`)."""
        raise MatrixError("not-started", permanent=True)

    async def redact(self, room_id: str, event_id: str, txn_id: str, reason: str) -> str:
        """Redact an event and return the redaction's event id."""
        raise MatrixError("not-started", permanent=True)

    def changed_identities(self) -> list[str]:
        """Give the users whose master key changed and who get nothing until acknowledged."""
        raise MatrixError("not-started", permanent=True)

    def acknowledge_identity(self, user_id: str) -> None:
        """Pin the identity that the user shows now. A person decides this, never the bridge."""
        raise MatrixError("not-started", permanent=True)
