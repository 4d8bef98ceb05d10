"""Keeps single numbers, such as the closed mark of each source."""

from sqlalchemy import Connection, bindparam, select, update

from rabta_bots.store.tables import marks

_MARK = select(marks.c.value).where(marks.c.name == bindparam("named"))
_RAISE = (
    update(marks)
    .where(marks.c.name == bindparam("named"), marks.c.value < bindparam("to"))
    .values(value=bindparam("to"))
)


def mark(connection: Connection, name: str, default: int = 0) -> int:
    """The number kept under `name`."""
    value = connection.execute(_MARK, {"named": name}).scalar()
    return default if value is None else int(value)


def raise_mark(connection: Connection, name: str, value: int) -> None:
    """Raise the number under `name` to `value`; it never falls."""
    if connection.execute(_RAISE, {"named": name, "to": value}).rowcount:
        return
    if connection.execute(_MARK, {"named": name}).scalar() is None:
        connection.execute(marks.insert(), {"name": name, "value": value})
