"""Finds the card that a command means, and gathers what it is judged by. Reads only."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row

from rabta_bots.commands.answers import pending_line
from rabta_bots.commands.judging import CardState, Refusal
from rabta_bots.composing import Composer
from rabta_bots.grades import allowance
from rabta_bots.officers import Officer, holder_now
from rabta_bots.store.cards import card_by_id, card_of_message, highest_movement, open_cards
from rabta_bots.store.rooms import PostRoom
from rabta_contract.event import Event
from rabta_contract.vocabulary import Grade


@dataclass(frozen=True, slots=True)
class Found:
    """The card."""

    row: Row[Any]


@dataclass(frozen=True, slots=True)
class Missing:
    """Why there is no one card, with a list to choose from where there are several."""

    refusal: Refusal
    listing: tuple[str, ...] = ()


def find_card(
    connection: Connection, room: PostRoom, number: int | None, targets: Sequence[str]
) -> Found | Missing:
    """The card by its number, by the message that was replied to, or as the only one pending.

    Who replies to something that shows no card means something: what is pending is not guessed.
    """
    if number is not None:
        card = card_by_id(connection, number)
        mine = card is not None and card.post_id == room.post_id
        return Found(card) if card is not None and mine else Missing(Refusal.NO_SUCH_CARD)
    for target in targets:
        card = card_of_message(connection, room.room_id, target)
        if card is not None:
            return Found(card)
    pending = open_cards(connection, [room.post_id], room.room_id)
    if not pending:
        return Missing(Refusal.NOTHING_PENDING)
    if targets:
        return Missing(Refusal.NOT_A_CARD, listing(pending))
    if len(pending) == 1:
        return Found(pending[0])
    return Missing(Refusal.WHICH_CARD, listing(pending))


def holds(connection: Connection, composer: Composer, officer: Officer, post_id: str) -> bool:
    """Whether the officer holds the post now."""
    held = holder_now(connection, composer.directory, post_id, composer.now)
    return held is not None and held[1].person_id == officer.person_id


def listing(cards: Sequence[Row[Any]]) -> tuple[str, ...]:
    """One line a card: its number and the number of its file."""
    lines = []
    for card in cards:
        event = Event.model_validate(card.event)
        file = event.data.file
        lines.append(pending_line(card.card_id, file.file_no if file else card.event_id))
    return tuple(lines)


def card_state(
    connection: Connection, found: Found, officer: Officer, composer: Composer
) -> CardState:
    """What the card and the sender's charge are now."""
    card = found.row
    held = holder_now(connection, composer.directory, card.post_id, composer.now)
    is_held = held is not None and held[1].person_id == officer.person_id
    may_decide = bool(held and is_held and held[0].may_decide)
    allowed = allowance(composer.policy, Grade(card.grade))
    facts = composer.facts(connection, card, may_decide=may_decide)
    latest = highest_movement(connection, card.file_id) if card.file_id else 0
    return CardState(
        state=card.state,
        expires_at=card.expires_at,
        decide=allowed.decide if allowed else "no",
        movement_no=card.movement_no or 0,
        latest_movement=latest,
        held_by_sender=is_held,
        may_decide=may_decide,
        offered=facts.verbs,
    )
