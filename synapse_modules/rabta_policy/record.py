"""A room's record category: how long the Secretariat Instructions want its papers kept. Pure.

Category A is permanent, B is 10 years or more, C is 3 to 9 years, D is below 3. How many days that
is says the site. Like the class label it is written twice: in `m.room.create` of a room that took
another's place, and in the state event that people set later. The longer holds.
"""

from collections.abc import Mapping
from enum import StrEnum

from rabta_policy.label import State

ROOM_RECORD = "org.rabta.room.record"
"""Type of the category's state event, and the key of the same content in `m.room.create`."""


class RecordCategory(StrEnum):
    """The categories of the Secretariat Instructions."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"

    @property
    def content(self) -> dict[str, str]:
        """The category as event content."""
        return {"category": self.value}

    def keeps_less_than(self, other: "RecordCategory") -> bool:
        """Whether what is of this category is destroyed earlier than what is of the other."""
        return self.value > other.value


def category_of(content: object) -> RecordCategory | None:
    """The category in an event's content, or None when there is no well-formed one."""
    told = content.get("category") if isinstance(content, Mapping) else None
    return RecordCategory(told) if told in set(RecordCategory) else None


def category_in(state: State) -> RecordCategory | None:
    """The category that a room's state gives it, None when nobody gave it one.

    What is there and cannot be read counts as A: nothing is destroyed by a slip of the pen.
    """
    create, record = state.get(("m.room.create", "")), state.get((ROOM_RECORD, ""))
    told = [
        content
        for content in (
            create.content.get(ROOM_RECORD) if create else None,
            record.content if record else None,
        )
        if content is not None
    ]
    return min((category_of(content) or RecordCategory.A for content in told), default=None)
