"""Numbers what Mayan told, durably: Mayan has no sequence of its own that leaves nothing out.

A key (a step's id, a charge) gets its number once and keeps it; the numbers have no gaps. Nothing
of a document's content is kept here.
"""

from collections.abc import Sequence

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    func,
    select,
    update,
)

from rabta_bots.store.turns import take_turn

metadata = MetaData()

entries = Table(
    "mayan_ledger",
    metadata,
    Column("source", String(64), primary_key=True),
    Column("key", String(128), primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    # Of what: read again when the process ended between numbering and taking.
    Column("document", Integer),
    Column("taken", Boolean, nullable=False),
    UniqueConstraint("source", "sequence"),
)

instances = Table(
    "mayan_instances",
    metadata,
    Column("instance", Integer, primary_key=True, autoincrement=False),
    Column("document", Integer, nullable=False),
)


def number(connection: Connection, source: str, key: str, document: int | None) -> int | None:
    """The sequence number of a key; None when its event was taken already."""
    take_turn(connection, f"mayan|{source}")
    found = connection.execute(
        select(entries).where(entries.c.source == source, entries.c.key == key)
    ).first()
    if found is not None:
        return None if found.taken else int(found.sequence)
    last = connection.execute(
        select(func.max(entries.c.sequence)).where(entries.c.source == source)
    ).scalar()
    fresh = (last or 0) + 1
    connection.execute(
        entries.insert().values(
            source=source, key=key, sequence=fresh, document=document, taken=False
        )
    )
    return fresh


def note_taken(connection: Connection, source: str, key: str) -> None:
    """Note that the event of a key stands in the store."""
    connection.execute(
        update(entries).where(entries.c.source == source, entries.c.key == key).values(taken=True)
    )


def half_taken(connection: Connection, source: str) -> Sequence[int]:
    """The documents of which something was numbered and not taken."""
    return (
        connection.execute(
            select(entries.c.document)
            .where(entries.c.source == source, ~entries.c.taken, entries.c.document.is_not(None))
            .distinct()
        )
        .scalars()
        .all()
    )


def know_instance(connection: Connection, instance: int, document: int) -> None:
    """Note which document a run through the workflow belongs to."""
    known = select(instances.c.document).where(instances.c.instance == instance)
    if connection.execute(known).first() is None:
        connection.execute(instances.insert().values(instance=instance, document=document))


def documents_of(connection: Connection, told: Sequence[int]) -> dict[int, int]:
    """Instance to document, of those that are known."""
    found = connection.execute(select(instances).where(instances.c.instance.in_(list(told))))
    return {row.instance: row.document for row in found}


def known_documents(connection: Connection) -> set[int]:
    """Every document that was ever read."""
    return set(connection.execute(select(instances.c.document)).scalars())
