"""What can be done across the network: who does which thing to whom, and in which room."""

from dataclasses import dataclass
from enum import StrEnum


class ActionKind(StrEnum):
    """What an organisation may do to another; each is judged from origin to destination."""

    INVITE = "invite"
    JOIN = "join"
    KNOCK = "knock"
    CREATE_ROOM = "create-room"
    PUBLISH = "publish"
    PROFILE = "profile"
    DIRECTORY = "directory"
    PRESENCE = "presence"
    KEYS = "keys"
    TO_DEVICE = "to-device"
    MEDIA = "media"
    ALIAS = "alias"
    CALL = "call"
    REFERENCE = "reference"

    # Equal to its word, so it hashes as its word; Enum's own hash, of the name, is Python code.
    __hash__ = str.__hash__


ROOM_ACTIONS = frozenset(
    {
        ActionKind.INVITE,
        ActionKind.JOIN,
        ActionKind.KNOCK,
        ActionKind.CREATE_ROOM,
        ActionKind.PUBLISH,
    }
)
"""These name a room, else they are refused (R7)."""

ENTERING = frozenset({ActionKind.INVITE, ActionKind.JOIN, ActionKind.KNOCK, ActionKind.CREATE_ROOM})
"""These begin something new; in the days of grace they stop across servers (R2)."""


@dataclass(frozen=True, slots=True)
class Room:
    """A room as its label tells.

    Args:
        room_id: `!opaque` or `!opaque:server`; None for a room not yet made. An owner is never
            read from it.
        room_class: `unclassified`, `restricted` or `confidential`. For a room without a label the
            caller gives `policy.strictest_federating_class.name`.
        owner: The code of the owning organisation; None where the label does not tell.
    """

    room_id: str | None
    room_class: str
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class Action:
    """One act to be judged.

    Args:
        kind: What is done.
        origin: The server name of who does it.
        destination: The server name of whom, or where, it is done to; the origin itself for an act
            at home.
        room: The room it concerns; needed for invite, join, knock, create-room and publish.
        actor: The Matrix user id of who does it; must live on the origin when given.
    """

    kind: ActionKind
    origin: str
    destination: str
    room: Room | None = None
    actor: str | None = None
