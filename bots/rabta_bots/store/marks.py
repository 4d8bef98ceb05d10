"""Keeps single numbers, such as the closed mark of each source."""

from sqlalchemy import Connection, bindparam, select, update

from rabta_bots.store.tables import marks

_MARK = select(marks.c.value).where(marks.c.name == bindparam("named"))


def mark(connection: Connection, name: str, default: int = 0) -> int:
    """The number kept under `name`."""
    value = connection.execute(_MARK, {"named": name}).scalar()
    return default if value is None else int(value)


def raise_mark(connection: Connection, name: str, value: int) -> None:
    """Raise the number under `name` to `value`; it never falls."""
    found = connection.execute(_MARK, {"named": name}).scalar()
    if found is None:
        connection.execute(marks.insert().values(name=name, value=value))
    elif found < value:
        connection.execute(update(marks).where(marks.c.name == name).values(value=value))
