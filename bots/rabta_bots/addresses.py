"""Names the bridge's rooms by what they are for, before they are made and after. Pure."""

from dataclasses import dataclass
from enum import StrEnum


class RoomKind(StrEnum):
    """What a room of the bridge is for; docs/reference/rooms.md has a heading for each."""

    POST = "post"
    SECTION = "section"
    CASE = "case"
    DIVISIONS = "divisions"
    ANNOUNCEMENTS = "announcements"
    OPERATORS = "operators"


@dataclass(frozen=True, slots=True)
class Address:
    """A room, made or not.

    Args:
        kind: What it is for.
        about: Of what: a post's id, `ORG/section`, a file's id, a scope, a number.
        room_class: The class it has.
    """

    kind: RoomKind
    about: str
    room_class: str

    def __str__(self) -> str:
        return f"{self.kind.value}/{self.about}/{self.room_class}"

    @classmethod
    def parse(cls, text: str) -> "Address":
        """The address that `str` gave; `about` may hold slashes."""
        kind, _, rest = text.partition("/")
        about, _, room_class = rest.rpartition("/")
        return cls(RoomKind(kind), about, room_class)


def of_post(post_id: str, room_class: str) -> Address:
    """The inbox room of a post."""
    return Address(RoomKind.POST, post_id, room_class)


def of_section(org: str, section: str, room_class: str) -> Address:
    """The room of a section."""
    return Address(RoomKind.SECTION, f"{org}/{section}", room_class)


def of_case(file_id: str, room_class: str) -> Address:
    """The room of one file, made on request."""
    return Address(RoomKind.CASE, file_id, room_class)


def of_divisions(number: int, room_class: str) -> Address:
    """The room of two posts of two organisations, about one file."""
    return Address(RoomKind.DIVISIONS, str(number), room_class)


def of_announcements(scope: str, room_class: str) -> Address:
    """The room in which is announced to all of a scope: `ORG`, `ORG/section`, or a list's name."""
    return Address(RoomKind.ANNOUNCEMENTS, scope, room_class)


OPERATORS = Address(RoomKind.OPERATORS, "bridge", "restricted")
"""The room in which operators are told what needs a person: codes and numbers, no content."""
