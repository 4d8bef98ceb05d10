"""Keeps the rooms of several posts: which there are, for which posts, who was let in, threads."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, bindparam, delete, func, select, update

from rabta_bots.addresses import Address, RoomKind
from rabta_bots.store.tables import room_members, room_posts, shared_rooms, threads
from rabta_bots.store.turns import take_turn

_ABOUT = select(shared_rooms).where(
    shared_rooms.c.kind == bindparam("of"), shared_rooms.c.about == bindparam("thing")
)


@dataclass(frozen=True, slots=True)
class SharedRoom:
    """A room of several posts; `room_id` is None until it is made, `number` counts its kind."""

    address: Address
    room_id: str | None
    number: int

    @property
    def name(self) -> str:
        """What a client lists. It stands in clear on the homeserver: no file is named in it."""
        match self.address.kind:
            case RoomKind.SECTION:
                org, _, section = self.address.about.partition("/")
                return f"e-Office: {section} ({org})"
            case RoomKind.ANNOUNCEMENTS if ":" not in self.address.about:
                return f"e-Office: announcements {self.address.about}"
            case RoomKind.OPERATORS:
                return "e-Office: operators"
            case kind:
                return f"e-Office: {kind.value} {self.number}"


def shared_room(connection: Connection, address: Address) -> SharedRoom | None:
    """The room, if it was ever asked for."""
    return _first(connection, shared_rooms.c.address == str(address))


def room_with_id(connection: Connection, room_id: str) -> SharedRoom | None:
    """The shared room that a Matrix room is."""
    return _first(connection, shared_rooms.c.room_id == room_id)


def want_room(
    connection: Connection, address: Address, now: datetime, posts: Iterable[str] = ()
) -> bool:
    """Ask for a room for these posts beside those it is for already; False when it was there."""
    known = shared_room(connection, address) is not None
    if not known:
        take_turn(connection, f"rooms|{address.kind}")
        last = connection.execute(
            select(func.max(shared_rooms.c.number)).where(shared_rooms.c.kind == address.kind.value)
        ).scalar()
        connection.execute(
            shared_rooms.insert().values(
                address=str(address),
                kind=address.kind.value,
                about=address.about,
                number=(last or 0) + 1,
                room_class=address.room_class,
                made_at=now,
            )
        )
    before = posts_of(connection, address)
    for post_id in dict.fromkeys(posts):
        if post_id not in before:
            connection.execute(room_posts.insert().values(address=str(address), post_id=post_id))
    return not known


def posts_of(connection: Connection, address: Address) -> set[str]:
    """The posts that the room names itself."""
    rows = connection.execute(
        select(room_posts.c.post_id).where(room_posts.c.address == str(address))
    )
    return set(rows.scalars())


def rooms_about(connection: Connection, kind: RoomKind, about: str) -> list[SharedRoom]:
    """The rooms of a kind about one thing, of whatever class."""
    rows = connection.execute(_ABOUT, {"of": kind.value, "thing": about})
    return [_room(row) for row in rows]


def made_rooms(connection: Connection) -> list[SharedRoom]:
    """Every room that was made."""
    rows = connection.execute(select(shared_rooms).where(shared_rooms.c.room_id.is_not(None)))
    return [_room(row) for row in rows]


def note_made(connection: Connection, address: Address, room_id: str) -> None:
    """Note that the room was made."""
    connection.execute(
        update(shared_rooms).where(shared_rooms.c.address == str(address)).values(room_id=room_id)
    )


def let_in(connection: Connection) -> dict[str, set[str]]:
    """Whom the bridge let into each shared room: address -> users."""
    found: dict[str, set[str]] = defaultdict(set)
    for row in connection.execute(select(room_members)):
        found[row.address].add(row.user_id)
    return found


def note_in(connection: Connection, address: Address, user_id: str) -> None:
    """Note that somebody was let in."""
    known = select(room_members).where(
        room_members.c.address == str(address), room_members.c.user_id == user_id
    )
    if connection.execute(known).first() is None:
        connection.execute(room_members.insert().values(address=str(address), user_id=user_id))


def note_out(connection: Connection, address: Address, user_id: str) -> None:
    """Note that somebody was put out."""
    connection.execute(
        delete(room_members).where(
            room_members.c.address == str(address), room_members.c.user_id == user_id
        )
    )


def thread_root(connection: Connection, address: Address, file_id: str) -> str | None:
    """The first line of the file in the room."""
    return connection.execute(
        select(threads.c.root_id).where(
            threads.c.address == str(address), threads.c.file_id == file_id
        )
    ).scalar()


def note_root(connection: Connection, address: Address, file_id: str, root_id: str) -> None:
    """Note the first line of the file in the room; a later one is none."""
    if thread_root(connection, address, file_id) is None:
        connection.execute(
            threads.insert().values(address=str(address), file_id=file_id, root_id=root_id)
        )


def forget_root(connection: Connection, address: Address, file_id: str) -> None:
    """Let the next line of the file be its first: the earlier ones are taken back."""
    connection.execute(
        delete(threads).where(threads.c.address == str(address), threads.c.file_id == file_id)
    )


def _first(connection: Connection, which: ColumnElement[bool]) -> SharedRoom | None:
    row = connection.execute(select(shared_rooms).where(which)).first()
    return _room(row) if row else None


def _room(row: Row[Any]) -> SharedRoom:
    return SharedRoom(Address.parse(row.address), row.room_id, row.number)
