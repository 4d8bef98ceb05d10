"""Keeps what must go to Matrix: in each stream strictly in order, each row once."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, func, select, update

from rabta_bots.addresses import Address
from rabta_bots.store.tables import cards, outbox
from rabta_bots.store.turns import take_turn

PENDING = "pending"
WAITING = "waiting"
SENT = "sent"
DEAD = "dead"
MOOT = "moot"
DROPPED = "dropped"

# Of the documents of a card whose words were taken back: whatever is told next is new.
_NOT_SAID = {"": "not-said"}

# The reason of a row that waits for somebody to hold its post.
NO_HOLDER = "no-holder"


# Run for every message, so they are built once.
_BEFORE = select(
    select(outbox.c.row).where(outbox.c.key == bindparam("name")).scalar_subquery(),
    select(func.max(outbox.c.seq)).where(outbox.c.stream == bindparam("of")).scalar_subquery(),
)
_THIS = outbox.c.row == bindparam("this")
# Its words are fixed: it may be on its way. (JSON columns keep `null`, which is not SQL's NULL.)
_FIXED = outbox.c.txn_id.is_not(None)
_FIX = (
    update(outbox)
    .where(_THIS)
    .values({name: bindparam(f"new_{name}") for name in ("room_id", "event_type", "txn_id")})
    .values(content=bindparam("new_content", type_=outbox.c.content.type))
)
_MARK_SENT = (
    update(outbox)
    .where(_THIS)
    .values(state=SENT, message_id=bindparam("message"), content=None, draft=None, reason=None)
)


def _ready() -> tuple[Any, Any]:
    """What is due: the first pending row of each stream, and rows that have waited enough."""
    earlier = outbox.alias()
    behind_another = (
        select(earlier.c.row)
        .where(
            earlier.c.stream == outbox.c.stream,
            earlier.c.state == PENDING,
            earlier.c.part != "document",
            earlier.c.seq < outbox.c.seq,
        )
        .exists()
    )
    # In the order of the index, so that what is far behind costs nothing.
    ready = (
        select(outbox)
        .where(
            outbox.c.next_at <= bindparam("now"),
            outbox.c.row.not_in(bindparam("taken", expanding=True)),
        )
        .order_by(outbox.c.next_at, outbox.c.row)
        .limit(bindparam("most"))
    )
    heads = ready.where(outbox.c.state == PENDING, outbox.c.part != "document", ~behind_another)
    return heads, ready.where(outbox.c.state == WAITING)


_HEADS, _WAITED = _ready()


def enqueue_card(
    connection: Connection,
    card_id: int,
    stream: str,
    *,
    part: str,
    key: str | None,
    now: datetime,
    event_row: int | None = None,
) -> None:
    """Queue a message about a card; its words are made when it is sent, for whoever holds the post.

    Args:
        connection: The transaction.
        card_id: The card.
        stream: In whose order it stands.
        now: When.
        part: issue, poll, outcome, amend, document, line or redact.
        key: Unique name of the row, so that it is queued once; None numbers another issue.
        event_row: The event that a line tells, or that a redaction is for.
    """
    if key is None:
        count = connection.execute(
            select(func.count())
            .select_from(outbox)
            .where(outbox.c.card_id == card_id, outbox.c.part == part)
        ).scalar_one()
        key = f"{part}|{card_id}|{count}"
    _insert(connection, stream, part, key, now, card_id=card_id, about_event=event_row)


def enqueue_digest(connection: Connection, post_id: str, key: str, now: datetime) -> None:
    """Queue a post's digest; its words are made when it is sent, for whoever holds the post."""
    _insert(connection, f"digest/{post_id}", "digest", key, now, about_post=post_id)


def enqueue_words(
    connection: Connection,
    room_id: str,
    key: str,
    *,
    content: Mapping[str, Any],
    txn_id: str,
    now: datetime,
) -> None:
    """Queue a ready message to a room, such as the answer to a command."""
    _insert(
        connection,
        f"talk/{room_id}",
        "say",
        key,
        now,
        room_id=room_id,
        event_type="m.room.message",
        content=dict(content),
        txn_id=txn_id,
    )


