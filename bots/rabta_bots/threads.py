"""Says a line about a file where those who work with it read along. Never to anybody else.

Such a line tells a step of a file that asks nobody to act: a file was opened, parked, closed, a
paper was issued. It goes to the room of the file's section, into the file's own thread, and to
the case room of the file where somebody asked for one.
"""

from datetime import datetime

from sqlalchemy import Connection

from rabta_bots.addresses import Address, RoomKind, of_section
from rabta_bots.grades import CLASS_OF_GRADE, fits
from rabta_bots.store.outbox import enqueue_addressed, hide_stream, streams_of_file
from rabta_bots.store.shared_rooms import forget_root, rooms_about, want_room
from rabta_contract.event import Event
from rabta_contract.vocabulary import Grade

# Stands for the words of a message that may be on its way while the grade is raised.
TAKEN_BACK = {"msgtype": "m.notice", "body": "…", "m.mentions": {}}

# Above this, who needs to know is known file by file: no section reads along.
SECTION_CLASSES = frozenset({"unclassified", "restricted"})


def say_line(
    connection: Connection, event: Event, event_row: int, *, room_class: str, now: datetime
) -> bool:
    """Queue a line about the event's file; False when there is nowhere to say it.

    Args:
        connection: The transaction that plans the event.
        event: As stored, stripped to what its class allows.
        event_row: Its row: the line is said once however often the event is planned.
        room_class: The class of the room that its grade asks for.
        now: When.
    """
    file = event.data.file
    if file is None:
        return False
    places = [room.address for room in rooms_about(connection, RoomKind.CASE, file.file_id)]
    places = [place for place in places if place.room_class == room_class]
    section = file.section or event.data.actor.post.section
    if section and room_class in SECTION_CLASSES:
        place = of_section(file.owner_org, section, room_class)
        want_room(connection, place, now)
        places.append(place)
    for place in places:
        enqueue_addressed(
            connection,
            place,
            part="thread",
            key=f"thread|{event_row}|{place}",
            stream=f"{place}|{file.file_id}",
            draft={"thread": file.file_id, "event": event_row},
            now=now,
        )
    return bool(places)


def take_back_lines(
    connection: Connection, file_id: str, grade: Grade, event_row: int, now: datetime
) -> None:
    """Have the lines about a file redacted in rooms whose class its grade is now above."""
    needed = CLASS_OF_GRADE.get(grade)
    for text, stream in streams_of_file(connection, file_id):
        place = Address.parse(text)
        if needed is not None and fits(needed, place.room_class):
            continue
        hide_stream(connection, stream, TAKEN_BACK)
        forget_root(connection, place, file_id)
        enqueue_addressed(
            connection,
            place,
            part="redact",
            key=f"redact|{event_row}|{place}",
            stream=stream,
            draft={},
            now=now,
        )
