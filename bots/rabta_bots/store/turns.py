"""Lets one transaction at a time do a thing that reads first and writes what follows from it."""

from sqlalchemy import Connection, text


def take_turn(connection: Connection, name: str) -> None:
    """Wait until no other transaction has the turn `name`; it is given back at the end of ours.

    SQLite lets one transaction write at a time anyway (`BEGIN IMMEDIATE`).
    """
    if connection.dialect.name == "postgresql":
        connection.execute(
            text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name}
        )
