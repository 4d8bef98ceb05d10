"""Keeps the register on disk: one row for each person and post that ever was, nothing deleted.

One process writes it; what it holds in memory is what stands here.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter

from rabta_staff.faults import refused
from rabta_staff.people import Charge

VERSION = 1
_CHARGES = TypeAdapter(tuple[Charge, ...])
_TABLE = """CREATE TABLE IF NOT EXISTS staff (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, body TEXT NOT NULL, gone INTEGER NOT NULL,
    localpart TEXT UNIQUE, owned INTEGER NOT NULL, due INTEGER NOT NULL, ends INTEGER NOT NULL,
    charges TEXT NOT NULL
)"""


@dataclass(slots=True)
class Account:
    """A person's account and what the homeserver still has to be told.

    Attributes:
        localpart: Never given to another person.
        owned: The account is this person's: it was made for the person, or named by the operator.
        due: The homeserver has not been told the latest yet.
        ends_sessions: Every session is to end.
        owing: Which change it was; of this run of the program alone.
    """

    localpart: str
    owned: bool = False
    due: bool = True
    ends_sessions: bool = False
    owing: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """A person or a post.

    Attributes:
        body: The SCIM resource as JSON.
        gone: Deleted at SCIM; the row stays, so that no id and no account is given twice.
        account: Of a person.
        charges: Of a post.
    """

    id: str
    kind: Literal["User", "Group"]
    body: str
    gone: bool
    account: Account | None = None
    charges: tuple[Charge, ...] = ()


class Store:
    """The file.

    Raises:
        StaffError: `store-unusable`.
    """

    def __init__(self, file: Path) -> None:
        try:
            self._database = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
            for line in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", _TABLE):
                self._database.execute(line)
            (found,) = self._database.execute("PRAGMA user_version").fetchone()
            if found == 0:
                self._database.execute(f"PRAGMA user_version = {VERSION}")
        except sqlite3.Error as error:
            cure = "see that the directory is there and can be written"
            raise refused("store-unusable", str(file), str(error), cure) from error
        if found not in {0, VERSION}:
            says = f"is of version {found}, this program knows {VERSION}"
            raise refused("store-unusable", str(file), says, "run the program of that version")

    def close(self) -> None:
        """Close it."""
        self._database.close()

    def rows(self) -> Iterator[Row]:
        """All rows."""
        for row in self._database.execute("SELECT * FROM staff"):
            ident, kind, body, gone, localpart, owned, due, ends, charges = row
            account = Account(localpart, bool(owned), bool(due), bool(ends)) if localpart else None
            held = _CHARGES.validate_json(charges)
            yield Row(ident, kind, body, bool(gone), account, held)

    def write(self, rows: Iterable[Row]) -> None:
        """Write rows over those with their ids, all or none.

        Raises:
            sqlite3.Error: Nothing was written.
        """
        values = [_values(row) for row in rows]
        self._database.execute("BEGIN IMMEDIATE")
        try:
            self._database.executemany(
                "INSERT OR REPLACE INTO staff VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values
            )
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")


def _values(row: Row) -> tuple[Any, ...]:
    one = row.account
    account = (one.localpart, one.owned, one.due, one.ends_sessions) if one else (None, 0, 0, 0)
    return (
        row.id,
        row.kind,
        row.body,
        row.gone,
        *account,
        _CHARGES.dump_json(row.charges).decode(),
    )
