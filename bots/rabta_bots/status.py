"""Counts what waits and what failed, for the operator."""

from typing import Any

from sqlalchemy import Connection, func, select

from rabta_bots.store.dead_letters import COMMAND, MESSAGE, dead_count
from rabta_bots.store.events import NEW
from rabta_bots.store.outbox import PENDING, WAITING
from rabta_bots.store.tables import commands, events, outbox


def counts(connection: Connection) -> dict[str, Any]:
    """How many events, messages and commands are in which state."""

    def count(column: Any, state: str) -> int:
        query = select(func.count()).where(column == state)
        return int(connection.execute(query).scalar_one())

    unplanned = count(events.c.state, NEW)
    unsent = count(outbox.c.state, PENDING)
    dead = dead_count(connection)
    return {
        "waiting": unplanned + unsent,
        "events_unplanned": unplanned,
        "messages_unsent": unsent,
        "messages_without_reader": count(outbox.c.state, WAITING),
        "messages_dead": dead[MESSAGE],
        "commands_queued": count(commands.c.state, "queued"),
        "commands_dead": dead[COMMAND],
    }
