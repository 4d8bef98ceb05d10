"""Keeps the rooms asked for with posts of other organisations: each side must say yes."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select, update

from rabta_bots.store.tables import consultations

ASKED = "asked"
ACCEPTED = "accepted"
DECLINED = "declined"


def ask(
    connection: Connection,
    *,
    file_id: str,
    from_post: str,
    to_post: str,
    room_class: str,
    asked_by: str,
    now: datetime,
) -> tuple[int, str]:
    """Ask, or ask again after a refusal; gives the number and in which state it was before."""
    table = consultations
    same = (
        (table.c.file_id == file_id)
        & (table.c.from_post == from_post)
        & (table.c.to_post == to_post)
        & (table.c.room_class == room_class)
    )
    known = connection.execute(select(table).where(same)).first()
    if known is not None:
        if known.state == DECLINED:
            answer(connection, known.number, ASKED, None)
        return known.number, known.state
    result = connection.execute(
        table.insert().values(
            file_id=file_id,
            from_post=from_post,
            to_post=to_post,
            room_class=room_class,
            state=ASKED,
            asked_by=asked_by,
            made_at=now,
        )
    )
    return int(result.inserted_primary_key[0]), ""  # type: ignore[index]  # one row, one key


def consultation(connection: Connection, number: int) -> Row[Any] | None:
    """The request."""
    query = select(consultations).where(consultations.c.number == number)
    return connection.execute(query).first()


def asked_of_post(connection: Connection, post_id: str, room_class: str) -> list[int]:
    """The numbers of what waits for the post's answer in its room of a class."""
    query = select(consultations.c.number).where(
        consultations.c.to_post == post_id,
        consultations.c.room_class == room_class,
        consultations.c.state == ASKED,
    )
    return list(connection.execute(query).scalars())


def answer(connection: Connection, number: int, state: str, answered_by: str | None) -> None:
    """Note what the other side said."""
    connection.execute(
        update(consultations)
        .where(consultations.c.number == number)
        .values(state=state, answered_by=answered_by)
    )
