"""Turns one stored event into its consequences: charges, cards, lines, notes. One transaction."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row

from rabta_bots.addressing import Addressing, already_told, may_be_reminded
from rabta_bots.cards.kinds import CardKind, Rule, Treatment, rule_of
from rabta_bots.cases import follow
from rabta_bots.charges import Charge
from rabta_bots.closing import LiveCard, actor_of, closing
from rabta_bots.grades import Allowance, allowance
from rabta_bots.reclassifying import settle_grade
from rabta_bots.store.audit import write_audit
from rabta_bots.store.cards import (
    EXPIRED,
    HOLDING,
    LIVE,
    OPEN,
    close_card,
    highest_movement,
    live_cards,
    make_card,
    posts_with_card,
    reclassify_card,
)
from rabta_bots.store.digests import note_for_digest
from rabta_bots.store.events import OWN, PLANNED, UNBRIDGED, set_event_state
from rabta_bots.store.files import note_file
from rabta_bots.store.outbox import enqueue_card
from rabta_bots.store.posts import assume, known_posts, relinquish, remember_post
from rabta_bots.threads import say_line
from rabta_bots.timekeeping import Timekeeper
from rabta_contract.event import Event
from rabta_contract.vocabulary import EventType, Grade
from rabta_policy import Policy


@dataclass(frozen=True, slots=True)
class Planned:
    """What came of an event.

    Args:
        changed: Whether there is something to show, or a charge to follow.
        stripped: Whether the store keeps less of a paper than before.
    """

    changed: bool
    stripped: bool = False


@dataclass(frozen=True, slots=True)
class Planner:
    """Plans events under a policy.

    Args:
        policy: In force now.
        card_lifetime: How long a card takes commands.
        reminder_gap: How long a post is left in peace after a reminder.
        registry_post: The post that issues and receives papers (R&I), if there is one.
        timekeeper: Keeps the deadlines; None where nothing is kept by the clock.
        kept_posts: Posts whose charges the directory keeps; e-Office's word on them is not taken.
    """

    policy: Policy
    card_lifetime: timedelta
    reminder_gap: timedelta = timedelta(minutes=5)
    registry_post: str | None = None
    timekeeper: Timekeeper | None = None
    kept_posts: Collection[str] = ()

    def plan(self, connection: Connection, row: Row[Any], now: datetime) -> Planned:
        """Do what the event asks for."""
        settled = settle_grade(connection, self.policy, row, now)
        allowed = allowance(self.policy, settled.grade)
        grade = settled.grade.value
        step = _Step(self, connection, row, settled.event, grade, allowed, now)
        changed = step.take()
        set_event_state(connection, row.row, PLANNED if changed else UNBRIDGED)
        return Planned(changed, settled.stripped)

    def replan(self, connection: Connection, row: Row[Any], now: datetime) -> list[str]:
        """Make the cards of an event planned before that are missing; gives their posts.

        Nothing else of it is done again: charges, files and closed cards have gone on since. Nor
        is a card made of a movement that the file has left behind.
        """
        event = Event.model_validate(row.event) if row.event else None
        allowed = allowance(self.policy, Grade(row.grade))
        rule = rule_of(row.type)
        if allowed is None or rule.treatment is not Treatment.CARD:
            return []
        movement = event.data.movement if event else None
        file_id = event.file_id if event is not None else None
        latest = highest_movement(connection, file_id) if file_id is not None else 0
        if movement is not None and movement.movement_no < latest:
            return []
        before = set(posts_with_card(connection, row.row))
        step = _Step(self, connection, row, event, row.grade, allowed, now)
        if step.make_cards(rule, allowed):
            set_event_state(connection, row.row, PLANNED)
        return [post for post in posts_with_card(connection, row.row) if post not in before]


@dataclass(frozen=True, slots=True)
class _Step:
    """One event on its way through.

    Args:
        event: As stored; None where nothing of it may be kept.
        grade: Under which it is shown.
        allowed: What the grade allows; None when it is not bridged.
    """

    planner: Planner
    connection: Connection
    row: Row[Any]
    event: Event | None
    grade: str
    allowed: Allowance | None
    now: datetime

    def take(self) -> bool:
        """Do all of it; True when there is something to show, or a charge to follow."""
        rule = rule_of(self.row.type)
        changed = False
        if self.event is not None:
            if self.event.data.file is not None:
                file = self.event.data.file
                note_file(self.connection, file.file_id, file.file_no, self.grade)
            changed = self._charge(self.event)
            if self.allowed is not None and rule.treatment is Treatment.LINE:
                # Before cards are closed: who had the paper until now reads why.
                changed = self._lines(self.event, self.allowed) or changed
            changed = self._close_cards(self.event) or changed
            changed = follow(self.connection, self.event, self.now) or changed
            self._keep_time(self.event)
            if rule.treatment is Treatment.DIGEST:
                changed = self._note(self.event) or changed
        if self.allowed is None:
            self._audit("not-bridged", reason="grade-not-bridged", detail=self.row.type)
        elif rule.treatment is Treatment.CARD:
            changed = self.make_cards(rule, self.allowed) or changed
        elif rule.treatment in {Treatment.AUDIT, Treatment.OPERATOR}:
            self._audit("event-kept", detail=self.row.type[:255])
        return changed

    @property
    def _stream(self) -> str:
        """In whose order the event's messages stand: of its paper, if it has one."""
        return self.row.paper or f"event/{self.row.row}"

    def _charge(self, event: Event) -> bool:
        told = event.data.charge
        if told is None:
            return False
        if told.post.post_id in self.planner.kept_posts:
            self._audit("charge-not-taken", reason="kept-by-directory", detail=told.post.post_id)
            return False
        if event.kind is EventType.CHARGE_ASSUMED:
            remember_post(self.connection, told.post.model_dump(mode="json"))
            assume(
                self.connection,
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
            relinquish(self.connection, told.post.post_id, told.person_id, told.kind.value, ends)
            return True
        return False

    def _lines(self, event: Event, allowed: Allowance) -> bool:
        """Queue a line in the file's thread, and below its live cards that may be told it."""
        stream = f"file/{event.file_id}" if event.file_id else self._stream
        rank = self.planner.policy.room_class(allowed.room_class).rank
        made = say_line(
            self.connection, event, self.row.row, room_class=allowed.room_class, now=self.now
        )
        for card in live_cards(self.connection, stream):
            above = rank > self.planner.policy.room_class(card.room_class).rank
            if card.kind != CardKind.FILE or above:
                continue
            enqueue_card(
                self.connection,
                card.card_id,
                card.stream,
                part="line",
                key=f"line|{card.card_id}|{self.row.row}",
                now=self.now,
                event_row=self.row.row,
            )
            made = True
        return made

    def _close_cards(self, event: Event) -> bool:
        closed = False
        streams = dict.fromkeys([self._stream, *_other_streams(event)])
        for card in [
            found for stream in streams for found in live_cards(self.connection, stream, HOLDING)
        ]:
            shown = Event.model_validate(card.event) if card.event else None
            live = LiveCard(CardKind(card.kind), card.post_id, card.movement_no, shown)
            end = closing(event, live)
            if end is None:
                continue
            if card.state == EXPIRED:
                # It has said already that it is over.
                reclassify_card(self.connection, card.card_id, state=end.state)
                continue
            outcome: dict[str, Any] = {"result": end.result, "at": event.time.isoformat()}
            if event.data.decision is not None:
                outcome["note_para"] = event.data.decision.note_para
            only = LIVE if end.state == "decided" else (OPEN,)
            closed = (
                close_card(self.connection, card.card_id, end.state, outcome, self.now, only=only)
                or closed
            )
        return closed

    def _keep_time(self, event: Event) -> None:
        timekeeper = self.planner.timekeeper
        if timekeeper is not None and self.row.paper is not None and self.row.via != OWN:
            timekeeper.follow(self.connection, self.row, event, self.now)

    def _note(self, event: Event) -> bool:
        """Note the event for the digest of the post that acted, and of those it names."""
        posts = [actor_of(event), *self.row.addressees]
        for post_id in known_posts(self.connection, posts):
            note_for_digest(self.connection, self.row.row, post_id)
        return False

    def make_cards(self, rule: Rule, allowed: Allowance) -> bool:
        """Make the event's cards, one for each reader that has none of it."""
        made = False
        have = set(posts_with_card(self.connection, self.row.row))
        posts = self._readers(rule)
        known = known_posts(self.connection, posts)
        if not posts:
            self._audit("card-refused", reason="no-addressee", detail=self.row.type)
        for post_id in posts:
            if post_id in have:
                continue
            if post_id not in known:
                self._audit("card-refused", reason="unknown-post")
                continue
            held_back = self._held_back(rule, post_id)
            if held_back is not None:
                self._audit("card-held-back", reason=held_back, detail=post_id)
                continue
            self._make_card(rule, allowed, post_id)
            made = True
        return made

    def _readers(self, rule: Rule) -> Sequence[str]:
        named: list[str] = list(self.row.addressees)
        if self.event is None:
            return named
        addressing = Addressing(self.connection, self._stream, self.planner.registry_post)
        return addressing.posts(self.event, named, rule.readers)

    def _held_back(self, rule: Rule, post_id: str) -> str | None:
        if self.event is None:
            return None
        if rule.kind is CardKind.DEADLINE:
            told = already_told(self.connection, self._stream, post_id, self.event)
            return "told-already" if told else None
        if rule.kind is not CardKind.REMINDER:
            return None
        return may_be_reminded(
            self.connection, self._stream, post_id, self.now, self.planner.reminder_gap
        )

    def _make_card(self, rule: Rule, allowed: Allowance, post_id: str) -> None:
        movement = self.event.data.movement if self.event else None
        kind = CardKind.NOTICE if self.event is None or rule.kind is None else rule.kind
        make_card(
            self.connection,
            self.row.row,
            post_id,
            self.now,
            kind=kind.value,
            room_class=allowed.room_class,
            # Events of one paper are shown in their order; others need none among each other.
            stream=self._stream if self.event is not None else f"event/{self.row.row}",
            file_id=self.event.file_id if self.event else None,
            movement_no=movement.movement_no if movement else None,
            expires_at=self.now + self.planner.card_lifetime,
        )

    def _audit(self, what: str, *, reason: str | None = None, detail: str | None = None) -> None:
        write_audit(
            self.connection,
            self.now,
            what,
            reason=reason,
            actor=self.row.source,
            event_id=self.row.event_id,
            detail=detail,
        )


def _other_streams(event: Event) -> list[str]:
    """Where cards of the event's papers may stand beside its own stream."""
    receipt = event.data.receipt
    return [f"receipt/{receipt.receipt_id}"] if receipt is not None else []
