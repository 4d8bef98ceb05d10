"""Turns one stored event into its consequences: charges, cards, cards closed. One transaction."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row

from rabta_bots.cards.kinds import KIND_OF_EVENT, CardKind
from rabta_bots.charges import Charge
from rabta_bots.grades import Allowance, allowance
from rabta_bots.store.audit import write_audit
from rabta_bots.store.cards import (
    LIVE,
    OPEN,
    close_card,
    last_file_card,
    live_cards_of_file,
    make_card,
)
from rabta_bots.store.events import PLANNED, UNBRIDGED, set_event_state
from rabta_bots.store.files import note_file
from rabta_bots.store.posts import assume, known_posts, relinquish, remember_post
from rabta_contract.event import Event
from rabta_contract.vocabulary import DecisionOutcome, EventType, Grade
from rabta_policy import Policy

MOVING = (EventType.FILE_MARKED, EventType.FILE_RETURNED, EventType.FILE_REFERRED)
ENDING = (EventType.FILE_CLOSED, EventType.FILE_RECORDED, EventType.FILE_PARKED)

# What a file's leaving a post means for the card of that post.
LEFT_BY = {
    EventType.FILE_MARKED: "forwarded",
    EventType.FILE_REFERRED: "forwarded",
    EventType.FILE_RETURNED: "returned_with_observations",
}


@dataclass(frozen=True, slots=True)
class Planner:
    """Plans events under a policy.

    Args:
        policy: In force now.
        card_lifetime: How long a card takes commands.
    """

    policy: Policy
    card_lifetime: timedelta

    def plan(self, connection: Connection, row: Row[Any], now: datetime) -> bool:
        """Do what the event asks for; True when it made or closed a card or changed a charge."""
        grade = Grade(row.grade)
        event = Event.model_validate(row.event) if row.event else None
        changed = False
        if event is not None:
            if event.data.file is not None:
                file = event.data.file
                note_file(connection, file.file_id, file.file_no, grade.value)
            changed = self._charge(connection, event)
            changed = self._close_cards(connection, event, now) or changed
        allowed = allowance(self.policy, grade)
        if allowed is None:
            write_audit(
                connection,
                now,
                "not-bridged",
                reason="grade-not-bridged",
                actor=row.source,
                event_id=row.event_id,
                detail=row.type,
            )
            set_event_state(connection, row.row, UNBRIDGED)
            return changed
        made = self._make_cards(connection, row, event, allowed, now)
        set_event_state(connection, row.row, PLANNED if made or changed else UNBRIDGED)
        return made or changed

    def _charge(self, connection: Connection, event: Event) -> bool:
        told = event.data.charge
        if told is None:
            return False
        if event.kind is EventType.CHARGE_ASSUMED:
            remember_post(connection, told.post.model_dump(mode="json"))
            assume(
                connection,
                Charge(
                    told.post.post_id,
                    told.person_id,
                    told.kind.value,
                    told.decides,
                    told.from_,
                    told.until,
                ),
            )
            return True
        if event.kind is EventType.CHARGE_RELINQUISHED:
            ends = told.until or event.time
            relinquish(connection, told.post.post_id, told.person_id, told.kind.value, ends)
            return True
        return False

    def _close_cards(self, connection: Connection, event: Event, now: datetime) -> bool:
        file = event.data.file
        if file is None:
            return False
        actor = (event.data.on_behalf_of or event.data.actor.post).post_id
        closed = False
        for card in live_cards_of_file(connection, file.file_id):
            closing = _closing(event, card, actor)
            if closing is None:
                continue
            state, result = closing
            outcome: dict[str, Any] = {"result": result, "at": event.time.isoformat()}
            if event.data.decision is not None:
                outcome["note_para"] = event.data.decision.note_para
            only = LIVE if state == "decided" else (OPEN,)
            closed = close_card(connection, card.card_id, state, outcome, now, only=only) or closed
        return closed

    def _make_cards(
        self,
        connection: Connection,
        row: Row[Any],
        event: Event | None,
        allowed: Allowance,
        now: datetime,
    ) -> bool:
        kind = EventType(row.type) if row.type in set(EventType) else None
        card_kind = KIND_OF_EVENT.get(kind) if kind is not None else None
        if card_kind is None:
            return False
        posts = list(row.addressees)
        if not posts and event is not None and card_kind is CardKind.DECISION:
            posts = _initiators(connection, event)
        known = known_posts(connection, posts)
        made = False
        for post_id in posts:
            if post_id not in known:
                write_audit(
                    connection,
                    now,
                    "card-refused",
                    reason="unknown-post",
                    actor=row.source,
                    event_id=row.event_id,
                )
                continue
            movement = event.data.movement if event else None
            # Events of one file are shown in their order; others need none among each other.
            file_id = event.file_id if event else None
            make_card(
                connection,
                row.row,
                post_id,
                now,
                kind=(CardKind.NOTICE if event is None else card_kind).value,
                room_class=allowed.room_class,
                stream=f"file/{file_id}" if file_id else f"event/{row.row}",
                file_id=file_id,
                movement_no=movement.movement_no if movement else None,
                expires_at=now + self.card_lifetime,
            )
            made = True
        return made


def _closing(event: Event, card: Row[Any], actor: str) -> tuple[str, str] | None:
    """The state and the outcome that `event` gives a live card of its file, if any."""
    if event.kind is EventType.FILE_PULLED_BACK:
        return "withdrawn", "withdrawn"
    if event.kind in ENDING:
        return "superseded", "superseded"
    result = _left_with(event, card)
    if result is None:
        return None
    # The card of whoever acted shows the act; the cards of others are out of date.
    return ("decided", result) if card.post_id == actor else ("superseded", "superseded")


def _left_with(event: Event, card: Row[Any]) -> str | None:
    """With which outcome the file left the card's post, or None when it did not."""
    decision, movement = event.data.decision, event.data.movement
    if event.kind is EventType.DECISION_RECORDED and decision is not None:
        stays = decision.outcome is DecisionOutcome.DISCUSS
        return None if stays else decision.outcome.value
    if event.kind is None or event.kind not in LEFT_BY or movement is None:
        return None
    later = card.movement_no is None or card.movement_no < movement.movement_no
    return LEFT_BY[event.kind] if later else None


def _initiators(connection: Connection, event: Event) -> list[str]:
    """Who put up what was decided, where the event itself does not say whom to tell."""
    file = event.data.file
    if file is None:
        return []
    actor = (event.data.on_behalf_of or event.data.actor.post).post_id
    card = last_file_card(connection, file.file_id, actor)
    movement = Event.model_validate(card.event).data.movement if card is not None else None
    return [movement.from_.post_id] if movement is not None else []
