"""Composes what a queued row says, for whoever holds the post now, in one read of the store."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row

from rabta_bots.cards.content import MAX_BYTES, POLL_START, card_message, edit_of, poll, size_of
from rabta_bots.cards.kinds import CardKind, offered_verbs
from rabta_bots.cards.view import Facts, closed_card, number_of, pending_card
from rabta_bots.directory import Directory
from rabta_bots.grades import allowance
from rabta_bots.names import transaction_id
from rabta_bots.officers import Officer, holder_now, officer_of_user
from rabta_bots.retrying import Again, Permanent, without_reader
from rabta_bots.store.cards import LIVE, OPEN, card_by_id
from rabta_bots.store.outbox import NO_HOLDER
from rabta_bots.store.posts import post_names
from rabta_contract.event import Event
from rabta_contract.vocabulary import Grade
from rabta_policy import Action, ActionKind, Denied, Policy, Room, decide

# How much of subject and remarks is tried, until the message fits.
LIMITS = (2000, 1000, 500, 250, 120, 60, 0)


@dataclass(frozen=True, slots=True)
class Composed:
    """A message ready to be fixed and sent.

    Args:
        reader: Who must be able to read it; None where the room exists already.
        room_id: The room, or None when it is the post's room and may have to be made.
        post_room: Post and class of that room.
        basis: Event id and part, from which the transaction id is derived with the room.
    """

    event_type: str
    content: dict[str, Any]
    reader: Officer | None
    room_id: str | None
    post_room: tuple[str, str]
    basis: tuple[str, str]

    def txn_id(self, room_id: str) -> str:
        """The transaction id in the room that it turned out to be."""
        return transaction_id(self.basis[0], room_id, self.basis[1])


@dataclass(frozen=True, slots=True)
class Composer:
    """Composes under a policy, a directory and a moment."""

    policy: Policy
    directory: Directory
    server_name: str
    organisation: str
    zone: ZoneInfo
    now: datetime

    def compose(self, connection: Connection, row: Row[Any]) -> Composed | Again | Permanent:
        """The message of an outbox row about a card."""
        card = card_by_id(connection, row.card_id)
        if card is None:
            return Permanent("no-such-card")
        if row.part == "outcome":
            return self._outcome(connection, card)
        return self._issue(connection, row, card)

    def facts(self, connection: Connection, card: Row[Any], *, may_decide: bool) -> Facts:
        """What the card is made of, with the commands that its holder may give."""
        event = Event.model_validate(card.event) if card.event else None
        allowed = allowance(self.policy, Grade(card.grade))
        verbs = (
            offered_verbs(event, card.post_id, allowed, may_decide=may_decide)
            if event is not None and allowed is not None
            else ()
        )
        return Facts(
            number=card.card_id,
            kind=CardKind(card.kind),
            event=event,
            reference=card.event_id,
            post=post_names(connection, card.post_id),
            verbs=verbs,
        )

    def _issue(
        self, connection: Connection, row: Row[Any], card: Row[Any]
    ) -> Composed | Again | Permanent:
        live = LIVE if row.part == "issue" else (OPEN,)
        if card.state not in live:
            return Permanent("closed-before-shown", moot=True)
        held = holder_now(connection, self.directory, card.post_id, self.now)
        if held is None:
            return without_reader(NO_HOLDER, self.now)
        charge, officer = held
        refusal = self._may_reach(officer, card.room_class)
        if refusal is not None:
            return Permanent(refusal)
        facts = self.facts(connection, card, may_decide=charge.may_decide)
        part = str(row.key).replace("|", "-")
        if row.part == "poll":
            content = poll(number_of(facts), facts.verbs, officer.language)
            if content is None or card.room_id is None:
                return Permanent("nothing-to-poll", moot=True)
            event_type = POLL_START
        else:
            content = fitting(facts, officer, self.zone)
            event_type = "m.room.message"
        return Composed(
            event_type,
            content,
            officer,
            card.room_id if row.part == "poll" else None,
            (card.post_id, card.room_class),
            (card.event_id, part),
        )

    def _outcome(self, connection: Connection, card: Row[Any]) -> Composed | Permanent:
        if card.message_id is None or card.room_id is None:
            return Permanent("never-shown", moot=True)
        officer = (
            officer_of_user(connection, self.directory, card.issued_to) if card.issued_to else None
        )
        language = officer.language if officer else "en"
        facts = self.facts(connection, card, may_decide=False)
        view = closed_card(facts, language, self.zone, card.outcome)
        content = edit_of(card.message_id, card_message(view, language, None))
        return Composed(
            "m.room.message",
            content,
            None,
            card.room_id,
            (card.post_id, card.room_class),
            (card.event_id, f"outcome-{card.card_id}"),
        )

    def _may_reach(self, officer: Officer, room_class: str) -> str | None:
        """The reason code why a card must not go to the officer's server, or None."""
        if officer.server_name == self.server_name:
            return None
        action = Action(
            ActionKind.REFERENCE,
            origin=self.server_name,
            destination=officer.server_name,
            room=Room(None, room_class, self.organisation),
            actor=None,
        )
        verdict = decide(self.policy, action, self.now)
        return verdict.reasons[0].code if isinstance(verdict, Denied) else None


def fitting(facts: Facts, officer: Officer, zone: ZoneInfo) -> dict[str, Any]:
    """The card's content with as much of subject and remarks as 4 KiB hold."""
    content: dict[str, Any] = {}
    for limit in LIMITS:
        view = pending_card(facts, officer.language, zone, remarks_limit=limit)
        content = card_message(view, officer.language, officer.user_id)
        if size_of(content) <= MAX_BYTES:
            break
    return content
