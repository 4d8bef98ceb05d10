"""Keeps documents on their way from a room into a file of e-Office, until e-Office has answered."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select, update

from rabta_bots.store.tables import filings

QUEUED = "queued"
DONE = "done"
REFUSED = "refused"


def add_filing(connection: Connection, *, filing_id: str, now: datetime, **values: Any) -> None:
    """Keep a new one."""
    connection.execute(
        filings.insert().values(
            filing_id=filing_id, state=QUEUED, attempts=0, next_at=now, made_at=now, **values
        )
    )


def due_filings(connection: Connection, now: datetime, limit: int = 4) -> Sequence[Row[Any]]:
    """The documents to carry now, oldest first."""
    return connection.execute(
        select(filings)
        .where(filings.c.state == QUEUED, filings.c.next_at <= now)
        .order_by(filings.c.made_at, filings.c.filing_id)
        .limit(limit)
    ).all()


def fix_offer(connection: Connection, filing_id: str, offer: dict[str, Any]) -> None:
    """Keep what is offered to e-Office, the same at every repeat."""
    connection.execute(update(filings).where(filings.c.filing_id == filing_id).values(offer=offer))


def retry_filing(connection: Connection, filing_id: str, at: datetime, reason: str) -> None:
    """Try again at a moment."""
    connection.execute(
        update(filings)
        .where(filings.c.filing_id == filing_id)
        .values(attempts=filings.c.attempts + 1, next_at=at, reason=reason)
    )


def end_filing(
    connection: Connection, filing_id: str, state: str, reason: str | None = None
) -> None:
    """Note what became of it; the document's name is no longer needed here."""
    connection.execute(
        update(filings)
        .where(filings.c.filing_id == filing_id)
        .values(state=state, reason=reason, offer=None)
    )
