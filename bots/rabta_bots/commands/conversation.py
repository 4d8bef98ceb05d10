"""One message of an officer and the answers to it, inside one transaction."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from rabta_bots.cards.content import answer_message
from rabta_bots.commands import answers
from rabta_bots.commands.reading import Reading
from rabta_bots.composing import Composer
from rabta_bots.matrix import Received
from rabta_bots.names import transaction_id
from rabta_bots.officers import Officer
from rabta_bots.store.audit import write_audit
from rabta_bots.store.outbox import enqueue_words
from rabta_bots.store.rooms import PostRoom


@dataclass(frozen=True, slots=True)
class Desk:
    """An officer in the room of a post that the officer holds now."""

    officer: Officer
    room: PostRoom


@dataclass(frozen=True, slots=True)
class Conversation:
    """One message and the answers to it.

    Args:
        composer: The policy, directory and clock reading to judge by.
        officer: Who wrote it, where the directory names the account.
        window: How long a question stays open.
        make_code: Makes the code of a question.
    """

    composer: Composer
    connection: Connection
    received: Received
    reading: Reading
    officer: Officer | None
    window: timedelta
    make_code: Callable[[], str]

    @property
    def now(self) -> datetime:
        """The moment that everything of this message happens at."""
        return self.composer.now

    @property
    def language(self) -> str:
        """In which the sender is answered."""
        return self.officer.language if self.officer else "en"

    def answer(self, text: str) -> str:
        """Queue a reply."""
        received = self.received
        enqueue_words(
            self.connection,
            received.room_id,
            f"answer|{received.event_id}",
            content=answer_message(text, reply_to=received.event_id, mention=received.sender),
            txn_id=transaction_id(received.event_id, received.room_id, "answer"),
            now=self.now,
        )
        return "answered"

    def refuse(
        self,
        reason: str,
        listed: Sequence[str] = (),
        *,
        card_id: int | None = None,
        sentence: str | None = None,
    ) -> str:
        """Queue the reason as a reply, and audit it without any content.

        Args:
            reason: The stable code.
            listed: Lines below it.
            card_id: The card that it is about.
            sentence: What to say where the code is the judge's and not one of ours.
        """
        self.answer(answers.refusal(self.language, reason, listed, sentence))
        self.audit("command-refused", reason=str(reason), card_id=card_id)
        return str(reason)

    def audit(
        self,
        what: str,
        *,
        reason: str | None = None,
        card_id: int | None = None,
        detail: str | None = None,
    ) -> None:
        """Note what was done with the message."""
        write_audit(
            self.connection,
            self.now,
            what,
            reason=reason,
            actor=self.received.sender,
            card_id=card_id,
            matrix_event_id=self.received.event_id,
            detail=detail,
        )
