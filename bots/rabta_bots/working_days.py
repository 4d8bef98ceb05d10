"""Counts working time: office hours on the days that are neither weekend nor holiday. Pure.

Public holidays of Pakistan come from the `holidays` package. Those that follow the moon are
announced late: the settings add them, or take a day back.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from holidays import country_holidays

DAY = timedelta(days=1)
# A deadline further off than this is a slip of the pen; nobody counts hours to it.
FURTHEST = timedelta(days=3660)


@functools.lru_cache(maxsize=64)
def public_holidays(year: int) -> frozenset[date]:
    """The public holidays of Pakistan in a year."""
    return frozenset(country_holidays("PK", years=year))


@dataclass(frozen=True, slots=True)
class WorkingDays:
    """The office's calendar.

    Args:
        zone: Where the office is.
        begins: When its day begins.
        ends: When it ends; later than `begins`.
        weekend: Weekdays without work, Monday being 0.
        closed: Further days without work.
        opened: Days of work in spite of weekend or holiday.
    """

    zone: ZoneInfo
    begins: time = time(9)
    ends: time = time(17)
    weekend: frozenset[int] = frozenset({5, 6})
    closed: frozenset[date] = frozenset()
    opened: frozenset[date] = frozenset()

    def is_working(self, day: date) -> bool:
        """Whether the office works on the day."""
        if day in self.opened:
            return True
        free = day.weekday() in self.weekend or day in self.closed
        return not free and day not in public_holidays(day.year)

    def local(self, at: datetime) -> datetime:
        """The moment on the office's clock."""
        return at.astimezone(self.zone)

    def at_work(self, at: datetime) -> datetime:
        """The first moment of working time from `at` on."""
        return next(begin for begin, _ in self._spans(at))

    def not_on_a_free_day(self, at: datetime) -> datetime:
        """`at`, or the beginning of the next working day when it falls on a free one."""
        return at if self.is_working(self.local(at).date()) else self.at_work(at)

    def between(self, begin: datetime, end: datetime) -> timedelta:
        """The working time from one moment to a later one."""
        total = timedelta(0)
        for opening, closing in self._spans(begin):
            if opening >= end:
                break
            total += min(closing, end) - opening
        return total

    def after(self, begin: datetime, worked: timedelta) -> datetime:
        """The moment at which so much working time has passed since `begin`."""
        left = worked
        for opening, closing in self._spans(begin):
            if closing - opening >= left:
                return opening + left
            left -= closing - opening
        raise LookupError("the calendar has no end")

    def end_of_day(self, begin: datetime, days: int) -> datetime:
        """The end of the working day that is `days` working days after that of `begin`."""
        spans = self._spans(begin)
        for _ in range(days):
            next(spans)
        return next(spans)[1]

    def _spans(self, begin: datetime) -> Iterator[tuple[datetime, datetime]]:
        """The pieces of working time from `begin` on, a day each."""
        day = self.local(begin).date()
        while True:
            if self.is_working(day):
                opening = datetime.combine(day, self.begins, self.zone)
                closing = datetime.combine(day, self.ends, self.zone)
                if closing > begin:
                    yield max(opening, begin), closing
            day += DAY
