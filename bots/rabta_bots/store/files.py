"""Keeps which files the bridge has heard of, by number, and gives what it heard of one.

Only what the class of the file lets the store keep: of a SECRET file there is nothing here.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, select

from rabta_bots.rows import put
from rabta_bots.spelling import fold_number
from rabta_bots.store.tables import cards, events, files


def note_file(connection: Connection, file_id: str, file_no: str, grade: str) -> None:
    """Note a file as its latest event describes it."""
    folded = fold_number(file_no)
    row = {"file_id": file_id, "file_no": file_no, "folded": folded, "grade": grade}
    put(connection, files, [row])


def forget_file(connection: Connection, file_id: str) -> None:
    """Forget a file's number, because of its grade nothing is kept."""
    connection.execute(delete(files).where(files.c.file_id == file_id))


def file_by_id(connection: Connection, file_id: str) -> Row[Any] | None:
    """The file."""
    return connection.execute(select(files).where(files.c.file_id == file_id)).first()


def file_by_number(connection: Connection, number: str, post_ids: Sequence[str]) -> Row[Any] | None:
    """The file of that number of which one of the posts has had a card; the latest of several."""
    return connection.execute(
        select(files)
        .join(cards, cards.c.file_id == files.c.file_id)
        .where(files.c.folded == fold_number(number), cards.c.post_id.in_(list(post_ids)))
        .order_by(cards.c.card_id.desc())
        .limit(1)
    ).first()


def events_of_file(connection: Connection, file_id: str) -> Sequence[Row[Any]]:
    """Every event of the file that was kept, in the order of its source."""
    return connection.execute(
        select(events)
        .where(events.c.about_file == file_id)
        .order_by(events.c.source, events.c.sequence)
    ).all()
