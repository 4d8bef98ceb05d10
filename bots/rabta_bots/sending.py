"""Sends the outbox to Matrix: in each stream in order, each row once, failures as decisions."""

import asyncio
import functools
from collections.abc import Callable
from typing import Any

import structlog
from sqlalchemy import Connection, Engine, Row

from rabta_bots.addressed import note_sent
from rabta_bots.chat import Chat
from rabta_bots.clock import Clock
from rabta_bots.composing import Composed, Composer, TakenBack
from rabta_bots.fixing import Due, Judged, Message, composed, fix, take_due
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
        documents_queued: Called when documents wait behind a card that was shown.
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
        documents_queued: Callable[[], None],
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
        self._documents_queued = documents_queued
        self._under_way: dict[int, asyncio.Task[bool]] = {}
        self._broken: BaseException | None = None
        self._refilling: asyncio.TimerHandle | None = None

    async def send_due(self) -> None:
        """Begin with every row that is due and has a place, and come back when some are settled.

        A slow room holds up nobody else: its row keeps its place while others use the rest.

        Raises:
            Exception: What broke a row begun earlier; the row is due again.
        """
        if self._broken is not None:
            error, self._broken = self._broken, None
            raise error
        taken = tuple(self._under_way)
        free = PLACES - len(taken)
        if not free:
            return
        composer = self._composer()
        rows = await in_store(
            self._engine,
            lambda connection: take_due(connection, composer, self._chat, limit=free, taken=taken),
        )
        for due in rows:
            task = asyncio.create_task(self._send(due))
            self._under_way[due.row.row] = task
            task.add_done_callback(functools.partial(self._settled, due.row.row))

    def _settled(self, row: int, task: asyncio.Task[bool]) -> None:
        del self._under_way[row]
        if not task.cancelled() and (error := task.exception()) is not None:
            self._broken = error
        if self._refilling is None:
            # Others are about to be settled: one look at the outbox serves them all.
            self._refilling = asyncio.get_running_loop().call_later(REFILL_SECONDS, self._refill)

    def _refill(self) -> None:
        self._refilling = None
        self._wake()

    async def finish(self) -> None:
        """Wait until nothing is under way."""
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    async def _send(self, due: Due) -> bool:
        row, message = due.row, due.message
        try:
            if message is None:
                judged = due.judged or await self._judge(row)
                if isinstance(judged, TakenBack):
                    await self._take_back(row, judged)
                    return True
                if not isinstance(judged, Composed):
                    return await self._settle(row, judged)
                message = await self._fix(row, judged)
                if message is None:
                    await self._settle(row, Again(self._clock(), "grade-raised"))
                    return False
            message_id = await self._chat.send(
                message.room_id,
                message.content,
                txn_id=message.txn_id,
                event_type=message.event_type,
            )
        except MatrixError as error:
            return await self._settle(row, after_matrix_error(error, row.attempts, self._clock()))
        await self._sent(row, message, message_id)
        return True

    async def _judge(self, row: Row[Any]) -> Judged:
        if row.part == "report":
            await self._look_who_read(row.draft["number"])
        composer = self._composer()
        return await in_store(self._engine, lambda connection: composed(composer, connection, row))

    async def _fix(self, row: Row[Any], made: Composed) -> Message | None:
        """Fix a message once its room is there and its reader alone is in it; see `fix`."""
        room_id = made.room_id
        reader = made.reader.user_id if made.reader else ""
        if made.address is not None:
            room_id = await self._shared_rooms.room_for(made.address)
        elif room_id is None and made.post_room is not None:
            room_id = await self._rooms.room_for(*made.post_room, reader)
        if room_id is None:
            raise MatrixError("no-such-room", row.part, permanent=True)
        if reader:
            await self._rooms.keep_to(room_id, reader, "Cards here are for the holder of the post")
        found: str = room_id
        return await in_store(self._engine, lambda connection: fix(connection, row, made, found))

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

    async def _sent(self, row: Row[Any], message: Message, message_id: str) -> None:
        now, room_id = self._clock(), message.room_id
        # The content names its reader, also when it was fixed before a restart.
        mentioned = message.content.get("m.mentions", {}).get("user_ids", [])

        def note(connection: Connection) -> int:
            documents = 0
            outbox.mark_sent(connection, row.row, message_id)
            if row.address is not None:
                note_sent(connection, row, room_id, message_id)
            if row.part == "issue" and mentioned:
                note_issued(connection, row.card_id, mentioned[0], room_id, message_id)
                documents = enqueue_documents(connection, row, now)
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
            return documents

        if await in_store(self._engine, note):
            self._documents_queued()
        if row.part == "issue":
            self._metrics.delay.observe((now - row.made_at).total_seconds())
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
