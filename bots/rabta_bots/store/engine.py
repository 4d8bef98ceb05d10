"""Makes the engine of a store, as a program wants it that must lose nothing."""

from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url

# A host that vanished without a word is noticed in 10 s; so is a process that was frozen in the
# middle of a transaction, whose locks would keep a standby waiting.
POSTGRES_OPTIONS = (
    "-c tcp_keepalives_idle=4 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3"
    " -c idle_in_transaction_session_timeout=10s"
)

POSTGRES: dict[str, Any] = {
    "pool_pre_ping": True,
    "connect_args": {"options": POSTGRES_OPTIONS},
}

# SQLite writes one transaction at a time, and a second connection would look for its turn in naps
# of up to 100 ms. On one connection the next transaction begins the moment the last one ends.
SQLITE: dict[str, Any] = {"pool_size": 1, "max_overflow": 0, "pool_timeout": 60}


def engine_on(url: URL | str) -> Engine:
    """The engine of a database; SQLite runs in WAL mode with full synchronisation."""
    on_postgres = make_url(url).get_backend_name() == "postgresql"
    engine = create_engine(url, **(POSTGRES if on_postgres else SQLITE))
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_immediate)
    return engine


def _prepare_sqlite(dbapi_connection: Any, _record: Any) -> None:
    # The driver's own BEGIN comes too late and too weak: we send ours.
    dbapi_connection.isolation_level = None
    cursor = dbapi_connection.cursor()
    # secure_delete: what a raised grade strips must not stand on in the file's free space.
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "busy_timeout=30000",
        "secure_delete=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_immediate(connection: Connection) -> None:
    # A transaction that reads first and writes later could not get the lock any more.
    connection.exec_driver_sql("BEGIN IMMEDIATE")
