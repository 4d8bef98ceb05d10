"""The tables of the Matrix room. One database holds one account; its secrets are sealed."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData()
"""Created by whoever opens the database; `MatrixClient.start` does so too if nobody has."""

SEQUENCE = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers rows by itself only for INTEGER keys."""

account = Table(
    "matrix_account",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("device_id", Text, nullable=False),
    Column("access_token", LargeBinary),  # sealed
    Column("pickle", Text),
    Column("shared", Boolean, nullable=False, default=False),
    Column("sync_token", Text),
    Column("cross_signing", LargeBinary),  # sealed JSON: seeds and recovery key
    Column("device_signed", Boolean, nullable=False, default=False),
)

olm_session = Table(
    "matrix_olm_session",
    metadata,
    Column("sender_key", String(64), primary_key=True),
    Column("session_id", String(64), primary_key=True),
    Column("pickle", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("used_ms", BigInteger, nullable=False),
)

inbound_session = Table(
    "matrix_inbound_session",
    metadata,
    Column("room_id", Text, primary_key=True),
    Column("session_id", String(64), primary_key=True),
    Column("sender_key", String(64), primary_key=True),
    Column("ed25519", String(64), nullable=False),
    Column("pickle", Text, nullable=False),
    Column("first_index", BigInteger, nullable=False),
)

shareable_session = Table(
    "matrix_shareable_session",
    metadata,
    # Keys whose maker said `shared_history`: only these are handed to people invited later.
    Column("room_id", Text, primary_key=True),
    Column("session_id", String(64), primary_key=True),
    Column("sender_key", String(64), primary_key=True),
)

outbound_session = Table(
    "matrix_outbound_session",
    metadata,
    Column("room_id", Text, primary_key=True),
    Column("session_id", String(64), nullable=False),
    Column("pickle", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("messages", Integer, nullable=False),
    Column("shared_history", Boolean, nullable=False),
)

recipient = Table(
    "matrix_session_recipient",
    metadata,
    Column("room_id", Text, primary_key=True),
    Column("user_id", Text, primary_key=True),
    Column("device_id", Text, primary_key=True),
    Column("state", String(16), nullable=False),  # sent | withheld | no-olm
    Column("at_index", BigInteger, nullable=False),
)

owed_key = Table(
    "matrix_owed_key",
    metadata,
    # What a device would have got, had its owner signed it in time (or had it had one-time keys).
    Column("user_id", Text, primary_key=True),
    Column("device_id", Text, primary_key=True),
    Column("room_id", Text, primary_key=True),
    Column("session_id", String(64), primary_key=True),
    Column("at_index", BigInteger, nullable=False),
    Column("sealed", LargeBinary, nullable=False),  # the session's key from that message on
    Column("shared_history", Boolean, nullable=False),
    Column("since_ms", BigInteger, nullable=False),
    Index("matrix_owed_key_session", "room_id", "session_id"),
)

to_device = Table(
    "matrix_to_device",
    metadata,
    Column("position", SEQUENCE, primary_key=True, autoincrement=True),
    Column("room_id", Text, nullable=False),
    Column("txn_id", String(64), nullable=False, unique=True),
    Column("event_type", Text, nullable=False),
    Column("messages", Text, nullable=False),
)

device = Table(
    "matrix_device",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("device_id", Text, primary_key=True),
    Column("ed25519", String(64), nullable=False),
    Column("curve25519", String(64), nullable=False),
    Column("deleted", Boolean, nullable=False, default=False),
    Column("signed_by", String(64)),  # the self-signing key whose signature was verified
)

identity = Table(
    "matrix_identity",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("pinned_master", String(64)),
    Column("master", String(64)),
    Column("self_signing", String(64)),  # only if the master's signature on it was verified
    Column("seen_ms", BigInteger),
)

tracked_user = Table(
    "matrix_tracked_user",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("outdated", Boolean, nullable=False),
)

room = Table(
    "matrix_room",
    metadata,
    Column("room_id", Text, primary_key=True),
    Column("encryption", Text),  # content of m.room.encryption; once set never unset
    Column("history_visibility", String(32)),
    Column("joined", Boolean, nullable=False, default=False),
    Column("members_known", Boolean, nullable=False, default=False),
)

member = Table(
    "matrix_member",
    metadata,
    Column("room_id", Text, primary_key=True),
    Column("user_id", Text, primary_key=True),
    Column("membership", String(16), nullable=False),
)

made_room = Table(
    "matrix_made_room",
    metadata,
    Column("room_id", Text, primary_key=True),
    Column("key", String(64), nullable=False),
    Column("maker", Text, nullable=False),  # who wrote the key into the room's state
    Index("matrix_made_room_key", "key"),
)

invite = Table(
    "matrix_invite",
    metadata,
    Column("room_id", Text, primary_key=True),
    Column("inviter", Text, nullable=False),
)

received = Table(
    "matrix_received",
    metadata,
    Column("position", SEQUENCE, primary_key=True, autoincrement=True),
    Column("event_id", Text, nullable=False, unique=True),
    Column("room_id", Text, nullable=False),
    Column("sender", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),  # type and content
    Column("encrypted", Boolean, nullable=False),
    Column("sender_key", String(64)),
    Column("ed25519", String(64)),
    Column("origin_server_ts", BigInteger, nullable=False),
    Column("stored_ms", BigInteger, nullable=False),
    Column("done", Boolean, nullable=False, default=False),
    Index("matrix_received_undone", "done", "position"),
)

message_index = Table(
    "matrix_message_index",
    metadata,
    Column("session_id", String(64), primary_key=True),
    Column("index", BigInteger, primary_key=True),
    Column("event_id", Text, nullable=False),
)

replay_floor = Table(
    "matrix_replay_floor",
    metadata,
    # Of a session whose used messages were pruned: every message up to this one was used.
    Column("session_id", String(64), primary_key=True),
    Column("index", BigInteger, nullable=False),
)

undecryptable = Table(
    "matrix_undecryptable",
    metadata,
    Column("position", SEQUENCE, primary_key=True, autoincrement=True),
    Column("event_id", Text, nullable=False, unique=True),
    Column("room_id", Text, nullable=False),
    Column("session_id", Text, nullable=False),
    Column("sender", Text, nullable=False),
    Column("raw", Text, nullable=False),
    Column("reason", String(32), nullable=False),
    Column("first_seen_ms", BigInteger, nullable=False),
    Index("matrix_undecryptable_session", "room_id", "session_id"),
)

outgoing = Table(
    "matrix_outgoing",
    metadata,
    Column("txn_id", String(64), primary_key=True),
    Column("room_id", Text, nullable=False),
    Column("ciphertext", Text, nullable=False),  # the exact bytes of the PUT
    Column("event_id", Text),
    Column("stored_ms", BigInteger, nullable=False),
)
