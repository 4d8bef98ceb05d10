"""A value that changes at known moments, found by bisection."""

from bisect import bisect_right
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Generic, TypeVar

Value = TypeVar("Value")


_NEVER = datetime.max.replace(tzinfo=UTC)


class Timeline(Generic[Value]):
    """What holds when: before the first start nothing, from each start on the value beside it."""

    __slots__ = ("_begins", "_ends", "_latest", "starts", "values")

    def __init__(self, steps: Iterable[tuple[datetime, Value | None]]) -> None:
        starts: list[datetime] = []
        # values[i] holds from starts[i - 1] until starts[i]; values[0] is the time before.
        values: list[Value | None] = [None]
        for start, value in steps:
            if value != values[-1]:
                starts.append(start)
                values.append(value)
        self.starts = tuple(starts)
        self.values = tuple(values)
        # The latest value there is stands in the object itself: it is asked for most, and among
        # thousands of organisations every further object costs a walk to main memory.
        last = max((at for at, value in enumerate(values) if value is not None), default=0)
        self._latest = values[last]
        self._begins = starts[last - 1] if last else _NEVER
        self._ends = starts[last] if last < len(starts) else _NEVER

    def at(self, now: datetime) -> Value | None:
        """The value at `now`; None before the first."""
        if self._begins <= now < self._ends:
            return self._latest
        return self.values[bisect_right(self.starts, now)]
