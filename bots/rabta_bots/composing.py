"""Composes what a queued row says, for whoever holds the post now, in one read of the store."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row

from rabta_bots.addresses import Address, RoomKind
from rabta_bots.belonging import who_belongs
from rabta_bots.cards.attachments import Attachment
from rabta_bots.cards.content import (
    POLL_START,
    card_message,
    edit_of,
    fitting,
    line_message,
    poll,
)
from rabta_bots.cards.kinds import CardKind, offered_verbs
from rabta_bots.cards.view import Facts, closed_card, line, number_of, pending_card
from rabta_bots.directory import Directory
from rabta_bots.grades import allowance
from rabta_bots.names import transaction_id
from rabta_bots.officers import Officer, Roll, holder_now, officer_of_user, roll_now
from rabta_bots.retrying import Again, Permanent, without_reader
from rabta_bots.store.cards import LIVE, OPEN, card_by_id
from rabta_bots.store.documents import reasons_of
from rabta_bots.store.events import event_by_row
from rabta_bots.store.outbox import NO_HOLDER, outcome_follows, sent_of_card
from rabta_bots.store.posts import post_names
from rabta_bots.store.shared_rooms import posts_of
from rabta_contract.event import Event
from rabta_contract.vocabulary import Grade
from rabta_policy import Action, ActionKind, Denied, Policy, Reason, Room, decide


@dataclass(frozen=True, slots=True)
class Composed:
    """A message ready to be fixed and sent.

    Args:
        reader: Who must be able to read it; None where the room exists already.
        room_id: The room, or None when it is the post's room and may have to be made.
        post_room: Post and class of that room; None for a room of several posts.
        basis: Event id and part, from which the transaction id is derived with the room.
        grade: Under which grade of its paper it was composed.
        address: The room of several posts.
        documents_told: What it says of the card's documents; None where the card has none.
    """

    event_type: str
    content: dict[str, Any]
    reader: Officer | None
    room_id: str | None
    post_room: tuple[str, str] | None
    basis: tuple[str, str]
    grade: str = ""
    address: Address | None = None
    documents_told: dict[str, str] | None = None

    def txn_id(self, room_id: str) -> str:
        """The transaction id in the room that it turned out to be."""
        return transaction_id(self.basis[0], room_id, self.basis[1])


@dataclass(frozen=True, slots=True)
class TakenBack:
    """Messages to be redacted.

    Args:
        messages: Room and id of each.
        event_id: The event for which they are.
    """

    messages: tuple[tuple[str, str], ...]
    event_id: str


@dataclass(frozen=True, slots=True)
class Composer:
    """Composes under a policy, a directory and a moment."""

    policy: Policy
    directory: Directory
    server_name: str
    organisation: str
    zone: ZoneInfo
    now: datetime
    operators: tuple[str, ...] = ()
    announcers: frozenset[str] = frozenset()

    def compose(
        self, connection: Connection, row: Row[Any]
    ) -> Composed | TakenBack | Again | Permanent:
        """The message of an outbox row about a card."""
        card = card_by_id(connection, row.card_id)
        if card is None:
            return Permanent("no-such-card")
        if row.part == "redact":
            messages = sent_of_card(connection, card.card_id, row.row)
            raised = event_by_row(connection, row.about_event) if row.about_event else card
            return TakenBack(tuple(messages), raised.event_id)
        if row.part == "outcome":
            return self._outcome(connection, card)
        if row.part == "line":
            return self._line(connection, row, card)
        if row.part == "amend":
            return self._amend(connection, row, card)
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
            attachments=_attachments(connection, card.card_id, event),
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
        refusal = self.may_reach(officer, card.room_class)
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
            content = issued(facts, officer, self.zone)
            event_type = "m.room.message"
        return Composed(
            event_type,
            content,
            officer,
            card.room_id if row.part == "poll" else None,
            (card.post_id, card.room_class),
            (card.event_id, part),
            card.grade,
            documents_told=None if row.part == "poll" else _told(facts),
        )

    def _outcome(
        self, connection: Connection, card: Row[Any], part: str | None = None
    ) -> Composed | Permanent:
        if card.message_id is None or card.room_id is None:
            return Permanent("never-shown", moot=True)
        language = self._language(connection, card)
        facts = self.facts(connection, card, may_decide=False)
        message_id = card.message_id

        def edit(limit: int) -> dict[str, Any]:
            view = closed_card(facts, language, self.zone, card.outcome, remarks_limit=limit)
            return edit_of(message_id, card_message(view, language, None))

        return Composed(
            "m.room.message",
            fitting(edit),
            None,
            card.room_id,
            (card.post_id, card.room_class),
            (card.event_id, part or f"outcome-{card.card_id}"),
            card.grade,
            documents_told=_told(facts),
        )

    def _line(self, connection: Connection, row: Row[Any], card: Row[Any]) -> Composed | Permanent:
        """What happened to the file, in the thread below its card."""
        if card.message_id is None or card.room_id is None:
            return Permanent("never-shown", moot=True)
        stored = event_by_row(connection, row.about_event)
        if not stored.event or Grade(stored.grade).rank > Grade(card.grade).rank:
            return Permanent("above-the-room", moot=True)
        event = Event.model_validate(stored.event)
        language = self._language(connection, card)
        number = number_of(self.facts(connection, card, may_decide=False))

        def said(limit: int) -> dict[str, Any]:
            view = line(event, number, language, self.zone, remarks_limit=limit)
            return line_message([(view, language)], card.message_id)

        return Composed(
            "m.room.message",
            fitting(said),
            None,
            card.room_id,
            (card.post_id, card.room_class),
            (stored.event_id, f"line-{card.card_id}"),
            card.grade,
        )

    def _language(self, connection: Connection, card: Row[Any]) -> str:
        """The language of whoever was shown the card."""
        officer = (
            officer_of_user(connection, self.directory, card.issued_to) if card.issued_to else None
        )
        return officer.language if officer else "en"

    def _amend(self, connection: Connection, row: Row[Any], card: Row[Any]) -> Composed | Permanent:
        """The card as it is now, in the place of what was shown: something about it is new."""
        if outcome_follows(connection, row):
            return Permanent("told-later", moot=True)
        officer = (
            officer_of_user(connection, self.directory, card.issued_to) if card.issued_to else None
        )
        if card.message_id is None or card.room_id is None or officer is None:
            return Permanent("never-shown", moot=True)
        held = holder_now(connection, self.directory, card.post_id, self.now)
        facts = self.facts(connection, card, may_decide=held is not None and held[0].may_decide)
        if (_told(facts) or {}) == (card.documents_told or {}):
            return Permanent("nothing-new", moot=True)
        if card.state not in LIVE:
            # The edit that tells its outcome tells this too.
            return self._outcome(connection, card, f"amend-{row.row}")
        content = issued(facts, officer, self.zone)
        return Composed(
            "m.room.message",
            edit_of(card.message_id, content),
            None,
            card.room_id,
            (card.post_id, card.room_class),
            (card.event_id, f"amend-{row.row}"),
            card.grade,
            documents_told=_told(facts),
        )

    def readers_of(
        self, connection: Connection, address: Address, roll: Roll | None = None
    ) -> dict[str, Officer]:
        """Who belongs in a room of several posts now, by Matrix user; `roll` if it is at hand."""
        if address.kind is RoomKind.OPERATORS:
            return {user_id: Officer("", user_id, "en") for user_id in self.operators}
        roll = roll or roll_now(connection, self.directory, self.now)
        return who_belongs(address, posts_of(connection, address), roll, self.may_enter)

    def may_enter(self, officer: Officer, address: Address) -> bool:
        """Whether the officer may be in the room: of our own server, or let in by the policy."""
        if officer.server_name == self.server_name:
            return True
        both = (ActionKind.REFERENCE, ActionKind.INVITE)
        return address.kind is RoomKind.DIVISIONS and not any(
            self.judge(kind, officer.server_name, address.room_class) for kind in both
        )

    def judge(self, kind: ActionKind, server_name: str, room_class: str) -> Reason | None:
        """Why the policy does not let us do it to another server in a room of ours, or None."""
        room = Room(None, room_class, self.organisation)
        action = Action(kind, self.server_name, server_name, room)
        verdict = decide(self.policy, action, self.now)
        return verdict.reasons[0] if isinstance(verdict, Denied) else None

    def may_reach(self, officer: Officer, room_class: str) -> str | None:
        """The reason code why a card must not go to the officer's server, or None."""
        if officer.server_name == self.server_name:
            return None
        reason = self.judge(ActionKind.REFERENCE, officer.server_name, room_class)
        return reason.code if reason else None


def issued(facts: Facts, officer: Officer, zone: ZoneInfo) -> dict[str, Any]:
    """The card's content for an officer, with as much of subject and remarks as 4 KiB hold."""

    def card(limit: int) -> dict[str, Any]:
        view = pending_card(facts, officer.language, zone, remarks_limit=limit)
        return card_message(view, officer.language, officer.user_id)

    return fitting(card)


def _told(facts: Facts) -> dict[str, str] | None:
    """What words made of these facts say of the documents: by place, why one is not there."""
    if not facts.attachments:
        return None
    return {
        str(number): attachment.reason
        for number, attachment in enumerate(facts.attachments)
        if attachment.reason is not None
    }


def _attachments(
    connection: Connection, card_id: int, event: Event | None
) -> tuple[Attachment, ...]:
    documents = (event.data.documents if event else None) or ()
    reasons = reasons_of(connection, card_id) if documents else {}
    return tuple(
        Attachment(document.name, document.size, reasons.get(number))
        for number, document in enumerate(documents)
    )
