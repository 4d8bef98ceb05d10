"""The Matrix client of the bridge: never plaintext, never twice, never killed by what it reads."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine

from rabta_bots.matrix import roomstate
from rabta_bots.matrix.bundles import KeyBundles
from rabta_bots.matrix.condition import Condition, condition
from rabta_bots.matrix.errors import MatrixError
from rabta_bots.matrix.identity import OwnIdentity
from rabta_bots.matrix.inbox import Inbox
from rabta_bots.matrix.login import log_in
from rabta_bots.matrix.media import EncryptedFile, Media
from rabta_bots.matrix.pruning import Pruning
from rabta_bots.matrix.receipts import readers
from rabta_bots.matrix.received import Received, Undecryptable
from rabta_bots.matrix.receiving import Receiving
from rabta_bots.matrix.rooms import Rooms
from rabta_bots.matrix.sealing import Seal, read_secret
from rabta_bots.matrix.sending import Sending
from rabta_bots.matrix.settings import MatrixSettings
from rabta_bots.matrix.sharing import Sharing
from rabta_bots.matrix.state import CryptoState
from rabta_bots.matrix.store import CryptoStore
from rabta_bots.matrix.syncing import Syncing
from rabta_bots.matrix.tables import metadata
from rabta_bots.matrix.trust import Trust
from rabta_bots.matrix.upkeep import Upkeep
from rabta_bots.matrix.wire import Wire


@dataclass(frozen=True, slots=True)
class _Parts:
    """What is there once the device is known."""

    trust: Trust
    rooms: Rooms
    sending: Sending
    inbox: Inbox
    syncing: Syncing
    media: Media
    bundles: KeyBundles


class MatrixClient:
    """One device of one account, with its crypto state in the bridge's own database.

    Every coroutine raises `MatrixError` and returns only when the thing is done. All methods belong
    to the event loop's thread; those that are given a connection may run in another.

    Args:
        settings: The account.
        engine: The bridge's engine. The tables are `rabta_bots.matrix.metadata`.
        clock: Gives the time, timezone-aware.
    """

    def __init__(
        self, settings: MatrixSettings, engine: Engine, *, clock: Callable[[], datetime]
    ) -> None:
        self.user_id = settings.user_id
        self._settings = settings
        self._engine = engine
        self._clock = clock
        self._wire = Wire(settings.homeserver_url, settings.ca_file)
        self._parts: _Parts | None = None

    async def start(self) -> None:
        """Log in or restore, publish keys, make the identity once and check it ever after.

        Raises:
            MatrixError: permanent `identity-not-ours` when the server shows another identity for
                the account than the one we hold; permanent `wrong-store-key`, `login-refused`;
                not permanent `homeserver-unreachable`.
        """
        settings = self._settings
        seal = Seal.from_file(settings.store_key_file)
        password = read_secret(settings.password_file) if settings.password_file else None
        metadata.create_all(self._engine)
        await self._wire.open()
        try:
            device_id = await log_in(settings, self._engine, seal, self._wire)
            store = CryptoStore(self._engine, seal, self._clock)
            state = CryptoState(store, self.user_id, device_id)
            identity = OwnIdentity(
                state,
                self._wire,
                recovery_key_file=settings.recovery_key_file,
                password=password,
            )
            self._parts = await self._build(state, identity)
        except BaseException:
            await self._wire.close()
            raise

    async def _build(self, state: CryptoState, identity: OwnIdentity) -> _Parts:
        wire = self._wire
        trust = Trust(state, wire)
        rooms = Rooms(state.store, wire, state.user_id)
        sharing = Sharing(state, trust, wire)
        sending = Sending(state, trust, sharing, rooms, wire)
        receiving = Receiving(state, trust)
        upkeep = Upkeep(
            state,
            wire,
            trust=trust,
            sharing=sharing,
            rooms=rooms,
            allowed_inviters=self._settings.allowed_inviters,
        )
        syncing = Syncing(
            state,
            wire,
            receiving=receiving,
            pruning=Pruning(state.store),
            upkeep=upkeep,
            identity=identity,
            timeline_limit=self._settings.timeline_limit,
        )
        await upkeep.publish()
        await identity.establish()
        await syncing.catch_up()
        media = Media(wire)
        bundles = KeyBundles(state, trust, sharing, media, identity)
        return _Parts(trust, rooms, sending, Inbox(state, trust), syncing, media, bundles)

    async def sync_forever(self, on_received: Callable[[], None]) -> None:
        """Sync until `stop`, committing crypto state, received rows and sync token together.

        Args:
            on_received: Called after each commit. Must not block.

        Raises:
            MatrixError: only permanent ones; what passes is retried with a bounded wait.
        """
        await self._started.syncing.run(on_received)

    async def stop(self) -> None:
        """End `sync_forever` and close connections. The account stays logged in."""
        if self._parts is not None:
            self._parts.syncing.stop()
            await self._parts.sending.finish()
        await self._wire.close()

    def received(self, limit: int = 50) -> list[Received]:
        """Give the undone events, oldest first, with the trust that holds now.

        Args:
            limit: At most so many.

        Raises:
            MatrixError: not permanent `not-started`.
        """
        return self._started.inbox.received(limit)

    def said(self, event_id: str) -> Received | None:
        """Give an event that was received, done or not, with the trust that holds now."""
        return self._started.inbox.said(event_id)

    def done(self, event_id: str, connection: Connection | None = None) -> None:
        """Mark an event as dealt with, inside the caller's transaction where one is given."""
        self._started.inbox.done(event_id, connection)

    def undecryptable(self, *, older_than: timedelta = timedelta(0)) -> list[Undecryptable]:
        """Give the events that still can not be read, and have been so for `older_than`."""
        return self._started.inbox.undecryptable(older_than)

    def condition(self) -> Condition:
        """Count what an operator should hear of."""
        with self._engine.begin() as connection:
            return condition(connection, self.user_id)

    def give_up(self, event_id: str, connection: Connection) -> None:
        """Let an undecryptable event be void, in the transaction that tells its sender so.

        Should its key come after all, the event is not received: its sender was asked to write
        again, and nobody wants a command twice. Its ciphertext stays known, against replays.
        """
        self._started.inbox.give_up(event_id, connection)

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
        """Create a private room, encrypted and labelled from its first event; give its id.

        Only we invite into it.

        Args:
            name: Of the room, in clear.
            topic: Of the room, in clear.
            invite: User ids.
            room_class: Its label.
            direct: Whether it is a talk with one person.
            talk: Without it only we write in the room.
            key: What it is made for, in at most 64 letters, in clear: a repeat with the same key
                gives the room that was made before, also when its making was not remembered.
        """
        return await self._started.rooms.create(
            name=name,
            topic=topic,
            invite=invite,
            room_class=room_class,
            direct=direct,
            talk=talk,
            key=key,
        )

    async def send(
        self,
        room_id: str,
        content: Mapping[str, Any],
        *,
        txn_id: str,
        event_type: str = "m.room.message",
    ) -> str:
        """Send an encrypted event and return its event id; a repeat sends identical bytes.

        Args:
            room_id: An encrypted room we are in.
            content: The content that readers see; `m.relates_to` is copied to the clear part.
            txn_id: The caller's, at most 64 ASCII characters; the same for every repeat.
            event_type: The type that readers see.

        Raises:
            MatrixError: permanent `room-not-encrypted`, `forbidden`, `identity-changed` (the only
                readers have changed their identity), `content-too-large`; not permanent
                `no-reader` (nobody in the room has a device signed by its owner yet),
                `rate-limited`, `homeserver-unreachable`, `not-started`.
        """
        return await self._started.sending.send(
            room_id, content, txn_id=txn_id, event_type=event_type
        )

    async def upload(self, path: Path) -> EncryptedFile:
        """Encrypt a file under a new key on its way to the media store, in chunks of 1 MiB.

        Nobody is told: keep what this gives (with the row that will name it) before `send`. A
        repeat makes another ciphertext, of which the one that no message names is never read.

        Raises:
            MatrixError: permanent `content-too-large`, `forbidden`; not permanent `rate-limited`,
                `homeserver-unreachable`, `homeserver-failed`, `not-started`.
        """
        return await self._started.media.upload(path)

    async def download(self, file: EncryptedFile, into: Path, *, max_bytes: int) -> int:
        """Fetch and decrypt a file; give its size in bytes.

        Args:
            file: `EncryptedFile.from_content` of a message.
            into: Written (mode 0600) only when the whole ciphertext is what its sender hashed.
            max_bytes: The transfer ends as soon as more than this has come.

        Raises:
            MatrixError: permanent `attachment-changed`, `attachment-too-large`,
                `attachment-malformed`, `not-found`, `forbidden`; not permanent as `upload`.
        """
        return await self._started.media.download(file, into, max_bytes)

    async def fetch(self, file: EncryptedFile, into: Path, *, max_bytes: int) -> int:
        """Fetch a file as its sender encrypted it; give its size in bytes.

        Raises:
            MatrixError: As `download`.
        """
        return await self._started.media.fetch(file, into, max_bytes)

    def rooms(self) -> list[str]:
        """Give the rooms that we are in, as of the last sync."""
        self._started  # noqa: B018 - it raises `not-started`
        with self._engine.begin() as connection:
            return roomstate.joined(connection)

    async def state(self, room_id: str) -> list[dict[str, Any]]:
        """Give a room's state events, as the homeserver tells them now."""
        return await self._started.rooms.state(room_id)

    async def leave(self, room_id: str) -> None:
        """Leave a room."""
        await self._started.rooms.leave(room_id)

    async def invite(self, room_id: str, user_id: str) -> None:
        """Invite a user, who can read what was said before if the room lets newcomers read it.

        Already invited or joined is success.
        """
        parts = self._started
        if (await parts.rooms.members(room_id)).get(user_id) not in ("join", "invite"):
            await parts.bundles.offer(room_id, user_id)
            await parts.rooms.invite(room_id, user_id)

    async def kick(self, room_id: str, user_id: str, reason: str) -> None:
        """Remove a user, or take back an invitation. Not being there is success."""
        await self._started.rooms.kick(room_id, user_id, reason)

    async def raise_class(self, room: str, room_class: str, *, officer: str) -> str:
        """Have the homeserver's door label a room in an officer's name; give the class before.

        Args:
            room: Room id, or an alias of the officer's server.
            room_class: A class of the policy.
            officer: Matrix user who said so, in an encrypted message of a signed device.

        Raises:
            MatrixError: permanent, with the door's reason code; `door-refused` where it gave none.
        """
        return await self._started.rooms.raise_class(room, room_class, officer=officer)

    async def leave_as_guest(self, room_id: str) -> bool:
        """Leave a room of other people's; False where it is ours, or a talk with one person."""
        return await self._started.rooms.leave_as_guest(room_id, self.user_id)

    async def readers(self, room_id: str, event_id: str) -> dict[str, datetime]:
        """Give who is seen to have read up to an event of the room or past it, and when.

        Read receipts come in clear and nobody signs them: they are a hint and no evidence.
        """
        self._started  # noqa: B018 - it raises `not-started`
        return await readers(self._wire, room_id, event_id)

    async def members(self, room_id: str) -> dict[str, str]:
        """Give user id -> membership (`join`, `invite`, `leave`, `ban`, `knock`)."""
        return await self._started.rooms.members(room_id)

    def members_known(self, connection: Connection, room_id: str) -> dict[str, str] | None:
        """Give the same from the store alone, in any thread; None where the server must be asked.

        Args:
            connection: The caller's, on the bridge's engine.
            room_id: The room.
        """
        return roomstate.members_known(connection, room_id)

    async def redact(self, room_id: str, event_id: str, txn_id: str, reason: str) -> str:
        """Redact an event and return the redaction's event id."""
        return await self._started.rooms.redact(room_id, event_id, txn_id, reason)

    def changed_identities(self) -> list[str]:
        """Give the users whose master key changed and who get nothing until acknowledged."""
        return self._started.trust.changed_identities()

    def acknowledge_identity(self, user_id: str) -> None:
        """Pin the identity that the user shows now. A person decides this, never the bridge.

        Raises:
            MatrixError: permanent `no-identity`.
        """
        self._started.trust.acknowledge(user_id)

    @property
    def _started(self) -> _Parts:
        if self._parts is None:
            raise MatrixError("not-started", permanent=False)
        return self._parts
