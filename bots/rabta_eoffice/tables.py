"""The tables of the reference e-Office and the engine that opens them."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Dialect,
    Engine,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    event,
)
from sqlalchemy.types import TypeDecorator

_BUSY_SECONDS = 20


class Moment(TypeDecorator[datetime]):
    """An aware datetime as UTC text of fixed width, so that SQL orders it rightly."""

    impl = String(32)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Write microseconds and offset always."""
        return None if value is None else value.astimezone(UTC).isoformat(timespec="microseconds")

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Read back what was written."""
        return None if value is None else datetime.fromisoformat(value)


metadata = MetaData()

posts = Table(
    "posts",
    metadata,
    Column("post_id", String(64), primary_key=True),
    Column("designation", Text, nullable=False),
    Column("designation_ur", Text),
    Column("org", String(8), nullable=False),
    Column("wing", Text),
    Column("section", Text),
    Column("bps", Integer),
    Column("reports_to", String(64)),
    Column("establishment", Boolean, nullable=False),
)

persons = Table(
    "persons",
    metadata,
    Column("person_id", String(64), primary_key=True),
    Column("name", Text, nullable=False),
    Column("name_ur", Text),
    Column("password_hash", Text),
)

charges = Table(
    "charges",
    metadata,
    Column("charge_id", Integer, primary_key=True, autoincrement=True),
    Column("post_id", ForeignKey("posts.post_id"), nullable=False, index=True),
    Column("person_id", ForeignKey("persons.person_id"), nullable=False, index=True),
    Column("kind", String(16), nullable=False),
    Column("held_from", Moment, nullable=False),
    Column("held_until", Moment),
    Column("order_no", Text),
    # Whether the end of the charge has been told to the bridge.
    Column("end_told", Boolean, nullable=False),
    UniqueConstraint("post_id", "person_id", "held_from"),
)

files = Table(
    "files",
    metadata,
    Column("file_id", String(64), primary_key=True),
    Column("file_no", String(120), nullable=False),
    Column("subject", Text, nullable=False),
    Column("org", String(8), nullable=False),
    Column("section", Text),
    Column("grade", String(16), nullable=False),
    Column("priority", String(16), nullable=False),
    Column("certificate_required", Boolean, nullable=False),
    Column("status", String(16), nullable=False),
    Column("initiator", ForeignKey("posts.post_id"), nullable=False),
    Column("holder", ForeignKey("posts.post_id"), nullable=False, index=True),
    Column("came_from", String(64)),
    Column("pull_back_by", String(64), index=True),
    Column("movement_no", Integer, nullable=False),
    Column("note_para", Integer, nullable=False),
    Column("received", Boolean, nullable=False),
    Column("opened_at", Moment, nullable=False),
)

notes = Table(
    "notes",
    metadata,
    Column("file_id", ForeignKey("files.file_id"), primary_key=True),
    Column("para", Integer, primary_key=True),
    Column("post_id", String(64), nullable=False),
    Column("person_id", String(64), nullable=False),
    Column("text", Text, nullable=False),
    Column("written_at", Moment, nullable=False),
)

movements = Table(
    "movements",
    metadata,
    Column("file_id", ForeignKey("files.file_id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("from_post", String(64), nullable=False),
    Column("to_post", String(64), nullable=False),
    Column("purpose", String(16), nullable=False),
    Column("remarks", Text),
    Column("person_id", String(64), nullable=False),
    Column("moved_at", Moment, nullable=False),
)

# The ledger: who decided what, by which charge and which channel. Rows are only ever added.
decisions = Table(
    "decisions",
    metadata,
    Column("decision_id", Integer, primary_key=True, autoincrement=True),
    Column("file_id", ForeignKey("files.file_id"), nullable=False, index=True),
    Column("movement_no", Integer, nullable=False),
    Column("note_para", Integer, nullable=False),
    Column("outcome", String(32), nullable=False),
    Column("post_id", String(64), nullable=False),
    Column("person_id", String(64), nullable=False),
    Column("charge", String(16), nullable=False),
    Column("channel", String(8), nullable=False),
    Column("command_id", String(128)),
    Column("matrix_user", String(255)),
    Column("decided_at", Moment, nullable=False),
)

documents = Table(
    "documents",
    metadata,
    Column("doc_id", String(64), primary_key=True),
    Column("file_id", ForeignKey("files.file_id"), nullable=False, index=True),
    Column("name", String(255), nullable=False),
    Column("media_type", String(127), nullable=False),
    Column("size", Integer, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("post_id", String(64), nullable=False),
    Column("person_id", String(64), nullable=False),
    Column("channel", String(8), nullable=False),
    Column("command_id", String(128)),
    Column("matrix_user", String(255)),
    Column("added_at", Moment, nullable=False),
)

commands = Table(
    "commands",
    metadata,
    Column("command_id", String(128), primary_key=True),
    Column("body_sha256", String(64), nullable=False),
    Column("status", Integer, nullable=False),
    Column("answer", LargeBinary, nullable=False),
    Column("answered_at", Moment, nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("event_id", String(128), nullable=False, unique=True),
    Column("type", String(80), nullable=False),
    Column("body", LargeBinary, nullable=False),
    # waiting, sent or refused
    Column("state", String(8), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("last_answer", String(64)),
    Index("outbox_waiting", "state", "sequence"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("person_id", ForeignKey("persons.person_id"), nullable=False),
    Column("expires_at", Moment, nullable=False),
)


def open_database(path: Path) -> Engine:
    """Open the SQLite file, making it and its tables where they are missing.

    Every transaction begins as a write (`BEGIN IMMEDIATE`): two that would both decide the
    same file stand in a queue, so the second sees what the first has done.
    """
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": _BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        reading = connection.get_execution_options().get("rabta_reading", False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    metadata.create_all(engine)
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection that only reads: it sees one state and keeps no writer waiting."""
    with engine.connect().execution_options(rabta_reading=True) as connection:
        yield connection
