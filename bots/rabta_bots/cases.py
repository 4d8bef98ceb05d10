"""Decides whom a file concerns, and lets the case rooms of a file follow it. Never another's post.

A post is concerned that the file came from or went to. A copy is for reading, and a post of another
organisation is not let in this way: it is asked, and asks its own rules (`consulting`).
"""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection

from rabta_bots.addresses import RoomKind
from rabta_bots.store.posts import known_posts
from rabta_bots.store.shared_rooms import SharedRoom, rooms_about, want_room
from rabta_contract.event import Event


def concerned(events: Iterable[Event]) -> list[str]:
    """The posts of the sender's own organisation that the movements name, each once."""
    moved = [(event.org, event.data.movement) for event in events if event.data.movement]
    posts = [(org, post) for org, step in moved for post in (step.from_, *step.to)]
    return list(dict.fromkeys(post.post_id for org, post in posts if post.org == org))


def follow(connection: Connection, event: Event, now: datetime) -> bool:
    """Let the file's case rooms be for its new posts too; True when there is such a room."""
    file = event.data.file
    rooms = rooms_about(connection, RoomKind.CASE, file.file_id) if file else []
    for room in rooms:
        posts = known_posts(connection, concerned([event]))
        want_room(connection, room.address, now, sorted(posts))
    return bool(rooms)


def case_room(connection: Connection, file_id: str, room_class: str) -> SharedRoom | None:
    """The case room of the file in a class."""
    rooms = rooms_about(connection, RoomKind.CASE, file_id)
    return next((room for room in rooms if room.address.room_class == room_class), None)
