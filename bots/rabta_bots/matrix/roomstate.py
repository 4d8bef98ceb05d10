"""What we know of rooms from their state: encryption, history visibility, who is in.

Encryption once seen is never unlearned, whatever the server says later.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, bindparam, delete, func, or_, select, update

from rabta_bots.matrix import tables
from rabta_bots.matrix.errors import MatrixError
from rabta_bots.matrix.grammar import is_user_id, mapping
from rabta_bots.matrix.machine import MEGOLM
from rabta_bots.rows import put, put_new

ROOM_KEY = "org.rabta.room.key"
"""What a room of ours was made for: found again when its making was not remembered."""

_MEMBERSHIPS = frozenset({"join", "invite", "leave", "ban", "knock"})
_VISIBILITIES = frozenset({"world_readable", "shared", "invited", "joined"})
_LONGEST_KEY = 64
_DEFAULT_PERIOD = timedelta(days=7)
_DEFAULT_MESSAGES = 100
_TEN_YEARS_MS = 315_360_000_000
"""A bound for numbers that a stranger wrote, so that date arithmetic can not overflow."""


# Asked before every message, so they are built once.
_ROOM = select(tables.room).where(tables.room.c.room_id == bindparam("room"))
_MEMBERS = select(tables.member).where(tables.member.c.room_id == bindparam("room"))
_MEMBERS_KNOWN = (
    select(tables.member.c.user_id, tables.member.c.membership)
    .join(tables.room, tables.room.c.room_id == tables.member.c.room_id)
    .where(
        tables.member.c.room_id == bindparam("room"),
        tables.room.c.joined,
        tables.room.c.members_known,
    )
)
_READERS = (
    select(tables.member.c.user_id)
    .join(tables.room, tables.room.c.room_id == tables.member.c.room_id)
    .where(
        tables.member.c.room_id == bindparam("room"),
        or_(
            tables.member.c.membership == "join",
            and_(
                tables.member.c.membership == "invite",
                func.coalesce(tables.room.c.history_visibility, "") != "joined",
            ),
        ),
    )
)


class Encryption(NamedTuple):
    """How a room's `m.room.encryption` wants keys rotated (spec: m.megolm.v1.aes-sha2)."""

    period: timedelta
    messages: int
    shared_history: bool
    """Whether the room's history visibility lets later members read back (MSC4268)."""


def take_state(connection: Connection, room_id: str, events: Iterable[Mapping[str, Any]]) -> None:
    """Take in state events of one room, in their order."""
    events = list(events)
    if not events:
        return
    put_new(connection, tables.room, {"room_id": room_id, "joined": True, "members_known": False})
    members: dict[str, str] = {}
    for event in events:
        content = mapping(event.get("content"))
        match event.get("type"), event.get("state_key"):
            case "m.room.member", user if is_user_id(user):
                if content.get("membership") in _MEMBERSHIPS:
                    members[user] = content["membership"]
            case "m.room.encryption", "":
                if content.get("algorithm"):
                    _set(connection, room_id, encryption=json.dumps(content))
            case "m.room.history_visibility", "":
                if content.get("history_visibility") in _VISIBILITIES:
                    _set(connection, room_id, history_visibility=content["history_visibility"])
            case "org.rabta.room.key", "":
                _take_key(connection, room_id, event.get("sender"), content.get("key"))
            case _:
                pass

    set_memberships(connection, room_id, members)


def _take_key(connection: Connection, room_id: str, maker: object, key: object) -> None:
    if is_user_id(maker) and isinstance(key, str) and 0 < len(key) <= _LONGEST_KEY:
        row = {"room_id": room_id, "key": key, "maker": maker}
        put(connection, tables.made_room, [row])


def made_for(connection: Connection, key: str, maker: str) -> str | None:
    """Give the room that `maker` made for a key, if we are in it."""
    made, room = tables.made_room, tables.room
    return connection.execute(
        select(made.c.room_id)
        .join(room, room.c.room_id == made.c.room_id)
        .where(made.c.key == key, made.c.maker == maker, room.c.joined)
        .order_by(made.c.room_id)
        .limit(1)
    ).scalar()


def set_memberships(connection: Connection, room_id: str, members: Mapping[str, str]) -> None:
    """Set members by user id, all in one statement."""
    rows = [
        {"room_id": room_id, "user_id": user, "membership": membership}
        for user, membership in members.items()
    ]
    put(connection, tables.member, rows)


def set_joined(connection: Connection, room_id: str, *, joined: bool, complete: bool) -> None:
    """Note that we are in a room, or are not any more.

    Args:
        connection: Inside a transaction.
        room_id: The room.
        joined: Whether we are in.
        complete: Whether the whole state was taken in with it.
    """
    put_new(connection, tables.room, {"room_id": room_id, "joined": joined, "members_known": False})
    _set(connection, room_id, joined=joined)
    if complete:
        _set(connection, room_id, members_known=True)
    if not joined:
        _set(connection, room_id, members_known=False)
        connection.execute(delete(tables.member).where(tables.member.c.room_id == room_id))


def is_known(connection: Connection, room_id: str) -> bool:
    """Tell whether we are in the room and know all its state."""
    row = connection.execute(_ROOM, {"room": room_id}).one_or_none()
    return row is not None and bool(row.joined and row.members_known)


def joined(connection: Connection) -> list[str]:
    """Give the rooms that we are in."""
    ours = select(tables.room.c.room_id).where(tables.room.c.joined)
    return list(connection.execute(ours.order_by(tables.room.c.room_id)).scalars())


def encryption(connection: Connection, room_id: str) -> Encryption | None:
    """Give how the room is encrypted, or None when it was never seen encrypted.

    Raises:
        MatrixError: permanent `unsupported-encryption`.
    """
    row = connection.execute(_ROOM, {"room": room_id}).one_or_none()
    if row is None or row.encryption is None:
        return None
    content = json.loads(row.encryption)
    if content.get("algorithm") != MEGOLM:
        raise MatrixError("unsupported-encryption", room_id, permanent=True)
    period, messages = content.get("rotation_period_ms"), content.get("rotation_period_msgs")
    return Encryption(
        timedelta(milliseconds=period) if _positive(period) else _DEFAULT_PERIOD,
        messages if _positive(messages) else _DEFAULT_MESSAGES,
        # Without the state event the spec's default is "shared".
        row.history_visibility in (None, "shared", "world_readable"),
    )


def readers(connection: Connection, room_id: str) -> list[str]:
    """Give the members who get room keys: joined, and invited where invitees may read."""
    return list(connection.execute(_READERS, {"room": room_id}).scalars())


def members_known(connection: Connection, room_id: str) -> dict[str, str] | None:
    """Give user id -> membership; None when we do not know the whole state of the room."""
    rows = connection.execute(_MEMBERS_KNOWN, {"room": room_id}).all()
    # We are in every room that we know, so there is at least one row.
    return {row.user_id: row.membership for row in rows} if rows else None


def members(connection: Connection, room_id: str) -> dict[str, str]:
    """Give user id -> membership."""
    rows = connection.execute(_MEMBERS, {"room": room_id})
    return {row.user_id: row.membership for row in rows}


def _set(connection: Connection, room_id: str, **values: Any) -> None:
    connection.execute(update(tables.room).where(tables.room.c.room_id == room_id).values(**values))


def _positive(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < _TEN_YEARS_MS
