"""Sends the outbox to Matrix: in each stream in order, each row once, failures as decisions."""

import asyncio
import functools
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import Connection, Engine, Row

from rabta_bots.addressed import compose_addressed, may_be_told, note_sent
from rabta_bots.chat import Chat
from rabta_bots.clock import Clock
from rabta_bots.composing import Composed, Composer, TakenBack
from rabta_bots.digesting import compose_digest
from rabta_bots.matrix import MatrixError
from rabta_bots.metrics import Metrics
from rabta_bots.names import transaction_id
from rabta_bots.retrying import Again, Permanent, after_matrix_error
from rabta_bots.rooms import PostRooms
from rabta_bots.shared_rooms import SharedRooms
from rabta_bots.store import outbox
from rabta_bots.store.announcements import announcement, note_reads
from rabta_bots.store.audit import write_audit
from rabta_bots.store.cards import (
    LIVE,
    card_by_id,
    forget_messages,
    note_issued,
    note_message,
)
from rabta_bots.store.documents import enqueue_documents
from rabta_bots.store.opening import in_store

log = structlog.get_logger("rabta.bridge.sender")

PLACES = 32
"""Messages under way at once, each of another stream."""

REFILL_SECONDS = 0.01


class Sender:
    """Takes what is due, and settles each row: sent, again at a moment, or dead.

    Args:
        composer: Gives a composer as of now.
        polls: Whether a poll follows a card that can be decided.
        wake: Asks for another `send_due`, because places are free again.
    """

    def __init__(
        self,
        *,
        chat: Chat,
        engine: Engine,
        clock: Clock,
        rooms: PostRooms,
        shared_rooms: SharedRooms,
        composer: Callable[[], Composer],
        metrics: Metrics,
        polls: bool,
        wake: Callable[[], None],
    ) -> None:
        self._chat = chat
        self._engine = engine
        self._clock = clock
        self._rooms = rooms
        self._shared_rooms = shared_rooms
        self._composer = composer
        self._metrics = metrics
        self._polls = polls
        self._wake = wake
        self._under_way: dict[int, asyncio.Task[bool]] = {}
        self._broken: BaseException | None = None

    async def send_due(self) -> None:
        """Begin with every row that is due and has a place, and come back when some are settled.

        A slow room holds up nobody else: its row keeps its place while others use the rest.

        Raises:
            Exception: What broke a row begun earlier; the row is due again.
        """
        if self._broken is not None:
            error, self._broken = self._broken, None
            raise error
        now, taken = self._clock(), tuple(self._under_way)
        free = PLACES - len(taken)
        if not free:
            return
        rows = await in_store(
            self._engine, lambda connection: outbox.due(connection, now, free, taken)
        )
        for row in rows:
            task = asyncio.create_task(self._send(row))
            self._under_way[row.row] = task
            task.add_done_callback(functools.partial(self._settled, row.row))

    def _settled(self, row: int, task: asyncio.Task[bool]) -> None:
        del self._under_way[row]
        if not task.cancelled() and (error := task.exception()) is not None:
            self._broken = error
        if len(self._under_way) <= PLACES // 2:
            self._wake()
        else:
            # Others are about to be settled: one look at the outbox serves them all.
            asyncio.get_running_loop().call_later(REFILL_SECONDS, self._wake)

    async def finish(self) -> None:
        """Wait until nothing is under way."""
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    async def _send(self, row: Row[Any]) -> bool:
        composed: Composed | None = None
        try:
            if row.txn_id is None:
                if row.part == "report":
                    await self._look_who_read(row.draft["number"])
                composer = self._composer()
                judged = await in_store(
                    self._engine, lambda connection: _composed(composer, connection, row)
                )
                if isinstance(judged, TakenBack):
                    await self._take_back(row, judged)
                    return True
                if not isinstance(judged, Composed):
                    return await self._settle(row, judged)
                composed = judged
                fixed = await self._fix(row, composed)
                if fixed is None:
                    await self._settle(row, Again(self._clock(), "grade-raised"))
                    return False
                room_id, event_type, content, txn_id = fixed
            else:
                room_id, event_type = row.room_id, row.event_type
                content, txn_id = row.content, row.txn_id
            message_id = await self._chat.send(
                room_id, content, txn_id=txn_id, event_type=event_type
            )
        except MatrixError as error:
            return await self._settle(row, after_matrix_error(error, row.attempts, self._clock()))
        await self._sent(row, room_id, message_id, content)
        return True

    async def _fix(
        self, row: Row[Any], composed: Composed
    ) -> tuple[str, str, Mapping[str, Any], str] | None:
        """Keep what is sent, the same at every repeat; None when its paper's grade was raised."""
        room_id = composed.room_id
        reader = composed.reader.user_id if composed.reader else ""
        if composed.address is not None:
            room_id = await self._shared_rooms.room_for(composed.address)
        elif room_id is None and composed.post_room is not None:
            room_id = await self._rooms.room_for(*composed.post_room, reader)
        if room_id is None:
            raise MatrixError("no-such-room", row.part, permanent=True)
        if reader:
            await self._rooms.keep_to(room_id, reader, "Cards here are for the holder of the post")
        txn_id = composed.txn_id(room_id)
        content = composed.content

        def fix(connection: Connection) -> bool:
            if not _still_fits(connection, row, composed):
                return False
            outbox.fix_content(
                connection,
                row.row,
                room_id=room_id,
                event_type=composed.event_type,
                content=content,
                txn_id=txn_id,
            )
            return True

        if not await in_store(self._engine, fix):
            return None
        return room_id, composed.event_type, content, txn_id

    async def _look_who_read(self, number: int) -> None:
        """Ask the homeserver who has read an announcement; it may not know, or not say."""
        told = await in_store(self._engine, lambda connection: announcement(connection, number))
        if told is None or told.message_id is None:
            return
        reads = await self._chat.readers(told.room_id, told.message_id)
        await in_store(self._engine, lambda connection: note_reads(connection, number, reads))

    async def _take_back(self, row: Row[Any], taken: TakenBack) -> None:
        """Redact what was shown, then show the card anew where it fits now."""
        for room_id, message_id in taken.messages:
            txn_id = transaction_id(taken.event_id, room_id, f"redact-{message_id}")
            await self._chat.redact(room_id, message_id, txn_id, "The classification was raised")
        now = self._clock()

        def note(connection: Connection) -> None:
            outbox.mark_done(connection, row.row)
            message_ids = [message_id for _, message_id in taken.messages]
            forget_messages(connection, row.card_id, message_ids)
            card = card_by_id(connection, row.card_id)
            hidden = card is not None and card.state in LIVE and card.message_id is None
            if hidden and not outbox.has_unsent(connection, row.card_id, "issue"):
                outbox.enqueue_card(
                    connection, row.card_id, row.stream, part="issue", key=None, now=now
                )
            write_audit(
                connection,
                now,
                "messages-taken-back",
                event_id=taken.event_id,
                card_id=row.card_id,
                detail=str(len(taken.messages)),
            )

        await in_store(self._engine, note)
        self._metrics.messages.labels(part=row.part, result="sent").inc()

    async def _sent(
        self, row: Row[Any], room_id: str, message_id: str, content: Mapping[str, Any]
    ) -> None:
        now = self._clock()
        # The content names its reader, also when it was fixed before a restart.
        mentioned = content.get("m.mentions", {}).get("user_ids", [])

        def note(connection: Connection) -> datetime | None:
            outbox.mark_sent(connection, row.row, message_id)
            if row.address is not None:
                note_sent(connection, row, room_id, message_id)
            if row.part == "issue" and mentioned:
                note_issued(connection, row.card_id, mentioned[0], room_id, message_id)
                enqueue_documents(connection, row, now)
                if self._polls:
                    outbox.enqueue_card(
                        connection,
                        row.card_id,
                        row.stream,
                        part="poll",
                        key=f"poll|{row.key}",
                        now=now,
                    )
                write_audit(
                    connection,
                    now,
                    "card-shown",
                    actor=mentioned[0],
                    card_id=row.card_id,
                    matrix_event_id=message_id,
                )
            elif row.part in {"poll", "line"}:
                note_message(connection, row.card_id, room_id, message_id)
            made: datetime | None = row.made_at if row.part == "issue" else None
            return made

        made_at = await in_store(self._engine, note)
        if made_at is not None:
            self._metrics.delay.observe((now - made_at).total_seconds())
        self._metrics.messages.labels(part=row.part, result="sent").inc()

    async def _settle(self, row: Row[Any], decision: Again | Permanent) -> bool:
        """Note what was decided; True when the next of the stream can go at once."""
        now = self._clock()

        def note(connection: Connection) -> None:
            if isinstance(decision, Again):
                outbox.try_again(
                    connection,
                    row.row,
                    decision.at,
                    decision.reason,
                    # What is addressed has a stream of its own, whose order holds.
                    waiting=decision.waiting and row.address is None,
                )
                if decision.waiting and (row.card_id or row.address) is not None:
                    # Nothing left the house: the next attempt is made for whoever holds it then.
                    outbox.unfix_content(connection, row.row)
                return
            settle = outbox.mark_moot if decision.moot else outbox.mark_dead
            settle(connection, row.row, decision.reason)
            write_audit(
                connection,
                now,
                "message-not-sent",
                reason=decision.reason,
                card_id=row.card_id,
                detail=row.part,
            )

        await in_store(self._engine, note)
        again = isinstance(decision, Again)
        result = "again" if isinstance(decision, Again) else "moot" if decision.moot else "dead"
        self._metrics.messages.labels(part=row.part, result=result).inc()
        log.info(
            "message-waits" if again else "message-not-sent",
            reason=decision.reason,
            part=row.part,
            card=row.card_id,
        )
        return not again


def _composed(
    composer: Composer, connection: Connection, row: Row[Any]
) -> Composed | TakenBack | Again | Permanent:
    if row.address is not None:
        return compose_addressed(composer, connection, row)
    if row.about_post is not None:
        return compose_digest(composer, connection, row)
    return composer.compose(connection, row)


def _still_fits(connection: Connection, row: Row[Any], composed: Composed) -> bool:
    """Whether the grade of what is told is what it was when it was composed."""
    if row.address is not None:
        return may_be_told(connection, row)
    if row.about_post is not None:
        return True
    card = card_by_id(connection, row.card_id)
    return card is not None and card.grade == composed.grade
