"""Finds the posts that get a card of an event: those it names, else those the store knows of."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from rabta_bots.cards.kinds import CardKind, Readers
from rabta_bots.closing import actor_of
from rabta_bots.store.cards import HOLDING, holding_cards, last_card
from rabta_contract.event import Event
from rabta_contract.vocabulary import EventType


@dataclass(frozen=True, slots=True)
class Addressing:
    """Finds posts in the store.

    Args:
        stream: The stream of the event's paper.
        registry_post: The post that issues and receives papers (R&I), if the settings name it.
    """

    connection: Connection
    stream: str
    registry_post: str | None = None

    def posts(self, event: Event, named: Iterable[str], readers: Readers) -> list[str]:
        """The posts that get a card, each once.

        Args:
            event: As stored.
            named: The posts that the event names.
            readers: Who is looked for beside them, or in their place.
        """
        posts = list(named)
        if readers is Readers.HOLDERS:
            if event.data.movement is None:
                posts = [*self._holders(event), *posts]
        elif not posts:
            posts = self._found(event, readers)
        return list(dict.fromkeys(posts))

    def _found(self, event: Event, readers: Readers) -> list[str]:
        finders: dict[Readers, Callable[[Event], list[str]]] = {
            Readers.ACTOR: lambda event: [actor_of(event)],
            Readers.REGISTRY: lambda event: [self.registry_post or actor_of(event)],
            Readers.INITIATOR: self._initiator,
            Readers.SUBMITTER: lambda event: self._sender(EventType.DRAFT_SUBMITTED, event),
            Readers.REFERRER: lambda event: self._sender(EventType.REFERENCE_SENT, event),
        }
        find = finders.get(readers)
        return find(event) if find is not None else []

    def _holders(self, event: Event) -> list[str]:
        """The posts that have the paper before them now."""
        overdue_reply = event.kind is EventType.REFERENCE_OVERDUE
        return [
            card.post_id
            for card in holding_cards(self.connection, self.stream)
            if (card.kind == CardKind.REFERENCE) == overdue_reply
        ]

    def _initiator(self, event: Event) -> list[str]:
        """Who put up what was decided."""
        card = last_card(self.connection, self.stream, CardKind.FILE, post_id=actor_of(event))
        movement = Event.model_validate(card.event).data.movement if card is not None else None
        return [movement.from_.post_id] if movement is not None else []

    def _sender(self, answered: EventType, event: Event) -> list[str]:
        """Who submitted the draft, or sent the reference, that the event answers."""
        kind = CardKind.DRAFT if answered is EventType.DRAFT_SUBMITTED else CardKind.REFERENCE
        card = last_card(self.connection, self.stream, kind, event_type=answered.value)
        if card is None:
            return []
        sent = Event.model_validate(card.event)
        movement = sent.data.movement
        sender = movement.from_.post_id if movement is not None else actor_of(sent)
        return [sender] if sender != actor_of(event) else []


def already_told(connection: Connection, stream: str, post_id: str, event: Event) -> bool:
    """Whether the post was told the same of the same deadline, by e-Office or by the clock."""
    card = last_card(connection, stream, CardKind.DEADLINE, post_id=post_id, event_type=event.type)
    told = Event.model_validate(card.event).data.deadline if card is not None else None
    mine = event.data.deadline
    return told is not None and mine is not None and (told.kind, told.due) == (mine.kind, mine.due)


def may_be_reminded(
    connection: Connection, stream: str, post_id: str, now: datetime, gap: timedelta
) -> str | None:
    """Why a post is not reminded of a paper now (a reason code), or None when it is.

    Who has acted is left in peace, and nobody is chased twice within `gap`.
    """
    card = last_card(connection, stream, CardKind.FILE, post_id=post_id)
    if card is not None and card.state not in HOLDING:
        return "has-acted"
    before = last_card(connection, stream, CardKind.REMINDER, post_id=post_id)
    if before is not None and now - before.made_at < gap:
        return "reminded-just-now"
    return None
