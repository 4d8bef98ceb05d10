"""Tells an officer of a message that could not be read, once, and lets it be void.

Nothing is guessed: such a message is no command, not even when its key comes later. A copy of an
earlier ciphertext is nobody's message, so nobody is answered, but it stands in the audit.
"""

from collections.abc import Callable
from datetime import timedelta
from functools import partial

from sqlalchemy import Connection, Engine

from rabta_bots.cards.content import answer_message
from rabta_bots.chat import Chat
from rabta_bots.commands import answers
from rabta_bots.commands.judging import Refusal
from rabta_bots.composing import Composer
from rabta_bots.matrix import Undecryptable
from rabta_bots.metrics import Metrics
from rabta_bots.names import transaction_id
from rabta_bots.officers import officer_of_user
from rabta_bots.store.audit import write_audit
from rabta_bots.store.opening import in_store
from rabta_bots.store.outbox import enqueue_words

# What a homeserver made and no officer wrote.
FORGED = frozenset({"replayed", "wrong-room"})


class Unreadable:
    """Goes through what could not be read for a while.

    Args:
        composer: Gives the directory and the moment.
        after: How long a message waits for its key.
    """

    def __init__(
        self,
        *,
        chat: Chat,
        engine: Engine,
        metrics: Metrics,
        composer: Callable[[], Composer],
        after: timedelta,
    ) -> None:
        self._chat = chat
        self._engine = engine
        self._metrics = metrics
        self._composer = composer
        self._after = after

    async def tell_all(self) -> int:
        """Tell the senders; gives how many messages were given up."""
        found = self._chat.undecryptable(older_than=self._after)
        for event in found:
            told = await in_store(self._engine, partial(self._tell, event))
            self._metrics.unreadable.labels(result="told" if told else "ignored").inc()
        return len(found)

    def _tell(self, event: Undecryptable, connection: Connection) -> bool:
        composer = self._composer()
        officer = officer_of_user(connection, composer.directory, event.sender)
        told = (
            officer is not None
            and officer.server_name == composer.server_name
            and event.reason not in FORGED
        )
        if told and officer is not None:
            text = answers.refusal(officer.language, Refusal.UNREADABLE)
            enqueue_words(
                connection,
                event.room_id,
                f"unreadable|{event.event_id}",
                content=answer_message(text, reply_to=event.event_id, mention=event.sender),
                txn_id=transaction_id(event.event_id, event.room_id, "unreadable"),
                now=composer.now,
            )
        write_audit(
            connection,
            composer.now,
            "message-unreadable",
            reason=event.reason,
            actor=event.sender,
            matrix_event_id=event.event_id,
            detail="told" if told else "ignored",
        )
        self._chat.give_up(event.event_id, connection)
        return told
