"""Keeps the cards: one per event and post, open until decided, withdrawn, superseded or expired."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, delete, func, select, update

from rabta_bots.rows import put_new
from rabta_bots.store.outbox import enqueue_card
from rabta_bots.store.tables import card_messages, cards, events

OPEN = "open"
DECIDING = "deciding"
LIVE = (OPEN, DECIDING)
# Takes no command any more; the paper is still with the post.
EXPIRED = "expired"
HOLDING = (*LIVE, EXPIRED)


def make_card(
    connection: Connection,
    event_row: int,
    post_id: str,
    now: datetime,
    *,
    kind: str,
    room_class: str,
    stream: str,
    file_id: str | None,
    movement_no: int | None,
    expires_at: datetime,
) -> int:
    """Make the card and queue its first message, in one transaction; gives the card's number."""
    row = {
        "event_row": event_row,
        "post_id": post_id,
        "kind": kind,
        "room_class": room_class,
        "stream": stream,
        "file_id": file_id,
        "movement_no": movement_no,
        "state": OPEN,
        "made_at": now,
        "expires_at": expires_at,
    }
    result = connection.execute(cards.insert(), row)
    card_id = int(result.inserted_primary_key[0])  # type: ignore[index]  # one row, one key
    enqueue_card(connection, card_id, stream, part="issue", key=f"issue|{card_id}|0", now=now)
    return card_id


def posts_with_card(connection: Connection, event_row: int) -> Sequence[str]:
    """The posts that have a card of the event."""
    return connection.execute(_POSTS, {"event": event_row}).scalars().all()


def card_by_id(connection: Connection, card_id: int) -> Row[Any] | None:
    """The card with its event's columns beside it."""
    return connection.execute(_card(), {"card": card_id}).first()


def card_of_message(connection: Connection, room_id: str, message_id: str) -> Row[Any] | None:
    """The card that a message of ours in this room shows."""
    return connection.execute(
        _with_event()
        .join(card_messages, card_messages.c.card_id == cards.c.card_id)
        .where(card_messages.c.message_id == message_id, card_messages.c.room_id == room_id)
    ).first()


def open_cards(
    connection: Connection, post_ids: Sequence[str], room_id: str | None = None
) -> Sequence[Row[Any]]:
    """The open file cards of the posts, oldest first; of one room where it is given."""
    query = _with_event().where(
        cards.c.post_id.in_(list(post_ids)), cards.c.state == OPEN, cards.c.kind == "file"
    )
    if room_id is not None:
        query = query.where(cards.c.room_id == room_id)
    return connection.execute(query.order_by(cards.c.card_id)).all()


def live_cards(
    connection: Connection, stream: str, states: Sequence[str] = LIVE
) -> Sequence[Row[Any]]:
    """The cards of a paper, of every kind, that are open or being decided, oldest first."""
    return connection.execute(_live(), {"of": stream, "states": list(states)}).all()


def holding_cards(connection: Connection, stream: str) -> Sequence[Row[Any]]:
    """The cards by which a paper is before a post, also those that take no command any more."""
    kinds = ("file", "receipt", "reference")
    return [card for card in live_cards(connection, stream, HOLDING) if card.kind in kinds]


def pending_of_post(connection: Connection, post_id: str) -> Sequence[Row[Any]]:
    """The cards of files that are before the post, oldest first."""
    return connection.execute(
        _with_event()
        .where(cards.c.post_id == post_id, cards.c.state.in_(HOLDING), cards.c.kind == "file")
        .order_by(cards.c.card_id)
    ).all()


def cards_of_paper(connection: Connection, paper: str) -> Sequence[Row[Any]]:
    """Every card that an event of the paper made, whatever became of it, oldest first."""
    return connection.execute(
        _with_event().where(events.c.paper == paper).order_by(cards.c.card_id)
    ).all()


def last_card(
    connection: Connection,
    stream: str,
    kind: str,
    *,
    post_id: str | None = None,
    event_type: str | None = None,
) -> Row[Any] | None:
    """The latest card of the kind about a paper; of the post and the event type, where given."""
    query = _with_event().where(cards.c.stream == stream, cards.c.kind == kind)
    if post_id is not None:
        query = query.where(cards.c.post_id == post_id)
    if event_type is not None:
        query = query.where(events.c.type == event_type)
    return connection.execute(query.order_by(cards.c.card_id.desc()).limit(1)).first()


def highest_movement(connection: Connection, file_id: str) -> int:
    """The latest movement of the file that any card showed."""
    highest = select(func.max(cards.c.movement_no)).where(cards.c.file_id == file_id)
    return int(connection.execute(highest).scalar() or 0)


def last_card_of_post(connection: Connection, file_id: str, post_id: str) -> Row[Any] | None:
    """The post's latest card of the file."""
    mine = and_(cards.c.file_id == file_id, cards.c.post_id == post_id)
    query = _with_event().where(mine).order_by(cards.c.card_id.desc()).limit(1)
    return connection.execute(query).first()


def begin_deciding(connection: Connection, card_id: int) -> bool:
    """Take the card for one decision; False when it was taken or closed before."""
    changed = connection.execute(
        update(cards)
        .where(cards.c.card_id == card_id, cards.c.state == OPEN)
        .values(state=DECIDING)
    )
    return bool(changed.rowcount)


