"""Carries `class` to the homeserver: kept with the message, brought there, answered, then left.

The homeserver's door judges whether the officer may, and sends the label in the officer's name; the
bridge has no power of its own in anybody's room. It answers where it was asked, and leaves a room
that it was invited to only for this.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy import Connection, Engine, Row

from rabta_bots.cards.content import answer_message
from rabta_bots.chat import Chat
from rabta_bots.clock import Clock
from rabta_bots.commands import answers
from rabta_bots.commands.conversation import Conversation
from rabta_bots.commands.grammar import Said
from rabta_bots.commands.judging import ClassRefusal
from rabta_bots.directory import Directory
from rabta_bots.matrix import MatrixError
from rabta_bots.names import transaction_id
from rabta_bots.officers import Officer, officer_of_user
from rabta_bots.retrying import backoff
from rabta_bots.store.audit import write_audit
from rabta_bots.store.class_commands import (
    ANSWERED,
    ENDED,
    add_class_command,
    answer_key,
    due_class_commands,
    note_class_command,
    settled_class_commands,
)
from rabta_bots.store.opening import in_store
from rabta_bots.store.outbox import enqueue_words

log = structlog.get_logger("rabta.bridge.raising")

PATIENCE = timedelta(hours=24)


def ask_for_class(talk: Conversation, officer: Officer, said: Said) -> str:
    """Keep what the officer said; the message is done with it in one transaction."""
    room_class, _, room = said.words.partition(" ")
    add_class_command(
        talk.connection,
        talk.now,
        asked_by=talk.received.event_id,
        said_in=talk.received.room_id,
        room=room or None,
        room_class=room_class,
        matrix_user=officer.user_id,
        give_up_at=talk.now + PATIENCE,
    )
    talk.audit("class-asked", detail=_class_word(room_class))
    return "queued"


class Raising:
    """Brings every kept command to the homeserver, once, and tells the officer."""

    def __init__(
        self, *, chat: Chat, engine: Engine, clock: Clock, directory: Callable[[], Directory]
    ) -> None:
        self._chat = chat
        self._engine = engine
        self._clock = clock
        self._directory = directory

    async def carry_due(self) -> int:
        """Bring what is due and leave where nothing more is to say; gives how many moved on."""
        now = self._clock()
        due = await in_store(self._engine, lambda connection: due_class_commands(connection, now))
        settled = await in_store(
            self._engine, lambda connection: settled_class_commands(connection, now)
        )
        return sum([await self._carry(row) for row in due]) + sum(
            [await self._part(row) for row in settled]
        )

    async def _carry(self, row: Row[Any]) -> bool:
        """Raise it. A repeat after a crash does no harm: the same label is no new event."""
        now = self._clock()
        try:
            before = await self._chat.raise_class(
                row.room or row.said_in, row.room_class, officer=row.matrix_user
            )
        except MatrixError as error:
            if not error.permanent and now < row.give_up_at:
                await self._again(row, error.reason)
                return False
            reason = error.reason if error.reason in set(ClassRefusal) else None
            late = ClassRefusal.HOMESERVER_UNREACHABLE
            await self._tell(
                row, reason or (ClassRefusal.DOOR_REFUSED if error.permanent else late)
            )
        else:
            await self._tell(row, None, before)
        return True

    async def _again(self, row: Row[Any], reason: str) -> None:
        at = self._clock() + backoff(row.attempts)
        log.warning("class-waits", reason=reason, attempts=row.attempts + 1)
        await in_store(
            self._engine,
            lambda connection: note_class_command(
                connection, row.asked_by, attempts=row.attempts + 1, next_at=at, reason=reason
            ),
        )

    async def _tell(self, row: Row[Any], refusal: str | None, before: str = "") -> None:
        now, directory = self._clock(), self._directory()

        def tell(connection: Connection) -> None:
            officer = officer_of_user(connection, directory, row.matrix_user)
            language = officer.language if officer else "en"
            words = (
                answers.refusal(language, refusal)
                if refusal
                else answers.raised(language, row.room or "", row.room_class, before)
            )
            enqueue_words(
                connection,
                row.said_in,
                answer_key(row.asked_by),
                content=answer_message(words, reply_to=row.asked_by, mention=row.matrix_user),
                txn_id=transaction_id(row.asked_by, row.said_in, "class"),
                now=now,
            )
            write_audit(
                connection,
                now,
                "class-refused" if refusal else "class-raised",
                reason=refusal,
                actor=row.matrix_user,
                matrix_event_id=row.asked_by,
                detail=_class_word(row.room_class),
            )
            note_class_command(
                connection, row.asked_by, state=ANSWERED, attempts=0, next_at=now, reason=refusal
            )

        await in_store(self._engine, tell)

    async def _part(self, row: Row[Any]) -> bool:
        """Out of a room of other people's where the bridge was only asked to raise the class."""
        if row.room is None:
            try:
                left = await self._chat.leave_as_guest(row.said_in)
            except MatrixError as error:
                if not error.permanent:
                    await self._again(row, error.reason)
                    return False
                log.warning("room-not-left", reason=error.reason)
            else:
                log.info("class-room-done", left=left)
        await in_store(
            self._engine,
            lambda connection: note_class_command(connection, row.asked_by, state=ENDED),
        )
        return True


def _class_word(room_class: str) -> str | None:
    """The class for the audit, which holds no word that somebody made up."""
    return room_class if room_class in answers.CLASSES else None
