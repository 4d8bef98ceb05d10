"""Keeps which room is a post's inbox of which class, and who is let in now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, select, update

from rabta_bots.store.tables import cards, rooms

_ROOM = select(rooms).where(
    rooms.c.post_id == bindparam("post"), rooms.c.room_class == bindparam("class")
)


@dataclass(frozen=True, slots=True)
class PostRoom:
    """A post's room of one class; `holder` is the Matrix user who is let in."""

    post_id: str
    room_class: str
    room_id: str
    holder: str | None


def room_of(connection: Connection, post_id: str, room_class: str) -> PostRoom | None:
    """The post's room of the class, if it was made."""
    row = connection.execute(_ROOM, {"post": post_id, "class": room_class}).first()
    return PostRoom(row.post_id, row.room_class, row.room_id, row.holder) if row else None


def post_of_room(connection: Connection, room_id: str) -> PostRoom | None:
    """The post whose inbox the room is, or None for a room of somebody else's."""
    row = connection.execute(select(rooms).where(rooms.c.room_id == room_id)).first()
    return PostRoom(row.post_id, row.room_class, row.room_id, row.holder) if row else None


def rooms_to_check(connection: Connection) -> list[PostRoom]:
    """Every inbox room."""
    return [
        PostRoom(row.post_id, row.room_class, row.room_id, row.holder)
        for row in connection.execute(select(rooms))
    ]


def readers_of_cards(connection: Connection) -> Sequence[tuple[str, str]]:
    """The posts that have a live card, each with whoever was shown one."""
    found = connection.execute(
        select(cards.c.post_id, cards.c.issued_to)
        .where(cards.c.state.in_(("open", "deciding")), cards.c.issued_to.is_not(None))
        .distinct()
    )
    return [(row.post_id, row.issued_to) for row in found]


def remember_room(connection: Connection, room: PostRoom, now: datetime) -> None:
    """Note a room that was made."""
    connection.execute(
        rooms.insert().values(
            post_id=room.post_id,
            room_class=room.room_class,
            room_id=room.room_id,
            holder=room.holder,
            made_at=now,
        )
    )


def set_holder(connection: Connection, room_id: str, holder: str | None) -> None:
    """Note who is let in now."""
    connection.execute(update(rooms).where(rooms.c.room_id == room_id).values(holder=holder))