def reopen(connection: Connection, card_id: int) -> None:
    """Give the card back after e-Office refused the decision."""
    connection.execute(
        update(cards)
        .where(cards.c.card_id == card_id, cards.c.state == DECIDING)
        .values(state=OPEN)
    )


def close_card(
    connection: Connection,
    card_id: int,
    state: str,
    outcome: dict[str, Any],
    now: datetime,
    *,
    only: Sequence[str] = LIVE,
) -> bool:
    """Close the card and queue the edit that shows it; False when it was closed before.

    Args:
        connection: The transaction.
        card_id: Its number.
        now: When.
        state: decided, withdrawn, superseded or expired.
        outcome: `result` and where known `note_para` and `at`, for the edit.
        only: The states in which it may be closed.
    """
    changed = connection.execute(
        update(cards)
        .where(cards.c.card_id == card_id, cards.c.state.in_(list(only)))
        .values(state=state, outcome=outcome)
    )
    if not changed.rowcount:
        return False
    stream = connection.execute(select(cards.c.stream).where(cards.c.card_id == card_id)).scalar()
    enqueue_card(
        connection, card_id, str(stream), part="outcome", key=f"outcome|{card_id}", now=now
    )
    return True


def expire_cards(connection: Connection, now: datetime) -> int:
    """Close the open cards whose time is over; gives how many of files.

    What only informs says the same after its time: it is no longer handed over, and not edited.
    """
    connection.execute(
        update(cards)
        .where(
            cards.c.state == OPEN,
            cards.c.kind != "file",
            cards.c.issued_to.is_not(None),
            cards.c.expires_at <= now,
        )
        .values(state=EXPIRED)
    )
    due = connection.execute(
        select(cards.c.card_id).where(
            cards.c.state == OPEN, cards.c.kind == "file", cards.c.expires_at <= now
        )
    ).scalars()
    return sum(
        close_card(connection, card_id, EXPIRED, {"result": "expired"}, now, only=(OPEN,))
        for card_id in due.all()
    )


def note_issued(
    connection: Connection, card_id: int, user_id: str, room_id: str, message_id: str
) -> None:
    """Note to whom and as which message the card was shown."""
    shown = {"card": card_id, "reader": user_id, "room": room_id, "message": message_id}
    connection.execute(_ISSUED, shown)
    note_message(connection, card_id, room_id, message_id)


def note_message(connection: Connection, card_id: int, room_id: str, message_id: str) -> None:
    """Note a message that stands for the card, so that a reply to it names the card."""
    row = {"message_id": message_id, "card_id": card_id, "room_id": room_id}
    put_new(connection, card_messages, row)


def reclassify_card(connection: Connection, card_id: int, **values: Any) -> None:
    """Write what a raised grade makes of the card: its room's class, its kind, its state."""
    connection.execute(update(cards).where(cards.c.card_id == card_id).values(**values))


def forget_messages(connection: Connection, card_id: int, message_ids: Sequence[str]) -> None:
    """Forget messages that were taken back; a card that one of them showed is shown nowhere."""
    connection.execute(
        delete(card_messages).where(card_messages.c.message_id.in_(list(message_ids)))
    )
    connection.execute(
        update(cards)
        .where(cards.c.card_id == card_id, cards.c.message_id.in_(list(message_ids)))
        .values(message_id=None, room_id=None, issued_to=None)
    )


def hand_over(connection: Connection, post_id: str, holder: str | None, now: datetime) -> int:
    """Queue the post's live cards again for whoever is not the one they were shown to."""
    stale = connection.execute(
        select(cards.c.card_id, cards.c.stream, cards.c.issued_to).where(
            cards.c.post_id == post_id,
            cards.c.state.in_(LIVE),
            cards.c.issued_to.is_not(None),
        )
    ).all()
    moved = 0
    for card in stale:
        if card.issued_to == holder:
            continue
        connection.execute(
            update(cards).where(cards.c.card_id == card.card_id).values(issued_to=None)
        )
        enqueue_card(connection, card.card_id, card.stream, part="issue", key=None, now=now)
        moved += 1
    return moved


# Asked for every event and every message, so they are built once.
_POSTS = (
    select(cards.c.post_id).where(cards.c.event_row == bindparam("event")).order_by(cards.c.card_id)
)
_ISSUED = (
    update(cards)
    .where(cards.c.card_id == bindparam("card"))
    .values(
        issued_to=bindparam("reader"), room_id=bindparam("room"), message_id=bindparam("message")
    )
)


@cache
def _card() -> Any:
    return _with_event().where(cards.c.card_id == bindparam("card"))


@cache
def _live() -> Any:
    return (
        _with_event()
        .where(
            cards.c.stream == bindparam("of"),
            cards.c.state.in_(bindparam("states", expanding=True)),
        )
        .order_by(cards.c.card_id)
    )


def _with_event() -> Any:
    return select(
        cards,
        events.c.event,
        events.c.event_id,
        events.c.grade,
        events.c.type.label("event_type"),
        events.c.source,
    ).join(events, events.c.row == cards.c.event_row)
