"""Decides what the clock says of a deadline: yellow at half the time, red when due. Pure.

Working time counts, so half the time to Monday is not Saturday night.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from rabta_bots.working_days import FURTHEST, WorkingDays
from rabta_contract.vocabulary import DeadlineLevel


@dataclass(frozen=True, slots=True)
class Running:
    """A deadline that runs.

    Args:
        begins: When it was set.
        due: When it ends.
        told: The highest level that anybody was told, by e-Office or by the bridge.
        told_at: When, once it was more than green.
        reminded: How often the bridge has reminded since it was red.
    """

    begins: datetime
    due: datetime
    told: DeadlineLevel = DeadlineLevel.GREEN
    told_at: datetime | None = None
    reminded: int = 0


@dataclass(frozen=True, slots=True)
class Signal:
    """What is to be told.

    Args:
        level: Yellow or red.
        reminder: 0 for the first word of the level, else the number of the reminder.
    """

    level: DeadlineLevel
    reminder: int = 0


def due(
    running: Running, days: WorkingDays, now: datetime, again: timedelta | None
) -> Signal | None:
    """What the deadline has to be told of now, if anything.

    Args:
        running: The deadline and what was told of it.
        days: The office's calendar.
        now: When.
        again: How long after the last word the holder of an overdue paper is reminded; None: never.
    """
    at = look_at(running, days, again)
    if at is None or now < at:
        return None
    if running.told is DeadlineLevel.RED:
        return Signal(DeadlineLevel.RED, running.reminded + 1)
    # After a long standstill only the last word counts.
    red = now >= days.not_on_a_free_day(running.due)
    return Signal(DeadlineLevel.RED if red else DeadlineLevel.YELLOW)


def look_at(running: Running, days: WorkingDays, again: timedelta | None) -> datetime | None:
    """The moment at which `due` has something to say next; None when never."""
    red = days.not_on_a_free_day(running.due)
    if running.told is DeadlineLevel.RED:
        return None if again is None else days.at_work((running.told_at or red) + again)
    if running.told is DeadlineLevel.YELLOW or running.due - running.begins > FURTHEST:
        return red
    worked = days.between(running.begins, running.due)
    return min(days.after(running.begins, worked / 2), red) if worked else red
