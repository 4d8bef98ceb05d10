"""Carries one received message through: read, judge, answer, ask or queue. One transaction each."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from rabta_bots.cards.content import answer_message
from rabta_bots.cards.view import number_of
from rabta_bots.cards.wording import say
from rabta_bots.commands import answers
from rabta_bots.commands.confirming import Confirming
from rabta_bots.commands.finding import (
    Found,
    Missing,
    card_state,
    find_card,
    holds,
    listing,
)
from rabta_bots.commands.grammar import Misread, Said, Talk
from rabta_bots.commands.judging import (
    Letter,
    Refusal,
    judge_command,
    judge_letter,
    needs_confirmation,
)
from rabta_bots.commands.reading import Reading, read
from rabta_bots.composing import Composer
from rabta_bots.matrix import Received
from rabta_bots.names import command_id, transaction_id
from rabta_bots.officers import Officer, officer_of_user, posts_held
from rabta_bots.store.audit import write_audit
from rabta_bots.store.cards import open_cards
from rabta_bots.store.commands import ASKED, add_command
from rabta_bots.store.outbox import enqueue_words
from rabta_bots.store.posts import choose_language
from rabta_bots.store.rooms import PostRoom, post_of_room
from rabta_contract.vocabulary import CommandVerb

# A command that e-Office could not take for this long is reported as not delivered.
PATIENCE = timedelta(hours=24)

# Answered at once; nothing of a file is asked.
TALKERS = frozenset({Talk.HELP, Talk.LANG, Talk.PENDING})


def four_digits() -> str:
    """A code that a person types back: it shows that the question was read."""
    return f"{secrets.randbelow(10_000):04d}"


@dataclass(frozen=True, slots=True)
class Processing:
    """Processes messages as of one moment.

    Args:
        composer: The policy, directory and clock reading to judge by.
        bot: The bridge's own user id.
        window: How long a question stays open.
        make_code: Makes the code of a question.
    """

    composer: Composer
    bot: str
    window: timedelta
    make_code: Callable[[], str] = four_digits

    def process(self, connection: Connection, received: Received) -> str:
        """Do what the message asks; gives the result for the metrics (a reason code or a word)."""
        reading = read(received) if received.sender != self.bot else None
        if reading is None:
            return "ignored"
        room = post_of_room(connection, received.room_id)
        officer = officer_of_user(connection, self.composer.directory, received.sender)
        refusal = judge_letter(self._letter(received, reading, officer))
        # Talk is not answered in a room of somebody else's, nor with whoever may not command.
        chatter = isinstance(reading.said, Misread) and room is None
        if chatter or (refusal is not None and reading.said is Misread.UNKNOWN_COMMAND):
            return "ignored"
        talk = _Conversation(self, connection, received, officer)
        if refusal is not None or officer is None:
            return talk.refuse(refusal or Refusal.UNKNOWN_PERSON)
        return self._said(talk, reading, officer, room)

    def _said(
        self, talk: "_Conversation", reading: Reading, officer: Officer, room: PostRoom | None
    ) -> str:
        said = reading.said
        if isinstance(said, Misread):
            return talk.refuse(said)
        if said.verb in TALKERS:
            return talk.answer(self._talk(talk.connection, said, officer))
        if room is None:
            return talk.refuse(Refusal.NOT_A_POST_ROOM)
        if not holds(talk.connection, self.composer, officer, room.post_id):
            return talk.refuse(Refusal.NOT_HOLDER)
        if isinstance(said.verb, CommandVerb):
            return self._command(talk, reading.targets, (said.verb, said), officer, room)
        return self._confirmation(talk, said, officer, room)

    def _letter(self, received: Received, reading: Reading, officer: Officer | None) -> Letter:
        return Letter(
            encrypted=received.encrypted,
            device=received.device,
            edited=reading.edited,
            forwarded=reading.forwarded,
            sender_server=received.sender.partition(":")[2],
            own_server=self.composer.server_name,
            known_person=officer is not None,
        )

    def _talk(self, connection: Connection, said: Said, officer: Officer) -> str:
        """The answer to what is said to the bridge itself."""
        if said.verb is Talk.HELP:
            return answers.help_text(officer.language)
        if said.verb is Talk.LANG:
            choose_language(connection, officer.person_id, said.words)
            return say(said.words, answers.LANGUAGE_SET)
        posts = posts_held(connection, officer.person_id, self.composer.now)
        cards = open_cards(connection, posts)
        if not cards:
            return say(officer.language, answers.REFUSALS[Refusal.NOTHING_PENDING])
        return "\n".join([say(officer.language, answers.PENDING_LIST), *listing(cards)])

    def _confirmation(
        self, talk: "_Conversation", said: Said, officer: Officer, room: PostRoom
    ) -> str:
        confirming = Confirming(talk.connection, self.composer, officer, room)
        cancels = said.verb is Talk.NO
        result = confirming.cancel() if cancels else confirming.confirm(said.words)
        if isinstance(result, Refusal):
            return talk.refuse(result)
        talk.audit("command-cancelled" if cancels else "command-queued", card_id=result)
        talk.answer(say(officer.language, answers.CANCELLED if cancels else answers.SENT))
        return "cancelled" if cancels else "queued"

    def _command(
        self,
        talk: "_Conversation",
        targets: tuple[str, ...],
        command: tuple[CommandVerb, Said],
        officer: Officer,
        room: PostRoom,
    ) -> str:
        verb, said = command
        found = find_card(talk.connection, room, said.card, targets)
        if isinstance(found, Missing):
            return talk.refuse(found.refusal, found.listing)
        state = card_state(talk.connection, found, officer, self.composer)
        refusal = judge_command(verb, state, self.composer.now)
        if refusal is not None:
            return talk.refuse(refusal, card_id=found.row.card_id)
        asks = needs_confirmation(verb, state.decide)
        key = self._keep(talk, verb, said.words, found, officer, asks=asks)
        if asks:
            return "asked"
        late = Confirming(talk.connection, self.composer, officer, room).queue(key)
        if late is not None:
            return talk.refuse(late, card_id=found.row.card_id)
        talk.audit("command-queued", card_id=found.row.card_id, detail=verb.value)
        return "queued"

    def _keep(
        self,
        talk: "_Conversation",
        verb: CommandVerb,
        words: str,
        found: Found,
        officer: Officer,
        *,
        asks: bool,
    ) -> str:
        """Keep the command and, where it needs one, put the question; gives the command's id."""
        received, now, card = talk.received, self.composer.now, found.row
        code = self.make_code() if asks else None
        key = command_id(card.card_id, card.event_id, received.event_id)
        to_post = words if verb is CommandVerb.FORWARD else None
        add_command(
            talk.connection,
            now,
            command_id=key,
            card_id=card.card_id,
            verb=verb.value,
            to_post=to_post,
            remarks=words if verb is CommandVerb.RETURN else None,
            person_id=officer.person_id,
            matrix_user=officer.user_id,
            room_id=received.room_id,
            asked_by=received.event_id,
            code=code,
            state=ASKED,
            confirm_until=now + self.window,
            give_up_at=now + PATIENCE,
        )
        if code is not None:
            number = number_of(self.composer.facts(talk.connection, card, may_decide=False))
            talk.audit("command-asked", card_id=card.card_id, detail=verb.value)
            talk.answer(
                answers.question(
                    officer.language, verb, number, card.movement_no, code=code, to_post=to_post
                )
            )
        return key


@dataclass(frozen=True, slots=True)
class _Conversation:
    """One message and the answers to it."""

    processing: Processing
    connection: Connection
    received: Received
    officer: Officer | None

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
        self, reason: str, listed: tuple[str, ...] = (), *, card_id: int | None = None
    ) -> str:
        """Queue the reason as a reply, and audit it without any content."""
        language = self.officer.language if self.officer else "en"
        self.answer(answers.refusal(language, reason, listed))
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

    @property
    def now(self) -> datetime:
        """The moment that everything of this message happens at."""
        return self.processing.composer.now
