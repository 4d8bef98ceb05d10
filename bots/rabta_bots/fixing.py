"""Fixes what is due: composed for whoever holds the post now and kept, the same at every repeat.

One transaction serves all that is due at a time. What needs the homeserver first (a room to be
made, somebody to be put out) is left to the sender, who fixes it alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row
from sqlalchemy.exc import SQLAlchemyError

from rabta_bots.addressed import compose_addressed, may_be_told
from rabta_bots.chat import Chat
from rabta_bots.composing import Composed, Composer, TakenBack
from rabta_bots.digesting import compose_digest
from rabta_bots.retrying import Again, Permanent
from rabta_bots.store import outbox
from rabta_bots.store.cards import card_by_id
from rabta_bots.store.documents import note_told
from rabta_bots.store.rooms import room_of

Judged = Composed | TakenBack | Again | Permanent


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent, the same at every repeat."""

    room_id: str
    event_type: str
    content: Mapping[str, Any]
    txn_id: str


@dataclass(frozen=True, slots=True)
class Due:
    """A row to be tried now.

    Args:
        row: As the outbox has it.
        judged: What it came to; None where it is fixed already, or is composed alone.
        message: What it says, where that is fixed.
    """

    row: Row[Any]
    judged: Judged | None
    message: Message | None


def take_due(
    connection: Connection,
    composer: Composer,
    chat: Chat,
    *,
    limit: int,
    taken: Sequence[int],
) -> list[Due]:
    """The rows to try now, each composed, and fixed where nothing has to be done first.

    Args:
        connection: The transaction.
        composer: As of now.
        chat: Knows who is in a room.
        limit: At most so many.
        taken: Rows that are being tried.
    """
    return [
        _due(connection, composer, chat, row)
        for row in outbox.due(connection, composer.now, limit, taken)
    ]


def _due(connection: Connection, composer: Composer, chat: Chat, row: Row[Any]) -> Due:
    if row.txn_id is not None:
        return Due(row, None, Message(row.room_id, row.event_type, row.content, row.txn_id))
    if row.part == "report":
        return Due(row, None, None)  # it asks first who has read
    try:
        judged = composed(composer, connection, row)
    except SQLAlchemyError:
        raise
    except Exception:  # noqa: BLE001 - it breaks again where it is tried alone, and harms no other
        return Due(row, None, None)
    room_id = _open_room(connection, chat, judged) if isinstance(judged, Composed) else None
    if room_id is None or not isinstance(judged, Composed):
        return Due(row, judged, None)
    return Due(row, judged, fix(connection, row, judged, room_id))


def composed(composer: Composer, connection: Connection, row: Row[Any]) -> Judged:
    """What a row comes to now."""
    if row.address is not None:
        return compose_addressed(composer, connection, row)
    if row.about_post is not None:
        return compose_digest(composer, connection, row)
    return composer.compose(connection, row)


def fix(connection: Connection, row: Row[Any], message: Composed, room_id: str) -> Message | None:
    """Keep what is sent; None when the grade of its paper was raised since it was composed."""
    if not _still_fits(connection, row, message):
        return None
    fixed = Message(room_id, message.event_type, message.content, message.txn_id(room_id))
    outbox.fix_content(
        connection,
        row.row,
        room_id=fixed.room_id,
        event_type=fixed.event_type,
        content=fixed.content,
        txn_id=fixed.txn_id,
    )
    if message.documents_told is not None:
        note_told(connection, row.card_id, message.documents_told)
    return fixed


def _open_room(connection: Connection, chat: Chat, message: Composed) -> str | None:
    """The room that the message can go to as it is: its reader and nobody else in it."""
    if message.address is not None:
        return None
    if message.reader is None:
        return message.room_id
    reader, room_id = message.reader.user_id, message.room_id
    if room_id is None and message.post_room is not None:
        room = room_of(connection, *message.post_room)
        room_id = room.room_id if room is not None and room.holder == reader else None
    members = chat.members_known(connection, room_id) if room_id is not None else None
    if members is None or strangers(members, {chat.user_id, reader}):
        return None
    return room_id


def strangers(members: Mapping[str, str], known: set[str | None]) -> list[str]:
    """Who is in a room, or about to be, and does not belong there.

    Args:
        members: User id to membership.
        known: Who belongs there.
    """
    return [
        user_id
        for user_id, membership in members.items()
        if membership in {"join", "invite", "knock"} and user_id not in known
    ]


def _still_fits(connection: Connection, row: Row[Any], message: Composed) -> bool:
    """Whether the grade of what is told is what it was when it was composed."""
    if row.address is not None:
        return may_be_told(connection, row)
    if row.about_post is not None:
        return True
    card = card_by_id(connection, row.card_id)
    return card is not None and card.grade == message.grade
