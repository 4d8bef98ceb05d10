"""Keeps what the operators were told of, so that each thing is told once until it is over."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, delete, func, select, update

from rabta_bots.store.tables import alarms, events


def raised_alarms(connection: Connection) -> dict[str, int]:
    """The alarms that stand, with the level at which they were last told."""
    return {row.name: row.level for row in connection.execute(select(alarms))}


def keep_alarms(connection: Connection, standing: Mapping[str, int], now: datetime) -> None:
    """Note which alarms stand now, each with its highest level so far."""
    before = raised_alarms(connection)
    for name in before.keys() - standing.keys():
        connection.execute(delete(alarms).where(alarms.c.name == name))
    for name, level in standing.items():
        if name not in before:
            connection.execute(alarms.insert().values(name=name, level=level, raised_at=now))
        elif level > before[name]:
            connection.execute(update(alarms).where(alarms.c.name == name).values(level=level))


def last_heard(connection: Connection, source: str) -> datetime | None:
    """When the source last sent anything."""
    moment: datetime | None = connection.execute(
        select(events.c.received_at)
        .where(events.c.source == source)
        .order_by(events.c.row.desc())
        .limit(1)
    ).scalar()
    return moment


def lowest_gap(connection: Connection, source: str, closed: int) -> int | None:
    """The first sequence number that is missing while a later one waits, if there is one."""
    waiting = connection.execute(
        select(func.min(events.c.sequence)).where(
            events.c.source == source, events.c.state == "new", events.c.sequence > closed
        )
    ).scalar()
    return closed + 1 if waiting is not None and waiting > closed + 1 else None
