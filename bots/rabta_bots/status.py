"""Counts what waits and what failed, for the operator."""

from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, func, select

from rabta_bots.store.dead_letters import COMMAND, MESSAGE, dead_count
from rabta_bots.store.documents import DOCUMENT
from rabta_bots.store.events import NEW
from rabta_bots.store.filings import QUEUED
from rabta_bots.store.outbox import PENDING, WAITING
from rabta_bots.store.tables import commands, events, filings, outbox


def counts(connection: Connection, now: datetime) -> dict[str, Any]:
    """How many events, messages and commands are in which state, and since when.

    Ages are in seconds, of the oldest that waits; 0 where none does.
    """

    def count(*where: ColumnElement[bool]) -> int:
        return int(connection.execute(select(func.count()).where(*where)).scalar_one())

    def age(column: Column[Any], *where: ColumnElement[bool]) -> float:
        oldest = connection.execute(select(func.min(column)).where(*where)).scalar()
        return 0.0 if oldest is None else max(0.0, round((now - oldest).total_seconds(), 3))

    new, unsent = events.c.state == NEW, outbox.c.state == PENDING
    is_document = outbox.c.part == DOCUMENT
    queued, filing = commands.c.state == "queued", filings.c.state == QUEUED
    unplanned = count(new)
    dead = dead_count(connection)
    return {
        "waiting": unplanned + count(unsent),
        "events_unplanned": unplanned,
        "messages_unsent": count(unsent),
        "messages_without_reader": count(outbox.c.state == WAITING),
        "messages_dead": dead[MESSAGE],
        "documents_unsent": count(unsent, is_document),
        "documents_unfiled": count(filing),
        "commands_queued": count(queued),
        "commands_dead": dead[COMMAND],
        "lag_seconds": age(events.c.received_at, new),
        "oldest_message_seconds": age(outbox.c.made_at, unsent, ~is_document),
        "oldest_document_seconds": age(outbox.c.made_at, unsent, is_document),
        "oldest_command_seconds": age(commands.c.made_at, queued),
        "oldest_filing_seconds": age(filings.c.made_at, filing),
        "messages_retrying": count(unsent, ~is_document, outbox.c.attempts > 0),
        "documents_retrying": count(unsent, is_document, outbox.c.attempts > 0),
        "commands_retrying": count(queued, commands.c.attempts > 0),
        "filings_retrying": count(filing, filings.c.attempts > 0),
    }
