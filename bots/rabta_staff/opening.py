"""Opens the staff store and makes its tables; it refuses a store of another version."""

from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, select, text
from sqlalchemy.exc import SQLAlchemyError

from rabta_staff.faults import refused
from rabta_staff.tables import metadata, schema_version

VERSION = 1
# Any number, the same in every process: two never make the tables at once.
_MAKING_LOCK = 7241_0002


def open_store(url: URL) -> Engine:
    """The engine of the store with its tables.

    Raises:
        StaffError: `store-unusable` or `store-version`.
    """
    engine = create_engine(url, pool_pre_ping=True)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_immediate)
    try:
        with engine.begin() as connection:
            found = _made(connection)
    except SQLAlchemyError as error:
        engine.dispose()
        says = f"the database cannot be opened ({type(error).__name__})"
        cure = "see that it runs, that the path can be written, and the password file"
        raise refused("store-unusable", "database.url", says, cure) from error
    if found != VERSION:
        engine.dispose()
        says = f"the store is of version {found}, this program knows {VERSION}"
        raise refused("store-version", "database.url", says, "run the program of that version")
    return engine


def _made(connection: Connection) -> int:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MAKING_LOCK})
    if not inspect(connection).has_table(schema_version.name):
        metadata.create_all(connection)
        connection.execute(schema_version.insert().values(version=VERSION))
    return int(connection.execute(select(schema_version.c.version)).scalar_one())


def _prepare_sqlite(dbapi_connection: Any, _record: Any) -> None:
    # The driver's own BEGIN comes too late and too weak: we send ours.
    dbapi_connection.isolation_level = None
    cursor = dbapi_connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=30000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_immediate(connection: Connection) -> None:
    # A transaction that reads first and writes later could not get the lock any more.
    connection.exec_driver_sql("BEGIN IMMEDIATE")
