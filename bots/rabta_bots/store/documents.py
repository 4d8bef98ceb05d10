"""Keeps what became of each document of a card, and queues documents behind the card they follow.

They stand in streams of their own, so that a slow document holds up no card, and in each file in
the order of their cards.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, func, select, update

from rabta_bots.store.outbox import PENDING, SENT, enqueue_card
from rabta_bots.store.tables import cards, document_notes, events, outbox

DOCUMENT = "document"

# More of one event stay in e-Office; a room is no archive.
MOST = 20


_EVENT = (
    select(events.c.event)
    .join(cards, cards.c.event_row == events.c.row)
    .where(cards.c.card_id == bindparam("card"))
)


@dataclass(frozen=True, slots=True)
class Place:
    """Which document a row of the outbox is about.

    Args:
        issue: Key of the card's row that it follows.
        number: Its place among the event's documents, from 0.
    """

    issue: str
    number: int

    @property
    def key(self) -> str:
        """The key of its own row."""
        return f"{DOCUMENT}|{self.issue}|{self.number}"

    @classmethod
    def of(cls, row: Row[Any]) -> "Place":
        """The place that a row's key names."""
        issue, _, number = str(row.key).removeprefix(f"{DOCUMENT}|").rpartition("|")
        return cls(issue, int(number))


def enqueue_documents(connection: Connection, issue: Row[Any], now: datetime) -> int:
    """Queue the documents of a card that was just shown; gives how many.

    Args:
        connection: The transaction.
        issue: The outbox row that showed it.
        now: When.
    """
    event = connection.execute(_EVENT, {"card": issue.card_id}).scalar_one()
    count = min(len(event.get("data", {}).get("documents") or ()), MOST)
    for number in range(count):
        enqueue_card(
            connection,
            issue.card_id,
            f"documents/{issue.stream}",
            part=DOCUMENT,
            key=Place(issue.key, number).key,
            now=now,
        )
    return count


def due_documents(connection: Connection, now: datetime, limit: int) -> Sequence[Row[Any]]:
    """The documents to carry now: of each stream its first."""
    mine = and_(outbox.c.part == DOCUMENT, outbox.c.state == PENDING)
    heads = (
        select(outbox.c.stream, func.min(outbox.c.seq).label("seq"))
        .where(mine)
        .group_by(outbox.c.stream)
        .subquery()
    )
    return connection.execute(
        select(outbox)
        .join(heads, and_(heads.c.stream == outbox.c.stream, heads.c.seq == outbox.c.seq))
        .where(mine, outbox.c.next_at <= now)
        .order_by(outbox.c.row)
        .limit(limit)
    ).all()


def follows_latest_issue(connection: Connection, row: Row[Any]) -> bool:
    """Whether the card was not shown again since: then its documents follow the newer one."""
    latest = connection.execute(
        select(outbox.c.key)
        .where(outbox.c.card_id == row.card_id, outbox.c.part == "issue", outbox.c.state == SENT)
        .order_by(outbox.c.row.desc())
        .limit(1)
    ).scalar()
    return latest == Place.of(row).issue


def note_document(connection: Connection, card_id: int, number: int, reason: str | None) -> bool:
    """Note why a document is not there, or None when it is; tells whether that is news."""
    mine = and_(document_notes.c.card_id == card_id, document_notes.c.number == number)
    before = connection.execute(select(document_notes.c.reason).where(mine)).one_or_none()
    if before is None:
        connection.execute(
            document_notes.insert().values(card_id=card_id, number=number, reason=reason)
        )
        return reason is not None
    connection.execute(update(document_notes).where(mine).values(reason=reason))
    return bool(before.reason != reason)


def note_told(connection: Connection, card_id: int, told: Mapping[str, str]) -> None:
    """Note what the words that a card has now, or will have, say of its documents."""
    connection.execute(
        update(cards).where(cards.c.card_id == card_id).values(documents_told=dict(told))
    )


def reasons_of(connection: Connection, card_id: int) -> dict[int, str]:
    """By place, why a document of the card is not there."""
    rows = connection.execute(
        select(document_notes.c.number, document_notes.c.reason).where(
            document_notes.c.card_id == card_id, document_notes.c.reason.is_not(None)
        )
    )
    return {row.number: row.reason for row in rows}
