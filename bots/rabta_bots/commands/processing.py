"""Carries one received message through: read, judged, and given to the verb's own house.

One transaction each. A new verb stands in three places: its words in `grammar.py`, its act in a
file of its own, and one line in one of the two tables here.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from rabta_bots.commands import (
    announcing,
    chasing,
    consulting,
    deciding,
    filing,
    gathering,
    papers,
    raising,
    talking,
)
from rabta_bots.commands.conversation import Conversation, Desk
from rabta_bots.commands.finding import holds
from rabta_bots.commands.grammar import OF_A_REQUEST, Misread, Said, Talk, Verb
from rabta_bots.commands.judging import Letter, Refusal, judge_letter
from rabta_bots.commands.reading import Reading, read
from rabta_bots.composing import Composer
from rabta_bots.matrix import Received
from rabta_bots.officers import Officer, officer_of_user
from rabta_bots.store.cards import card_of_message
from rabta_bots.store.outbox import on_its_way
from rabta_bots.store.rooms import PostRoom, post_of_room
from rabta_bots.store.shared_rooms import room_with_id
from rabta_contract.vocabulary import CommandVerb

# Answered in whatever room the officer and the bridge share; no file is asked for by name.
ANYWHERE: Mapping[Verb, Callable[[Conversation, Officer, Said], str]] = {
    Talk.HELP: talking.give_help,
    Talk.LANG: talking.set_language,
    Talk.PENDING: talking.list_pending,
    Talk.CLASS: raising.ask_for_class,
}

# Taken in the room of a post, from whoever holds the post now.
AT_A_DESK: Mapping[Verb, Callable[[Conversation, Desk, Said], str]] = {
    **dict.fromkeys(CommandVerb, deciding.decide),
    CommandVerb.ACKNOWLEDGE: announcing.acknowledge,
    CommandVerb.REMIND: chasing.remind,
    Talk.YES: announcing.confirm,
    Talk.NO: announcing.confirm,
    Talk.ANNOUNCE: announcing.announce,
    Talk.REPORT: announcing.report,
    Talk.HISTORY: papers.history,
    Talk.OPEN: papers.open_link,
    Talk.CASE: gathering.open_case,
    Talk.CONSULT: consulting.consult,
    Talk.ACCEPT: consulting.answer,
    Talk.DECLINE: consulting.answer,
    Talk.FILE: filing.file_document,
}


def four_digits() -> str:
    """A code that a person types back: it shows that the question was read."""
    return f"{secrets.randbelow(10_000):04d}"


HELD = "held"
"""The result of a message that answers what is still being noted as sent: it is read later."""

_HELD_FOR = timedelta(minutes=2)


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
        """Do what the message asks; gives the result for the metrics: a reason code or a word.

        Of `HELD` nothing was done; it and what follows it in its room come again.
        """
        reading = read(received) if received.sender != self.bot else None
        if reading is None:
            return "ignored"
        if self._too_early(connection, received, reading):
            return HELD
        room = post_of_room(connection, received.room_id)
        if room is None and self._among_others(connection, received.room_id, reading):
            return "ignored"
        officer = officer_of_user(connection, self.composer.directory, received.sender)
        refusal = judge_letter(self._letter(received, reading, officer))
        # Talk is not answered in a room of somebody else's, nor with whoever may not command.
        chatter = isinstance(reading.said, Misread) and room is None
        if chatter or (refusal is not None and reading.said is Misread.UNKNOWN_COMMAND):
            return "ignored"
        talk = Conversation(
            self.composer, connection, received, reading, officer, self.window, self.make_code
        )
        if refusal is not None or officer is None:
            return talk.refuse(refusal or Refusal.UNKNOWN_PERSON)
        return self._said(talk, officer, room)

    def _said(self, talk: Conversation, officer: Officer, room: PostRoom | None) -> str:
        said = talk.reading.said
        if isinstance(said, Misread):
            return talk.refuse(said)
        if said.verb in ANYWHERE:
            return ANYWHERE[said.verb](talk, officer, said)
        if room is None:
            return talk.refuse(Refusal.NOT_A_POST_ROOM)
        if not holds(talk.connection, self.composer, officer, room.post_id):
            return talk.refuse(Refusal.NOT_HOLDER)
        return AT_A_DESK[said.verb](talk, Desk(officer, room), said)

    def _too_early(self, connection: Connection, received: Received, reading: Reading) -> bool:
        """Whether it may answer a message of ours that is not noted as sent yet.

        The homeserver has such a message, and officers see it, before we have its answer; when
        that is lost, until we have sent it again. Nobody waits longer than `_HELD_FOR`.
        """
        since = datetime.fromtimestamp(received.origin_server_ts / 1000, UTC)
        if not reading.targets or abs(self.composer.now - since) > _HELD_FOR:
            return False
        known = any(
            card_of_message(connection, received.room_id, target) for target in reading.targets
        )
        return not known and on_its_way(connection, received.room_id)

    def _among_others(self, connection: Connection, room_id: str, reading: Reading) -> bool:
        """Whether people talk with each other in a room of several posts, and not to us."""
        return self.bot not in reading.mentions and room_with_id(connection, room_id) is not None

    def _letter(self, received: Received, reading: Reading, officer: Officer | None) -> Letter:
        said = reading.said
        guests = isinstance(said, Said) and said.verb in OF_A_REQUEST
        return Letter(
            encrypted=received.encrypted,
            device=received.device,
            edited=reading.edited,
            forwarded=reading.forwarded,
            sender_server=received.sender.partition(":")[2],
            own_server=self.composer.server_name,
            known_person=officer is not None,
            guests_may=guests,
        )
