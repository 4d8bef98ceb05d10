"""Opens the store and brings its schema to this version; it refuses a store of a later one."""

from collections.abc import Callable

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    func,
    inspect,
    select,
    text,
    update,
)

from rabta_bots.clock import Clock
from rabta_bots.faults import Fault, SettingsError
from rabta_bots.papers import paper_of
from rabta_bots.store.engine import engine_on
from rabta_bots.store.files import note_file
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
    events,
    files,
    filings,
    leases,
    metadata,
    notices,
    papers,
    posts,
    room_members,
    room_posts,
    schema_version,
    shared_rooms,
    threads,
)
from rabta_bots.store.together import in_store
from rabta_contract.event import Event

__all__ = ["STEPS", "VERSION", "in_store", "open_store"]

VERSION = 9


def _add_leases_and_rounds(connection: Connection) -> None:
    leases.create(connection)
    connection.execute(text("ALTER TABLE commands ADD COLUMN rounds INTEGER NOT NULL DEFAULT 0"))
    # What was overtaken is no dead letter; a lost command is one, though its words are gone.
    connection.execute(text("UPDATE commands SET state = 'dead' WHERE state = 'lost'"))
    connection.execute(
        text(
            "UPDATE outbox_matrix SET state = 'moot' WHERE state = 'dead'"
            " AND reason IN ('closed-before-shown', 'never-shown', 'nothing-to-poll')"
        )
    )


def _add_shared_rooms(connection: Connection) -> None:
    for table in (files, shared_rooms, room_posts, room_members, threads):
        table.create(connection)
    for what in (
        "posts ADD COLUMN section VARCHAR(128)",
        "eoffice_inbox ADD COLUMN about_file VARCHAR(128)",
        "outbox_matrix ADD COLUMN address VARCHAR(255)",
        "outbox_matrix ADD COLUMN draft JSON",
    ):
        connection.execute(text(f"ALTER TABLE {what}"))
    for index in events.indexes:
        if [column.name for column in index.columns] == ["about_file"]:
            index.create(connection)
    _tell_again(connection)


def _tell_again(connection: Connection) -> None:
    """Fill the new columns from the events that were kept, in their order."""
    query = select(events.c.row, events.c.event, events.c.grade).order_by(
        events.c.source, events.c.sequence
    )
    for row in connection.execute(query).all():
        data = row.event.get("data", {})
        post = data.get("charge", {}).get("post", {})
        if post.get("section"):
            connection.execute(
                update(posts)
                .where(posts.c.post_id == post["post_id"])
                .values(section=post["section"])
            )
        file_id = Event.model_validate(row.event).file_id if row.event else None
        if file_id is not None:
            connection.execute(
                update(events).where(events.c.row == row.row).values(about_file=file_id)
            )
        if "file" in data:
            note_file(connection, data["file"]["file_id"], data["file"]["file_no"], row.grade)


def _add_class_commands(connection: Connection) -> None:
    class_commands.create(connection)


def _add_papers_deadlines_and_digests(connection: Connection) -> None:
    for table in (papers, deadlines, digest_notes):
        table.create(connection)
    for table_name, column in (
        ("eoffice_inbox", "paper VARCHAR(160)"),
        ("posts", "reports_to VARCHAR(128)"),
        ("outbox_matrix", "about_event BIGINT"),
        ("outbox_matrix", "about_post VARCHAR(128)"),
    ):
        connection.execute(text(f"ALTER TABLE {table_name} ADD COLUMN {column}"))
    connection.execute(text("CREATE INDEX ix_eoffice_inbox_paper ON eoffice_inbox (paper)"))
    stored = select(events.c.row, events.c.event, events.c.sequence, events.c.grade)
    latest = {}
    for row in connection.execute(stored.order_by(events.c.sequence)).all():
        paper = paper_of(row.event)
        if paper is not None:
            connection.execute(update(events).where(events.c.row == row.row).values(paper=paper))
            latest[paper] = {"grade": row.grade, "told_at": row.sequence}
    for paper, told in latest.items():
        connection.execute(papers.insert().values(paper=paper, **told))


def _add_documents(connection: Connection) -> None:
    document_notes.create(connection)


def _add_filings(connection: Connection) -> None:
    filings.create(connection)


def _add_announcements_consultations_and_alarms(connection: Connection) -> None:
    for table in (
        announcements,
        announcement_posts,
        announcement_reads,
        consultations,
        notices,
        alarms,
    ):
        table.create(connection)


def _add_what_cards_told_of_documents(connection: Connection) -> None:
    connection.execute(text("ALTER TABLE cards ADD COLUMN documents_told JSON"))
    connection.execute(text("CREATE INDEX ix_cards_state_expires_at ON cards (state, expires_at)"))


# version -> the step that brings a store from the version before to it.
STEPS: dict[int, Callable[[Connection], None]] = {
    2: _add_leases_and_rounds,
    3: _add_shared_rooms,
    4: _add_class_commands,
    5: _add_papers_deadlines_and_digests,
    6: _add_documents,
    7: _add_filings,
    8: _add_announcements_consultations_and_alarms,
    9: _add_what_cards_told_of_documents,
}


# Any number, the same in every bridge: two processes never migrate one database at once.
MIGRATION_LOCK = 7241_0001


def open_store(url: URL | str, clock: Clock, *, as_it_is: bool = False) -> Engine:
    """The engine of the store, its tables present and of this version.

    SQLite runs in WAL mode with full synchronisation: an answer 202 survives a power cut.

    Args:
        url: The database.
        clock: Gives the time.
        as_it_is: Make and change no table: another process may be the bridge of this store.

    Raises:
        SettingsError: The database cannot be opened, or it is of another version.
    """
    engine = engine_on(url)
    try:
        with engine.begin() as connection:
            _bring_to_version(connection, clock, as_it_is=as_it_is)
    except SettingsError:
        engine.dispose()
        raise
    except Exception as error:
        engine.dispose()
        fault = Fault(
            "database.url",
            f"the database cannot be opened ({type(error).__name__}).",
            "check that it runs, that the path can be written, and the password file",
        )
        raise SettingsError([fault]) from error
    return engine


def _bring_to_version(connection: Connection, clock: Clock, *, as_it_is: bool) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
    found = 0
    if inspect(connection).has_table(schema_version.name):
        found = connection.execute(select(func.max(schema_version.c.version))).scalar() or 0
    if found > VERSION:
        raise SettingsError(
            [
                Fault(
                    "database.url",
                    f"the store is of version {found}, this program knows {VERSION}.",
                    "run the newer program, or restore the older store",
                )
            ]
        )
    if found == VERSION:
        return
    if as_it_is:
        fault = Fault(
            "database.url",
            f"the store is of version {found}, this program changes one of {VERSION} alone.",
            "let `rabta bridge run` of this program bring it there, or run the older program",
        )
        raise SettingsError([fault])
    if found == 0:
        metadata.create_all(connection)
    else:
        for version in range(found + 1, VERSION + 1):
            STEPS[version](connection)
    connection.execute(schema_version.insert().values(version=VERSION, applied_at=clock()))