def enqueue_addressed(
    connection: Connection,
    address: Address,
    *,
    part: str,
    key: str,
    draft: Mapping[str, Any],
    now: datetime,
    stream: str | None = None,
) -> None:
    """Queue a message to a room that may still have to be made, in words not chosen yet.

    Args:
        connection: The transaction.
        address: Which room.
        part: What it is, see `addressed.py`.
        key: Unique name of the row, so that it is queued once.
        draft: What it will be composed from, for whoever reads it then.
        now: When.
        stream: In whose order it stands; the room's own by default.
    """
    _insert(
        connection,
        stream or str(address),
        part,
        key,
        now,
        address=str(address),
        draft=dict(draft),
    )


def _insert(
    connection: Connection, stream: str, part: str, key: str, now: datetime, **values: Any
) -> None:
    take_turn(connection, f"outbox|{stream}")
    queued, last = connection.execute(_BEFORE, {"name": key, "of": stream}).one()
    if queued is not None:
        return
    row = {
        "stream": stream,
        "seq": (last or 0) + 1,
        "part": part,
        "key": key,
        "state": PENDING,
        "attempts": 0,
        "next_at": now,
        "made_at": now,
        **values,
    }
    connection.execute(outbox.insert(), row)


def due(
    connection: Connection, now: datetime, limit: int = 20, taken: Sequence[int] = ()
) -> Sequence[Row[Any]]:
    """The rows to try now: of each stream its first pending one, and those that waited enough.

    Documents have a carrier of their own (`store/documents.py`).

    Args:
        connection: The transaction.
        now: When.
        limit: At most so many.
        taken: Rows that are being tried.
    """
    asked = {"now": now, "taken": list(taken), "most": limit}
    heads = connection.execute(_HEADS, asked).all()
    waited = connection.execute(_WAITED, asked).all()
    return sorted([*heads, *waited], key=lambda row: row.row)[:limit]


def fix_content(
    connection: Connection,
    row: int,
    *,
    room_id: str,
    event_type: str,
    content: Mapping[str, Any],
    txn_id: str,
) -> None:
    """Fix what the row says, so that every repeat sends the same to the same room."""
    new = {"room_id": room_id, "event_type": event_type, "txn_id": txn_id, "content": dict(content)}
    connection.execute(_FIX, {"this": row, **{f"new_{name}": value for name, value in new.items()}})


def unfix_content(connection: Connection, row: int) -> None:
    """Forget the words of a row that never left, because its reader is not there."""
    connection.execute(
        update(outbox).where(outbox.c.row == row).values(room_id=None, content=None, txn_id=None)
    )
    mine = select(outbox.c.card_id).where(outbox.c.row == row).scalar_subquery()
    connection.execute(
        update(cards).where(cards.c.card_id == mine).values(documents_told=_NOT_SAID)
    )


def hide_content(connection: Connection, card_id: int, content: Mapping[str, Any]) -> None:
    """Take the words of the card's unsent messages away, because its grade was raised.

    One that may be on its way keeps its transaction id, so that the redaction behind it in the
    stream finds it; whichever of the two contents the homeserver took.
    """
    mine = and_(outbox.c.card_id == card_id, _FIXED)
    connection.execute(
        update(outbox)
        .where(mine, outbox.c.state.in_((PENDING, WAITING)))
        .values(content=dict(content))
    )
    connection.execute(
        update(outbox)
        .where(mine, outbox.c.state == DEAD)
        .values(room_id=None, content=None, txn_id=None)
    )


def streams_of_file(connection: Connection, file_id: str) -> list[tuple[str, str]]:
    """Address and stream of every place where lines about a file were queued."""
    rows = connection.execute(
        select(outbox.c.address, outbox.c.stream)
        .where(outbox.c.part == "thread", outbox.c.stream.endswith(f"|{file_id}", autoescape=True))
        .distinct()
    )
    return [(row.address, row.stream) for row in rows]


def hide_stream(connection: Connection, stream: str, content: Mapping[str, Any]) -> None:
    """Take the words of the stream's unsent messages away; see `hide_content`."""
    connection.execute(
        update(outbox)
        .where(
            outbox.c.stream == stream,
            _FIXED,
            outbox.c.state.in_((PENDING, WAITING)),
        )
        .values(content=dict(content))
    )


def sent_in_stream(connection: Connection, stream: str, before: int) -> list[tuple[str, str]]:
    """Room and id of every message of the stream that was queued before a number and sent."""
    rows = connection.execute(
        select(outbox.c.room_id, outbox.c.message_id).where(
            outbox.c.stream == stream,
            outbox.c.seq < before,
            outbox.c.state == SENT,
            outbox.c.message_id.is_not(None),
        )
    )
    return [(row.room_id, row.message_id) for row in rows]


