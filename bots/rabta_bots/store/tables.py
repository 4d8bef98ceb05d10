"""Declares the tables of the bridge's store. The Matrix client's own tables stand beside them.

What a file's class does not allow in a card is stripped before a row is written here.
"""

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
    Text,
    TypeDecorator,
    UniqueConstraint,
)


class Instant(TypeDecorator[datetime]):
    """An aware moment, kept in UTC by every database (SQLite alone would forget the zone)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Refuse a naive moment; write the rest as UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without a zone is not stored")
        return value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Read it back aware."""
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


# SQLite numbers only an INTEGER primary key by itself.
Serial = BigInteger().with_variant(Integer(), "sqlite")

# Rows of different tables are read joined by name, so each name is used for one meaning.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

schema_version = Table(
    "schema_version",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("applied_at", Instant, nullable=False),
)

# Which process writes for the account: each that takes it over begins the next epoch.
leases = Table(
    "leases",
    metadata,
    Column("account", String(255), primary_key=True),
    Column("epoch", BigInteger, nullable=False),
)

# Policies that were in force here; a lower serial is never believed again.
policies = Table(
    "policies",
    metadata,
    Column("serial", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", String(64), nullable=False),
    Column("seen_at", Instant, nullable=False),
)

# Single values: the closed mark of a source.
marks = Table(
    "marks",
    metadata,
    Column("name", String(160), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

# Every delivery that was answered 202, so that a replay is known.
webhooks = Table(
    "webhooks",
    metadata,
    Column("webhook_id", String(256), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("received_at", Instant, nullable=False),
)

# Events of e-Office, stripped. state: new -> planned (cards made) | unbridged (nothing to show).
events = Table(
    "eoffice_inbox",
    metadata,
    Column("row", Serial, primary_key=True, autoincrement=True),
    Column("source", String(64), nullable=False),
    Column("event_id", String(128), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("type", String(128), nullable=False),
    Column("grade", String(16), nullable=False),
    # The paper it belongs to (`file/<id>`, `receipt/<id>`), so that a raised grade finds it.
    Column("paper", String(160)),
    Column("digest", String(64), nullable=False),
    # Ids of the posts that get a card, and the event itself; {} where nothing may be kept.
    Column("addressees", JSON, nullable=False),
    Column("event", JSON, nullable=False),
    Column("via", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("received_at", Instant, nullable=False),
    # The file that it is about; null also where nothing of the event may be kept.
    Column("about_file", String(128), index=True),
    UniqueConstraint("source", "event_id"),
    UniqueConstraint("source", "sequence"),
    Index(None, "state", "source", "sequence"),
    Index(None, "paper"),
)

# The grade of each paper, and the sequence at which e-Office told it.
papers = Table(
    "papers",
    metadata,
    Column("paper", String(160), primary_key=True),
    Column("grade", String(16), nullable=False),
    Column("told_at", BigInteger, nullable=False),
)

# By when a paper must be disposed of. origin: eoffice, or limit (the default by priority).
# told: green -> yellow -> red, whoever told it; reminded counts what the bridge said after red.
# state: running -> over.
deadlines = Table(
    "deadlines",
    metadata,
    Column("deadline_id", Serial, primary_key=True, autoincrement=True),
    Column("paper", String(160), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("origin", String(8), nullable=False),
    Column("event_row", Serial, ForeignKey("eoffice_inbox.row"), nullable=False),
    Column("begins", Instant, nullable=False),
    Column("due", Instant, nullable=False),
    Column("told", String(8), nullable=False),
    Column("told_at", Instant),
    Column("reminded", Integer, nullable=False),
    Column("state", String(8), nullable=False),
    # When the clock has to look at it again; null when never.
    Column("look_at", Instant),
    UniqueConstraint("paper", "kind"),
    Index(None, "state", "look_at"),
)

# What only a digest tells, by post. told_in: the key of the digest that told it.
digest_notes = Table(
    "digest_notes",
    metadata,
    Column("event_row", Serial, ForeignKey("eoffice_inbox.row"), primary_key=True),
    Column("post_id", String(128), ForeignKey("posts.post_id"), primary_key=True),
    Column("told_in", String(200)),
    Index(None, "post_id", "told_in"),
)

# The files that events named, so that an officer can ask for one by its number.
# folded: the number in the one spelling of `spelling.fold_number`; grade: of the latest event.
files = Table(
    "files",
    metadata,
    Column("file_id", String(128), primary_key=True),
    Column("file_no", Text, nullable=False),
    Column("folded", String(160), nullable=False, index=True),
    Column("grade", String(16), nullable=False),
)

posts = Table(
    "posts",
    metadata,
    Column("post_id", String(128), primary_key=True),
    Column("org", String(8), nullable=False),
    Column("designation", Text, nullable=False),
    Column("designation_ur", Text),
    Column("section", String(128)),
    # The superior post, to whom an overdue paper is escalated.
    Column("reports_to", String(128)),
)

charges = Table(
    "charges",
    metadata,
    Column("row", Serial, primary_key=True, autoincrement=True),
    Column("post_id", String(128), ForeignKey("posts.post_id"), nullable=False),
    Column("person_id", String(128), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("may_decide", Boolean, nullable=False),
    Column("begins", Instant, nullable=False),
    Column("ends", Instant),
    UniqueConstraint("post_id", "person_id", "kind", "begins"),
)

# The language that an officer chose from chat; it wins over the directory file.
languages = Table(
    "languages",
    metadata,
    Column("person_id", String(128), primary_key=True),
    Column("language", String(2), nullable=False),
)

# One inbox room per post and class. holder: the Matrix user who is let in now.
rooms = Table(
    "post_rooms",
    metadata,
    Column("post_id", String(128), primary_key=True),
    Column("room_class", String(32), primary_key=True),
    Column("room_id", String(255), nullable=False, unique=True),
    Column("holder", String(255)),
    Column("made_at", Instant, nullable=False),
)

# Rooms of several posts. address: `section/ITT/Admn-II/restricted`, `case/<file>/<class>` and so
# on (see addresses.py); room_id is null until the room is made. about: what the kind is of; number:
# which of its kind, for a room's name stands in clear on the homeserver.
shared_rooms = Table(
    "shared_rooms",
    metadata,
    Column("address", String(255), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("about", String(255), nullable=False),
    Column("number", Integer, nullable=False),
    Column("room_class", String(32), nullable=False),
    Column("room_id", String(255), unique=True),
    Column("made_at", Instant, nullable=False),
)

# The posts whose holders a case or inter-division room is for; the others follow from `about`.
room_posts = Table(
    "shared_room_posts",
    metadata,
    Column("address", String(255), ForeignKey("shared_rooms.address"), primary_key=True),
    Column("post_id", String(128), ForeignKey("posts.post_id"), primary_key=True),
)

# Whom the bridge has let into a shared room and not put out since.
room_members = Table(
    "shared_room_members",
    metadata,
    Column("address", String(255), ForeignKey("shared_rooms.address"), primary_key=True),
    Column("user_id", String(255), primary_key=True),
)

# The thread of a file in a section's room: its first line.
threads = Table(
    "threads",
    metadata,
    Column("address", String(255), ForeignKey("shared_rooms.address"), primary_key=True),
    Column("file_id", String(128), primary_key=True),
    Column("root_id", String(255), nullable=False),
)

# One card per event and post.
# state: open -> deciding -> decided; open -> withdrawn | superseded | expired | closed.
# issued_to: the Matrix user for whom it was last sent; null until somebody holds the post.
# documents_told: what its last words say of its documents, as `reasons_of` gives it.
cards = Table(
    "cards",
    metadata,
    Column("card_id", Serial, primary_key=True, autoincrement=True),
    Column("event_row", Serial, ForeignKey("eoffice_inbox.row"), nullable=False),
    Column("post_id", String(128), ForeignKey("posts.post_id"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("room_class", String(32), nullable=False),
    Column("stream", String(160), nullable=False),
    Column("file_id", String(128)),
    Column("movement_no", Integer),
    Column("state", String(16), nullable=False),
    Column("outcome", JSON),
    Column("issued_to", String(255)),
    Column("room_id", String(255)),
    Column("message_id", String(255)),
    Column("made_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("documents_told", JSON),
    UniqueConstraint("event_row", "post_id"),
    Index(None, "file_id", "state"),
    Index(None, "post_id", "state"),
    Index(None, "state", "expires_at"),
)

# Every Matrix message that shows a card, so that a reply to any of them names the card.
card_messages = Table(
    "card_messages",
    metadata,
    Column("message_id", String(255), primary_key=True),
    Column("card_id", Serial, ForeignKey("cards.card_id"), nullable=False),
    Column("room_id", String(255), nullable=False),
)

# What must be sent to Matrix. Within a stream (a file, or a talk in a room) strictly by seq.
# part: issue | poll | outcome | amend | document | line | redact | digest | say, and what is
# addressed (see `addressed.py`). about_event: what a line tells, what a redaction is for.
# about_post: whose digest it is.
# content is fixed at the first attempt and cleared once sent; so is draft, from which it is made
# where the row has an address instead of a card.
# state: pending -> sent | moot | dead; waiting: nobody holds the post;
# dead -> pending | dropped by an operator.
outbox = Table(
    "outbox_matrix",
    metadata,
    Column("row", Serial, primary_key=True, autoincrement=True),
    Column("stream", String(300), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("part", String(16), nullable=False),
    Column("card_id", Serial, ForeignKey("cards.card_id")),
    Column("about_event", BigInteger),
    Column("about_post", String(128)),
    Column("key", String(400), nullable=False, unique=True),
    Column("address", String(255)),
    Column("draft", JSON),
    Column("room_id", String(255)),
    Column("event_type", String(128)),
    Column("content", JSON),
    Column("txn_id", String(64), unique=True),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Instant, nullable=False),
    Column("reason", String(64)),
    Column("message_id", String(255)),
    Column("made_at", Instant, nullable=False),
    UniqueConstraint("stream", "seq"),
    Index(None, "state", "next_at"),
)

# Why a document of a card is not attached; null once it is. number: its place in the event, from 0.
document_notes = Table(
    "document_notes",
    metadata,
    Column("card_id", Serial, ForeignKey("cards.card_id"), primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("reason", String(64)),
)

# A document on its way from a room into a file. offer: what e-Office is told of it, fixed before
# it is handed over and cleared once it is settled. state: queued -> done | refused.
filings = Table(
    "filings",
    metadata,
    Column("filing_id", String(64), primary_key=True),
    Column("room_id", String(255), nullable=False),
    Column("room_class", String(32), nullable=False),
    Column("asked_by", String(255), nullable=False),
    Column("target", String(255), nullable=False),
    Column("file_id", String(128), nullable=False),
    Column("post_id", String(128), nullable=False),
    Column("person_id", String(128), nullable=False),
    Column("matrix_user", String(255), nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Instant, nullable=False),
    Column("offer", JSON),
    Column("reason", String(64)),
    Column("made_at", Instant, nullable=False),
    Index(None, "state", "next_at"),
)

# A command of an officer on its way to e-Office.
# state: asked (waits for confirmation) -> queued -> done | refused | dead; asked -> lapsed;
# dead -> queued | dropped by an operator. rounds: how often an operator had it tried again.
commands = Table(
    "commands",
    metadata,
    Column("command_id", String(64), primary_key=True),
    Column("card_id", Serial, ForeignKey("cards.card_id"), nullable=False),
    Column("verb", String(16), nullable=False),
    Column("to_post", String(128)),
    Column("remarks", Text),
    Column("person_id", String(128), nullable=False),
    Column("matrix_user", String(255), nullable=False),
    Column("room_id", String(255), nullable=False),
    Column("asked_by", String(255), nullable=False),
    Column("code", String(4)),
    Column("wrong_codes", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("confirm_until", Instant),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Instant),
    Column("give_up_at", Instant, nullable=False),
    Column("rounds", Integer, nullable=False, server_default="0"),
    Column("body", JSON),
    Column("reason", String(64)),
    Column("made_at", Instant, nullable=False),
    Index(None, "state", "next_at"),
)

# A room's class that an officer told the bridge to raise, on its way to the homeserver.
# room: as it was named; null for the room that it was said in.
# state: queued -> answered (the answer stands in the outbox) -> ended.
class_commands = Table(
    "class_commands",
    metadata,
    Column("asked_by", String(255), primary_key=True),
    Column("said_in", String(255), nullable=False),
    Column("room", String(255)),
    Column("room_class", String(32), nullable=False),
    Column("matrix_user", String(255), nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Instant, nullable=False),
    Column("give_up_at", Instant, nullable=False),
    Column("reason", String(64)),
    Index(None, "state", "next_at"),
)

# What a post announces to others.
# state: asked (waits for confirmation) -> open -> closed; asked -> cancelled | lapsed.
# words are cleared once they stand in the room. due: by when it is acknowledged, if it must be.
announcements = Table(
    "announcements",
    metadata,
    Column("number", Serial, primary_key=True, autoincrement=True),
    Column("post_id", String(128), ForeignKey("posts.post_id"), nullable=False),
    Column("person_id", String(128), nullable=False),
    Column("matrix_user", String(255), nullable=False),
    Column("address", String(255), nullable=False),
    Column("room_class", String(32), nullable=False),
    Column("words", Text),
    Column("due", Instant),
    Column("state", String(16), nullable=False),
    Column("code", String(4)),
    Column("confirm_until", Instant),
    Column("asked_in", String(255), nullable=False),
    Column("made_at", Instant, nullable=False),
    Column("room_id", String(255)),
    Column("message_id", String(255)),
    # When the next reminder is due, and when the posts were last told.
    Column("remind_at", Instant),
    Column("told_at", Instant),
    Index(None, "state", "remind_at"),
)

# The posts that an announcement is for, and which of them acknowledged it.
announcement_posts = Table(
    "announcement_posts",
    metadata,
    Column("number", Serial, ForeignKey("announcements.number"), primary_key=True),
    Column("post_id", String(128), ForeignKey("posts.post_id"), primary_key=True),
    Column("acknowledged_at", Instant),
    Column("acknowledged_by", String(128)),
)

# Who is seen to have read it: by the word of the homeserver, which nobody signed.
announcement_reads = Table(
    "announcement_reads",
    metadata,
    Column("number", Serial, ForeignKey("announcements.number"), primary_key=True),
    Column("user_id", String(255), primary_key=True),
    Column("read_at", Instant, nullable=False),
)

# A room asked for with a post of another organisation; each side must say yes.
# state: asked -> accepted | declined | lapsed.
consultations = Table(
    "consultations",
    metadata,
    Column("number", Serial, primary_key=True, autoincrement=True),
    Column("file_id", String(128), nullable=False),
    Column("from_post", String(128), ForeignKey("posts.post_id"), nullable=False),
    Column("to_post", String(128), ForeignKey("posts.post_id"), nullable=False),
    Column("room_class", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("asked_by", String(128), nullable=False),
    Column("answered_by", String(128)),
    Column("made_at", Instant, nullable=False),
    UniqueConstraint("file_id", "from_post", "to_post", "room_class"),
)

# Messages of the bridge that stand for an announcement (A) or a consultation (C), so that a reply
# to one names it.
notices = Table(
    "notices",
    metadata,
    Column("message_id", String(255), primary_key=True),
    Column("room_id", String(255), nullable=False),
    Column("about", String(16), nullable=False),
)

# What an operator was told of, until it is over; level rises with how bad it is.
alarms = Table(
    "alarms",
    metadata,
    Column("name", String(160), primary_key=True),
    Column("level", BigInteger, nullable=False),
    Column("raised_at", Instant, nullable=False),
)

# Who did what, with a stable reason code and never any content.
audit = Table(
    "audit",
    metadata,
    Column("row", Serial, primary_key=True, autoincrement=True),
    Column("at", Instant, nullable=False),
    Column("what", String(64), nullable=False),
    Column("reason", String(64)),
    Column("actor", String(255)),
    Column("event_id", String(128)),
    Column("card_id", BigInteger),
    Column("matrix_event_id", String(255)),
    Column("detail", String(255)),
)
