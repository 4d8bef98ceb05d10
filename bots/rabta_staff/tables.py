"""The staff store's tables: persons, posts, charges, and what was done. Nothing is ever deleted."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    TypeDecorator,
    text,
)


class Instant(TypeDecorator[datetime]):
    """An aware moment in UTC; SQLite alone would forget the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Write it as UTC."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Read it back aware."""
        if value is None:
            return None
        moment: datetime = value
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


metadata = MetaData()
_ROW = BigInteger().with_variant(Integer, "sqlite")
_ID = String(128)


def _kept() -> list[Column[Any]]:
    """What SCIM's `meta` is made of; who is gone stays here, so that no id is given twice."""
    return [
        Column("external_id", String(255), index=True),
        Column("gone", Boolean, nullable=False, default=False),
        Column("version", Integer, nullable=False, default=1),
        Column("created", Instant, nullable=False),
        Column("modified", Instant, nullable=False),
    ]


persons = Table(
    "persons",
    metadata,
    Column("id", _ID, primary_key=True),
    # The staff office's number, e-Office's id of the person.
    Column("number", String(128), nullable=False),
    Column("user_name", String(255), nullable=False),
    Column("user_name_key", String(255), nullable=False),
    Column("name", String(255), nullable=False),
    Column("name_ur", String(255)),
    Column("language", String(2), nullable=False),
    Column("subject", String(255)),
    Column("active", Boolean, nullable=False),
    # What SCIM told beyond these, given back as it came: parts of the name, title.
    Column("details", JSON, nullable=False),
    # The account. `owned`: it was found free, or named for this person; nobody else uses it.
    Column("localpart", String(64), nullable=False, unique=True),
    Column("owned", Boolean, nullable=False, default=False),
    # Set with every change that the homeserver must follow; the change that clears them names
    # the version it carried.
    Column("due", Boolean, nullable=False, default=True, index=True),
    Column("sessions_end", Boolean, nullable=False, default=False),
    Column("fault", String(128)),
    *_kept(),
)
posts = Table(
    "posts",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("number", String(128), nullable=False),
    Column("designation", String(255), nullable=False),
    Column("designation_ur", String(255)),
    Column("section", String(128)),
    Column("grade", Integer),
    Column("reports_to", String(128)),
    *_kept(),
)
_LIVE = text("NOT gone")
for _table, _column in ((persons, "number"), (persons, "user_name_key"), (posts, "number")):
    Index(
        f"one_{_table.name}_{_column}",
        _table.c[_column],
        unique=True,
        sqlite_where=_LIVE,
        postgresql_where=_LIVE,
    )

charges = Table(
    "charges",
    metadata,
    Column("row", _ROW, primary_key=True, autoincrement=True),
    Column("post_id", _ID, ForeignKey("posts.id"), nullable=False, index=True),
    Column("person_id", _ID, ForeignKey("persons.id"), nullable=False, index=True),
    Column("kind", String(16), nullable=False),
    Column("order_no", String(128)),
    Column("begins", Instant, nullable=False),
    Column("ends", Instant),
)
# One line for each thing that was done, until the service has put it into the journal.
acts = Table(
    "acts",
    metadata,
    Column("row", _ROW, primary_key=True, autoincrement=True),
    Column("time", Instant, nullable=False),
    Column("act", String(32), nullable=False),
    Column("person_id", _ID),
    Column("post", String(128)),
    Column("order_no", String(128)),
    Column("journaled", Boolean, nullable=False, default=False, index=True),
)
schema_version = Table("schema_version", metadata, Column("version", Integer, nullable=False))
