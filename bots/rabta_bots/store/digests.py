"""Keeps what only a digest tells, until one has told it."""

from sqlalchemy import Connection, select

from rabta_bots.store.tables import digest_notes


def note_for_digest(connection: Connection, event_row: int, post_id: str) -> None:
    """Note an event for the next digest of a post; noted twice, it is kept once."""
    mine = (digest_notes.c.event_row == event_row, digest_notes.c.post_id == post_id)
    if connection.execute(select(digest_notes.c.post_id).where(*mine)).scalar() is None:
        connection.execute(digest_notes.insert().values(event_row=event_row, post_id=post_id))
