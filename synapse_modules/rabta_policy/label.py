"""A room's class label: where it is written and how it is read from a room's state.

The label is written twice. In `m.room.create` it is the floor the room was born with: it cannot
be changed, and it travels in every invite. In the state event `org.rabta.room.class` it is what
people raise later. The owner is never read from either: a label is a claim of whoever wrote it,
the owner is the organisation of the server that made the room.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

ROOM_CLASS = "org.rabta.room.class"
"""Type of the label's state event, and the key of the same content in `m.room.create`."""


class StateEvent(Protocol):
    """What is read of a state event; Synapse's own events have it, and so has an API's JSON."""

    @property
    def sender(self) -> str:
        """User id of whoever sent it."""

    @property
    def content(self) -> Mapping[str, Any]:
        """Its content, as JSON values."""


State = Mapping[tuple[str, str], StateEvent]
"""A room's state: (type, state key) -> event."""


@dataclass(frozen=True, slots=True)
class Label:
    """What a label says: `{"class": ..., "owner": ...}`."""

    room_class: str
    owner: str | None

    @classmethod
    def from_content(cls, content: object) -> "Label | None":
        """The label in an event's content, or None when there is no well-formed one."""
        if not isinstance(content, Mapping):
            return None
        room_class, owner = content.get("class"), content.get("owner")
        if not isinstance(room_class, str) or not isinstance(owner, str | None):
            return None
        return cls(room_class, owner)

    @classmethod
    def from_create(cls, content: Mapping[str, Any]) -> "Label | None":
        """The floor a room was born with, from the content of its `m.room.create`."""
        return cls.from_content(content.get(ROOM_CLASS))

    @property
    def content(self) -> dict[str, str]:
        """The label as event content."""
        return {"class": self.room_class} | ({"owner": self.owner} if self.owner else {})


def labels_in(state: State) -> tuple[Label | None, Label | None]:
    """The floor and the label that a room's state holds."""
    create = state.get(("m.room.create", ""))
    labelled = state.get((ROOM_CLASS, ""))
    return (
        Label.from_create(create.content) if create else None,
        Label.from_content(labelled.content) if labelled else None,
    )
