"""Makes a store as an earlier version of the program left it, from one of this version."""

from sqlalchemy import Connection, inspect, text, update

from rabta_bots.store.tables import (
    alarms,
    announcement_posts,
    announcement_reads,
    announcements,
    class_commands,
    consultations,
    deadlines,
    digest_notes,
    document_notes,
    files,
    filings,
    leases,
    notices,
    papers,
    room_members,
    room_posts,
    schema_version,
    shared_rooms,
    threads,
)


def _without(connection: Connection, table: str, *columns: str) -> None:
    for index in inspect(connection).get_indexes(table):
        if set(index["column_names"]) & set(columns):
            connection.execute(text(f"DROP INDEX {index['name']}"))
    for column in columns:
        connection.execute(text(f"ALTER TABLE {table} DROP COLUMN {column}"))


def _back_to_3(connection: Connection) -> None:
    class_commands.drop(connection)


def _back_to_4(connection: Connection) -> None:
    for table in (deadlines, digest_notes, papers):
        table.drop(connection)
    _without(connection, "eoffice_inbox", "paper")
    _without(connection, "posts", "reports_to")
    _without(connection, "outbox_matrix", "about_event", "about_post")


def _back_to_2(connection: Connection) -> None:
    for table in (threads, room_members, room_posts, shared_rooms, files):
        table.drop(connection)
    _without(connection, "posts", "section")
    _without(connection, "eoffice_inbox", "about_file")
    _without(connection, "outbox_matrix", "address", "draft")


def _back_to_1(connection: Connection) -> None:
    leases.drop(connection)
    _without(connection, "commands", "rounds")


def _back_to_6(connection: Connection) -> None:
    filings.drop(connection)


def _back_to_5(connection: Connection) -> None:
    document_notes.drop(connection)


def _back_to_7(connection: Connection) -> None:
    for table in (
        alarms,
        notices,
        consultations,
        announcement_reads,
        announcement_posts,
        announcements,
    ):
        table.drop(connection)


def _back_to_8(connection: Connection) -> None:
    _without(connection, "cards", "documents_told")
    connection.execute(text("DROP INDEX ix_cards_state_expires_at"))


BACK = {
    8: _back_to_8,
    7: _back_to_7,
    6: _back_to_6,
    5: _back_to_5,
    4: _back_to_4,
    3: _back_to_3,
    2: _back_to_2,
    1: _back_to_1,
}


def back_to(connection: Connection, version: int) -> None:
    """Undo every step after `version`."""
    for reached, undo in sorted(BACK.items(), reverse=True):
        if reached >= version:
            undo(connection)
    connection.execute(update(schema_version).values(version=version))
