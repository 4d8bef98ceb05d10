"""A value that changes at known moments, found by bisection."""

from bisect import bisect_right
from collections.abc import Iterable
from datetime import datetime
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Timeline(Generic[Value]):
    """What holds when: before the first start nothing, from each start on the value beside it."""

    __slots__ = ("starts", "values")

    def __init__(self, steps: Iterable[tuple[datetime, Value | None]]) -> None:
        starts: list[datetime] = []
        # values[i] holds from starts[i - 1] until starts[i]; values[0] is the time before.
        values: list[Value | None] = [None]
        for start, value in steps:
            if value != values[-1]:
                starts.append(start)
                values.append(value)
        # Tuples lie in one piece of memory: among thousands of organisations that is what costs.
        self.starts = tuple(starts)
        self.values = tuple(values)

    def at(self, now: datetime) -> Value | None:
        """The value at `now`; None before the first."""
        return self.values[bisect_right(self.starts, now)]
