"""Rows of a bridge that serves many posts: copies of the real rows of one, in its stopped store."""

import json
import sqlite3
from pathlib import Path
from typing import Any

_FIRST = 10_000
"""Numbers of posts that exist as rows alone begin here."""

_ONE_OF_MANY = frozenset(
    {"matrix_olm_session", "matrix_inbound_session", "matrix_device", "charges"}
)
"""Of these the model has several rows; one is copied."""


def fill(database: Path, rooms: int, server_name: str) -> dict[str, Any]:
    """Bring the store to `rooms` rooms; gives the persons who hold their posts.

    Each has a post with a charge, an officer with a device, an Olm session, a room with both
    directions' Megolm sessions, and one card that waits for its officer.
    """
    with sqlite3.connect(database) as store:
        store.row_factory = sqlite3.Row
        (have,) = store.execute("SELECT count(*) FROM post_rooms").fetchone()
        made = {}
        for number in range(_FIRST + have, _FIRST + rooms):
            user_id = f"@row{number}:{server_name}"
            _one(store, number, user_id)
            made[f"p-{number}"] = {"user_id": user_id, "name": f"Officer {number}"}
    return made


def _one(store: sqlite3.Connection, number: int, user_id: str) -> None:
    room_id, post_id, key = f"!row{number}:rows", f"ITT-ROW-{number}", f"{number:043d}"
    model = store.execute("SELECT * FROM post_rooms ORDER BY made_at LIMIT 1").fetchone()
    names = {
        "room_id": room_id,
        "user_id": user_id,
        "session_id": key,
        "curve25519": key,
        "sender_key": key,
        "post_id": post_id,
        "person_id": f"p-{number}",
        "holder": user_id,
    }
    for table, where in (
        ("posts", ("post_id", model["post_id"])),
        ("charges", ("post_id", model["post_id"])),
        ("post_rooms", ("room_id", model["room_id"])),
        ("matrix_room", ("room_id", model["room_id"])),
        ("matrix_member", ("room_id", model["room_id"])),
        ("matrix_outbound_session", ("room_id", model["room_id"])),
        ("matrix_inbound_session", ("room_id", model["room_id"])),
        ("matrix_session_recipient", ("room_id", model["room_id"])),
        ("matrix_device", ("user_id", model["holder"])),
        ("matrix_identity", ("user_id", model["holder"])),
        ("matrix_tracked_user", ("user_id", model["holder"])),
        ("matrix_olm_session", None),
    ):
        _copy(store, table, where, names, bot=model["holder"])
    _pending_card(store, number, names)


def _copy(
    store: sqlite3.Connection,
    table: str,
    where: tuple[str, str] | None,
    names: dict[str, str],
    *,
    bot: str,
) -> None:
    """Copy a model's rows under other names; the bot's own rows keep the bot's name."""
    clause, values = ("", ()) if where is None else (f" WHERE {where[0]} = ?", (where[1],))
    limit = " LIMIT 1" if table in _ONE_OF_MANY else ""
    for row in store.execute(f"SELECT * FROM {table}{clause}{limit}", values).fetchall():  # noqa: S608 - our own names
        given = {name: row[name] for name in row.keys() if name != "row"}  # noqa: SIM118 - sqlite3.Row
        for name in given.keys() & names.keys():
            if name == "user_id" and row[name] != bot:
                continue
            if name == "sender_key" and table == "matrix_inbound_session":
                continue
            given[name] = names[name]
        _insert(store, table, given)


def _pending_card(store: sqlite3.Connection, number: int, names: dict[str, str]) -> None:
    card = store.execute("SELECT * FROM cards ORDER BY card_id LIMIT 1").fetchone()
    event = store.execute(
        "SELECT * FROM eoffice_inbox WHERE row = ?", (card["event_row"],)
    ).fetchone()
    made = {name: event[name] for name in event.keys() if name != "row"}  # noqa: SIM118
    # Another e-Office's sequence, so that the real one's stays whole.
    made |= {
        "event_id": f"row{number}",
        "source": "/eoffice/ROWS",
        "sequence": number,
        "addressees": json.dumps([names["post_id"]]),
    }
    row = _insert(store, "eoffice_inbox", made)
    shown = {name: card[name] for name in card.keys() if name != "card_id"}  # noqa: SIM118
    shown |= {
        "event_row": row,
        "post_id": names["post_id"],
        "stream": f"file/row{number}",
        "file_id": f"row{number}",
        "issued_to": names["user_id"],
        "room_id": names["room_id"],
        "message_id": f"$row{number}",
    }
    card_id = _insert(store, "cards", shown)
    _insert(
        store,
        "card_messages",
        {"message_id": f"$row{number}", "card_id": card_id, "room_id": names["room_id"]},
    )


def _insert(store: sqlite3.Connection, table: str, values: dict[str, Any]) -> int:
    columns = ", ".join(f'"{name}"' for name in values)
    places = ", ".join("?" for _ in values)
    made = store.execute(
        f"INSERT INTO {table} ({columns}) VALUES ({places})",  # noqa: S608 - our own names
        tuple(values.values()),
    )
    return int(made.lastrowid or 0)