def sent_of_card(connection: Connection, card_id: int, before: int) -> list[tuple[str, str]]:
    """Room and id of every message about the card that was queued before a row and sent."""
    rows = connection.execute(
        select(outbox.c.room_id, outbox.c.message_id)
        .where(
            outbox.c.card_id == card_id,
            outbox.c.state == SENT,
            outbox.c.row < before,
            outbox.c.room_id.is_not(None),
            outbox.c.message_id.is_not(None),
        )
        .order_by(outbox.c.row)
    )
    return [(row.room_id, row.message_id) for row in rows]


def content_of(connection: Connection, row: int) -> dict[str, Any] | None:
    """What the row was fixed to say, as the store has it now."""
    content: dict[str, Any] | None = connection.execute(
        select(outbox.c.content).where(outbox.c.row == row)
    ).scalar()
    return content


def has_unsent(connection: Connection, card_id: int, part: str) -> bool:
    """Whether a message of the part about the card is unsent, or waits for an operator."""
    found = connection.execute(
        select(outbox.c.row)
        .where(
            outbox.c.card_id == card_id,
            outbox.c.part == part,
            outbox.c.state.in_((PENDING, WAITING, DEAD)),
        )
        .limit(1)
    ).scalar()
    return found is not None


def mark_done(connection: Connection, row: int) -> None:
    """Note that what the row asked for, which is no message, was done."""
    connection.execute(update(outbox).where(outbox.c.row == row).values(state=SENT, reason=None))


def on_its_way(connection: Connection, room_id: str) -> bool:
    """Whether something may stand in the room already that is not noted as sent.

    Answers do not count: nobody commands by replying to them.
    """
    unsent = and_(_FIXED, outbox.c.state == PENDING, outbox.c.part != "say")
    query = select(outbox.c.row).where(outbox.c.room_id == room_id, unsent).limit(1)
    return connection.execute(query).first() is not None


def outcome_follows(connection: Connection, row: Row[Any]) -> bool:
    """Whether the edit that tells how the row's card ended waits behind it."""
    same = and_(outbox.c.stream == row.stream, outbox.c.card_id == row.card_id)
    behind = and_(outbox.c.seq > row.seq, outbox.c.part == "outcome", outbox.c.state == PENDING)
    return connection.execute(select(outbox.c.row).where(same, behind).limit(1)).first() is not None


def mark_sent(connection: Connection, row: int, message_id: str) -> None:
    """Note that the row stands in the room; its words are no longer needed here."""
    connection.execute(_MARK_SENT, {"this": row, "message": message_id})


def mark_dead(connection: Connection, row: int, reason: str) -> None:
    """Note that the row was refused for good; its words stay until an operator has acted."""
    connection.execute(update(outbox).where(outbox.c.row == row).values(state=DEAD, reason=reason))


def mark_moot(connection: Connection, row: int, reason: str) -> None:
    """Note that the row need not be sent any more, and why."""
    connection.execute(
        update(outbox)
        .where(outbox.c.row == row)
        .values(state=MOOT, reason=reason, content=None, draft=None)
    )


def try_again(
    connection: Connection, row: int, at: datetime, reason: str, *, waiting: bool = False
) -> None:
    """Note when the row is tried again.

    Args:
        connection: The transaction.
        row: The row.
        at: When.
        reason: Stable code.
        waiting: Whether its stream goes on without it: its reader is not there yet.
    """
    connection.execute(
        update(outbox)
        .where(outbox.c.row == row)
        .values(
            state=WAITING if waiting else PENDING,
            attempts=outbox.c.attempts + 1,
            next_at=at,
            reason=reason,
        )
    )


def posts_without_reader(connection: Connection) -> Sequence[str]:
    """The posts whose cards wait because nobody with an account held them."""
    return (
        connection.execute(
            select(cards.c.post_id)
            .join(outbox, outbox.c.card_id == cards.c.card_id)
            .where(outbox.c.state == WAITING, outbox.c.reason == NO_HOLDER)
            .distinct()
        )
        .scalars()
        .all()
    )


def wake_waiting(connection: Connection, post_id: str, now: datetime) -> None:
    """Try the cards of a post now: somebody holds it."""
    mine = select(cards.c.card_id).where(cards.c.post_id == post_id)
    connection.execute(
        update(outbox)
        .where(
            outbox.c.state == WAITING,
            outbox.c.reason == NO_HOLDER,
            outbox.c.card_id.in_(mine),
            outbox.c.next_at > now,
        )
        .values(next_at=now)
    )
