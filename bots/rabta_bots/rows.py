"""Writes rows the same way on SQLite and PostgreSQL."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def put(
    connection: Connection,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    *,
    by: tuple[str, ...] = (),
) -> None:
    """Insert rows, or write the given columns over the rows that have their keys.

    Args:
        connection: Inside a transaction.
        table: The table.
        rows: All with the same columns; the key among them.
        by: The columns of the key; the primary key's by default.
    """
    if not rows:
        return
    statement = _upsert(connection.dialect.name, table, tuple(rows[0]), by)
    connection.execute(statement, [dict(row) for row in rows] if len(rows) > 1 else dict(rows[0]))


def put_new(connection: Connection, table: Table, row: Mapping[str, Any]) -> bool:
    """Insert a row unless one of its unique keys is taken; tell whether it was inserted."""
    statement = _insert_new(connection.dialect.name, table)
    return connection.execute(statement, dict(row)).rowcount == 1


@cache
def _upsert(
    dialect: str, table: Table, columns: tuple[str, ...], by: tuple[str, ...]
) -> sqlite.Insert | postgresql.Insert:
    """Made once: building a statement costs SQLAlchemy more than running it."""
    statement = _insert(dialect, table)
    keys = by or tuple(column.name for column in table.primary_key.columns)
    values = {name: statement.excluded[name] for name in columns if name not in keys}
    if values:
        return statement.on_conflict_do_update(index_elements=keys, set_=values)
    return statement.on_conflict_do_nothing(index_elements=keys)


@cache
def _insert_new(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    return _insert(dialect, table).on_conflict_do_nothing()


def _insert(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    if dialect == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)
