"""Keeps the deadline of a paper as its events tell it, and lets the clock speak where they do not.

What the clock says is an event of the bridge's own, under an id that follows from the deadline:
planned as e-Office's are, once, whichever process does it and however often it was restarted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row

from rabta_bots.cards.kinds import CardKind
from rabta_bots.closing import ENDING
from rabta_bots.deadlines import Running, Signal, due, look_at
from rabta_bots.store.cards import holding_cards
from rabta_bots.store.deadlines import (
    EOFFICE,
    LIMIT,
    OVER,
    RUNNING,
    change_deadline,
    deadline_of,
    deadlines_to_look_at,
    end_deadlines,
    set_deadline,
)
from rabta_bots.store.events import event_by_row, store_own_event
from rabta_bots.store.posts import superiors
from rabta_bots.working_days import WorkingDays
from rabta_contract.event import Deadline, Event, EventData, Party, Post
from rabta_contract.vocabulary import (
    DeadlineKind,
    DeadlineLevel,
    DecisionOutcome,
    EventType,
    Grade,
    Priority,
)

# Types that say themselves how far a deadline has come.
TELLING = {
    EventType.DEADLINE_APPROACHING: DeadlineLevel.YELLOW,
    EventType.DEADLINE_BREACHED: DeadlineLevel.RED,
    EventType.REFERENCE_OVERDUE: DeadlineLevel.RED,
}
# The paper comes to a post: without a deadline of e-Office's the default limit runs.
COMING = (EventType.FILE_MARKED, EventType.FILE_RETURNED, EventType.FILE_REFERRED)
# The date of these is when it is looked at again, not by when it must be disposed of.
RESTING = (EventType.FILE_PARKED, EventType.FILE_BROUGHT_UP)
FILED = (EventType.RECEIPT_FILED, EventType.RECEIPT_CLOSED)
ORDER = tuple(DeadlineLevel)


@dataclass(frozen=True, slots=True)
class Timekeeper:
    """Keeps deadlines.

    Args:
        organisation: Code of the ministry, in whose name the clock speaks.
        days: The office's calendar.
        limits: Working days by priority for a paper without a deadline; none: no limit.
        again: How long after the last word the holder of an overdue paper is reminded.
    """

    organisation: str
    days: WorkingDays
    limits: Mapping[Priority, int]
    again: timedelta | None

    @property
    def source(self) -> str:
        """The source of the bridge's own events."""
        return f"/bridge/{self.organisation}"

    def follow(self, connection: Connection, row: Row[Any], event: Event, now: datetime) -> None:
        """Take in what an event of e-Office says of its paper's time.

        Args:
            connection: The transaction in which the event is planned.
            row: The stored event; it has a paper.
            event: As stored.
            now: When.
        """
        kind, told = event.kind, event.data.deadline
        if kind in ENDING or kind in FILED or _disposed(event):
            end_deadlines(connection, row.paper)
        elif kind is EventType.FILE_PULLED_BACK:
            end_deadlines(connection, row.paper, origin=LIMIT)
        elif kind is EventType.REFERENCE_REPLIED:
            end_deadlines(connection, row.paper, kind=DeadlineKind.REPLY)
        elif told is not None and kind not in RESTING:
            self._set(connection, row, event, told, now)
        elif kind in COMING:
            self._limit(connection, row, event)

    def _set(
        self, connection: Connection, row: Row[Any], event: Event, told: Deadline, now: datetime
    ) -> None:
        level = TELLING.get(event.kind, DeadlineLevel.GREEN) if event.kind else DeadlineLevel.GREEN
        before = deadline_of(connection, row.paper, told.kind)
        same = before is not None and before.state == RUNNING and before.due == told.due
        if before is not None and same and _rank(before.told) >= _rank(level):
            change_deadline(connection, row.paper, told.kind, origin=EOFFICE)
            return
        at = None if level is DeadlineLevel.GREEN else now
        began = before.begins if before is not None and same else event.time
        self._write(connection, row, told.kind, EOFFICE, Running(began, told.due, level, at))

    def _limit(self, connection: Connection, row: Row[Any], event: Event) -> None:
        before = deadline_of(connection, row.paper, DeadlineKind.DISPOSAL)
        if before is not None and before.state == RUNNING and before.origin == EOFFICE:
            return
        days = self.limits.get(event.data.priority)
        if days is None:
            end_deadlines(connection, row.paper, kind=DeadlineKind.DISPOSAL)
            return
        ends = self.days.end_of_day(event.time, days)
        self._write(connection, row, DeadlineKind.DISPOSAL, LIMIT, Running(event.time, ends))

    def _write(
        self, connection: Connection, row: Row[Any], kind: str, origin: str, running: Running
    ) -> None:
        set_deadline(
            connection,
            row.paper,
            kind,
            origin=origin,
            event_row=row.row,
            begins=running.begins,
            due=running.due,
            told=running.told.value,
            told_at=running.told_at,
            reminded=running.reminded,
            state=RUNNING,
            look_at=look_at(running, self.days, self.again),
        )

    def speak(self, connection: Connection, now: datetime) -> list[int]:
        """Let the clock say what is due; gives the rows of its own new events, to be planned."""
        spoken = []
        for row in deadlines_to_look_at(connection, now):
            running = Running(
                row.begins, row.due, DeadlineLevel(row.told), row.told_at, row.reminded
            )
            signal = due(running, self.days, now, self.again)
            stored = event_by_row(connection, row.event_row)
            if signal is None or not stored.event:
                # The calendar has changed, or nothing of the paper is kept any more.
                later = look_at(running, self.days, self.again) if stored.event else None
                state = RUNNING if stored.event else OVER
                change_deadline(connection, row.paper, row.kind, look_at=later, state=state)
                continue
            told = self._tell(connection, row, stored, signal, now)
            spoken += [] if told is None else [told]
            after = Running(row.begins, row.due, signal.level, now, signal.reminder)
            change_deadline(
                connection,
                row.paper,
                row.kind,
                told=signal.level.value,
                told_at=now,
                reminded=signal.reminder,
                look_at=look_at(after, self.days, self.again),
            )
        return spoken

    def _tell(
        self,
        connection: Connection,
        row: Row[Any],
        stored: Row[Any],
        signal: Signal,
        now: datetime,
    ) -> int | None:
        """Store the bridge's own event; None where nobody has the paper, or it was told before."""
        cards = holding_cards(connection, row.paper)
        asked = [card.post_id for card in cards if card.kind == CardKind.REFERENCE]
        replies = row.kind == DeadlineKind.REPLY and bool(asked)
        has = asked if replies else [card.post_id for card in cards]
        if not has:
            return None
        holders = list(dict.fromkeys(has))
        event = self._event(row, stored, signal, now, overdue_reply=replies)
        red = signal.level is DeadlineLevel.RED and signal.reminder == 0
        above = superiors(connection, holders) if red else ()
        return store_own_event(
            connection,
            event,
            paper=row.paper,
            addressees=(*holders, *above),
            grade=stored.grade,
            now=now,
        )

    def _event(
        self,
        row: Row[Any],
        stored: Row[Any],
        signal: Signal,
        now: datetime,
        *,
        overdue_reply: bool,
    ) -> Event:
        told = Event.model_validate(stored.event).data
        office = Post(
            post_id=f"{self.organisation}-BRIDGE",
            designation="Rabta",
            designation_ur="رابطہ",
            org=self.organisation,
        )
        data = EventData(
            actor=Party(post=office),
            classification=Grade(stored.grade),
            priority=told.priority,
            file=told.file,
            receipt=told.receipt,
            deadline=Deadline(kind=row.kind, due=row.due, level=signal.level),
            links=told.links,
        )
        name = f"deadline-{row.deadline_id}-{row.due:%Y%m%dT%H%M%SZ}-{signal.level.value}"
        return Event(
            id=f"{name}-{signal.reminder}",
            source=self.source,
            type=_type_of(signal, overdue_reply=overdue_reply),
            subject=row.paper,
            time=now,
            sequence="0",
            data=data,
        )


def _type_of(signal: Signal, *, overdue_reply: bool) -> EventType:
    if signal.reminder:
        return EventType.REMINDER_SENT
    if signal.level is DeadlineLevel.YELLOW:
        return EventType.DEADLINE_APPROACHING
    return EventType.REFERENCE_OVERDUE if overdue_reply else EventType.DEADLINE_BREACHED


def _disposed(event: Event) -> bool:
    decision = event.data.decision
    return decision is not None and decision.outcome is not DecisionOutcome.DISCUSS


def _rank(level: str) -> int:
    return ORDER.index(DeadlineLevel(level))
