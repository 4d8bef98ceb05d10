"""Keeps the record of every room that the archiver was invited to and told so.

For each room: tell it first, then keep what comes. What was kept is on the disk, encrypted for the
records office, before it counts as received; a crash in between repeats it and the repeat is seen.
A room that cannot be told is left, and so is one of a class that no record is kept of.
"""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from rabta_audit import Journal, Record
from rabta_bots.matrix import EncryptedFile, MatrixClient, MatrixError, Received
from rabta_records import lines, words
from rabta_records.vault import Vault

_BATCH = 200
_LOOK_EVERY_S = 5.0
_PATIENCE = timedelta(minutes=10)
"""How long a file that cannot be had now holds up the record of its room."""

log = structlog.get_logger("rabta.archiver")


@dataclass(slots=True)
class Counts:
    """What the archiver tells of itself.

    Attributes:
        rooms: Rooms it is in.
        events: Events that it has kept since it started.
        failing: Whether the last round failed.
        ready: Whether its account is signed in and its identity is its own.
    """

    rooms: int = 0
    events: int = 0
    failing: bool = False
    ready: bool = False


class Archivist:
    """One archiver at work.

    Args:
        client: Its account.
        vault: Its records.
        classes: Room classes that records are kept of.
        largest_file_bytes: Of a larger file only the name and the hash are kept.
        journal: Gets a line when a record begins and ends.
        clock: The time, with its zone.
    """

    def __init__(
        self,
        client: MatrixClient,
        vault: Vault,
        *,
        classes: frozenset[str],
        largest_file_bytes: int,
        journal: Journal,
        clock: Callable[[], datetime],
    ) -> None:
        self._client = client
        self._vault = vault
        self._classes = classes
        self._largest = largest_file_bytes
        self._journal = journal
        self._clock = clock
        self._news = asyncio.Event()
        self._failing: dict[str, datetime] = {}
        # As the heads on the disk say, which are not read for every room at every sync.
        self._told = {one.room_id for one in vault.rooms() if one.told is not None}
        self.counts = Counts()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`.

        Raises:
            MatrixError: The permanent ones of the account.
        """
        await self._client.start()
        self.counts.ready = True
        syncing = asyncio.create_task(self._client.sync_forever(self._news.set))
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set() and not syncing.done():
                self._news.clear()
                await self._round()
                news = asyncio.create_task(self._news.wait())
                await asyncio.wait(
                    {news, stopping, syncing},
                    timeout=_LOOK_EVERY_S,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                news.cancel()
        finally:
            stopping.cancel()
            await self._client.stop()
            await syncing

    async def _round(self) -> None:
        """One look at every room; a room that fails stops no other, and its turn comes again."""
        rooms = self._client.rooms()
        received = self._client.received(_BATCH)
        self.counts.rooms = len(rooms)
        for room_id in sorted(self._told.difference(rooms)):
            self._ended(room_id, "put-out")
        waiting: defaultdict[str, list[Received]] = defaultdict(list)
        for event in received:
            waiting[event.room_id].append(event)
        failing = False
        for room_id in rooms:
            try:
                await self._room(room_id, waiting.pop(room_id, []))
            except (MatrixError, OSError) as error:
                reason = error.reason if isinstance(error, MatrixError) else type(error).__name__
                # Nobody in the room has a device that could read us yet, and so nobody writes.
                failing = failing or reason != "no-reader"
                log.warning("room-failed", reason=reason)
        # We were put out before it was kept.
        for events in waiting.values():
            self._done(events)
        self.counts.failing = failing

    async def _room(self, room_id: str, waiting: list[Received]) -> None:
        told = room_id in self._told
        if told and not waiting:
            return
        state = await self._client.state(room_id)
        if not lines.classes_of(state) <= self._classes:
            await self._go(room_id, words.ABOVE_CLASS, "class-not-recorded", state)
        elif told:
            await self._keep(room_id, waiting, state)
        elif await self._tell(room_id, state):
            # What had come before the room was told is nothing it was told of.
            self._done(waiting)
            await self._keep(room_id, [], state)

    async def _tell(self, room_id: str, state: list[dict[str, Any]]) -> bool:
        """Tell the room that it is recorded; False when it was left, for it cannot be told."""
        try:
            event_id = await self._say(room_id, words.RECORDING, state)
        except MatrixError as error:
            if not error.permanent:
                raise
            await self._go(room_id, None, error.reason, state)
            return False
        came = int(self._membership(state).get("origin_server_ts") or 0)
        self._vault.note(replace(self._vault.standing(room_id), told=event_id, since_ms=came))
        self._told.add(room_id)
        self._note("record-begins", room_id)
        return True

    def _membership(self, state: list[dict[str, Any]]) -> dict[str, Any]:
        """The event by which we came in."""
        return next(
            event
            for event in state
            if event.get("type") == "m.room.member"
            and event.get("state_key") == self._client.user_id
        )

    def _done(self, events: list[Received]) -> None:
        for event in events:
            self._client.done(event.event_id)

    def _was_before(self, event: Received, since_ms: int) -> bool:
        """Whether it was said before we came in; other servers' clocks say nothing about that."""
        ours = event.sender.partition(":")[2] == self._client.user_id.partition(":")[2]
        return ours and event.origin_server_ts < since_ms

    async def _say(self, room_id: str, text: str, state: list[dict[str, Any]]) -> str:
        # Once for each time that we came in.
        came = self._membership(state).get("event_id")
        said = hashlib.sha256(f"{came}|{text}".encode()).hexdigest()
        content = {"msgtype": "m.notice", "body": text}
        return await self._client.send(room_id, content, txn_id=f"ra-{said[:32]}")

    async def _go(
        self, room_id: str, text: str | None, reason: str, state: list[dict[str, Any]]
    ) -> None:
        if text is not None:
            try:
                await self._say(room_id, text, state)
            except MatrixError as error:
                log.warning("not-told", reason=error.reason)
        await self._client.leave(room_id)
        self._ended(room_id, reason)

    def _ended(self, room_id: str, reason: str) -> None:
        if room_id in self._told:
            # Whoever invites us again is told again.
            self._vault.note(replace(self._vault.standing(room_id), told=None))
            self._told.remove(room_id)
            self._note("record-ends", room_id, reason)
        log.info("room-left", reason=reason)

    async def _keep(
        self, room_id: str, events: list[Received], state: list[dict[str, Any]]
    ) -> None:
        standing = self._vault.standing(room_id)
        fresh = [
            event
            for event in events
            if event.event_id not in standing.last
            and not self._was_before(event, standing.since_ms)
        ]
        batch: list[dict[str, Any]] = []
        now = self._clock()
        told = lines.of_state(state, now)
        digest = lines.digest_of_state(told)
        if digest != standing.state:
            batch.append(told)
        kept, failure = [], None
        for event in fresh:
            try:
                batch.append(lines.of_event(event, await self._file(event, now), now))
            except MatrixError as error:
                # What came before it is kept; it and the rest come again.
                failure = error
                break
            kept.append(event.event_id)
        if batch:
            last = tuple(kept) or standing.last
            self._vault.append(replace(standing, last=last, state=digest), batch)
            self.counts.events += len(kept)
        waiting = {event.event_id for event in fresh} - set(kept)
        self._done([event for event in events if event.event_id not in waiting])
        if failure is not None:
            raise failure

    async def _file(self, event: Received, now: datetime) -> dict[str, Any] | None:
        """Fetch an event's attachment, still encrypted; None when it has none.

        Raises:
            MatrixError: It cannot be had now, and not for so long that it is given up.
        """
        told = event.content.get("file")
        if told is None:
            return None
        try:
            file = EncryptedFile.from_content(told)
            name = file.sha256.hex()
            place = self._vault.files(event.room_id) / name
            if not place.exists():
                await self._client.fetch(file, place, max_bytes=self._largest)
        except MatrixError as error:
            since = self._failing.setdefault(event.event_id, now)
            if not error.permanent and now - since < _PATIENCE:
                raise
            del self._failing[event.event_id]
            return {"missing": error.reason}
        self._failing.pop(event.event_id, None)
        return {"sha256": name, "bytes": place.stat().st_size}

    def _note(self, action: str, room_id: str, reason: str | None = None) -> None:
        self._journal.append(
            Record(
                time=self._clock(),
                serial=0,
                path="archiver",
                action=action,
                verdict="noted",
                actor=self._client.user_id,
                room=room_id,
                reasons=(reason,) if reason else (),
            )
        )
        self._journal.sync()
