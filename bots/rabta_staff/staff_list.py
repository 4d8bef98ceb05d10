"""Reads a list of staff from CSV, one row for each charge. It tells all faults, by row and column.

The columns stand in docs/reference/staff.md. Nothing is changed here.
"""

import csv
import io
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from rabta_contract.vocabulary import ChargeKind
from rabta_staff.faults import Fault, StaffError, refused

REQUIRED = ("number", "name")
COLUMNS = (
    *REQUIRED,
    "name_ur",
    "user_name",
    "language",
    "external_id",
    "account",
    "status",
    "post",
    "designation",
    "designation_ur",
    "section",
    "reports_to",
    "kind",
    "order_no",
)
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"), "write letters, digits and . _ -"
_LOCALPART = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}"), "write small letters, digits and . _ -"
_SPELT = {"number": _ID, "post": _ID, "reports_to": _ID, "account": _LOCALPART}
_CHOICES = {"language": ("en", "ur"), "status": ("serving", "left"), "kind": tuple(ChargeKind)}
_OF_PERSON = ("name", "name_ur", "user_name", "language", "external_id", "account", "status")
_OF_POST = ("designation", "designation_ur", "section", "reports_to")
_LONGEST = 120


@dataclass(frozen=True, slots=True)
class Listed:
    """A person or a post as the list tells: what it does not tell is absent.

    Attributes:
        row: Where it is told first.
        told: Column -> value.
    """

    row: int
    told: Mapping[str, str]


@dataclass(slots=True)
class StaffList:
    """What a list says.

    Attributes:
        persons: Number -> person; with the status `left`, of one who has left.
        posts: Number -> post, of those that the list describes.
        charges: Post and person -> row, kind and order.
    """

    persons: dict[str, Listed] = field(default_factory=dict)
    posts: dict[str, Listed] = field(default_factory=dict)
    charges: dict[tuple[str, str], Listed] = field(default_factory=dict)


def place(row: int, column: str | None = None) -> str:
    """Where a fault stands."""
    return f"row {row}" + (f", {column}" if column else "")


def parse(raw: bytes, known_posts: Collection[str]) -> StaffList:
    """Read a list.

    Args:
        raw: CSV in UTF-8, the first row naming the columns.
        known_posts: Numbers of posts that need no description.

    Raises:
        StaffError: `list-unreadable` or `list-faulty`, with every fault.
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = raw[: error.start].count(b"\n") + 1
        cure = "save it as CSV in UTF-8"
        raise refused("list-unreadable", place(row), "is not UTF-8", cure) from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    reading = _Reading()
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        reading.header(header)
        if not reading.faults:
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    reading.row(reader.line_num, header, [cell.strip() for cell in cells])
    except csv.Error as error:
        reading.fault(reader.line_num, None, f"is not CSV ({error})", "quote the cell")
    reading.finish(known_posts)
    if reading.faults:
        raise StaffError("list-faulty", reading.faults)
    return reading.found


class _Reading:
    """The reading of one list: what was found, and every fault."""

    def __init__(self) -> None:
        self.found = StaffList()
        self.faults: list[Fault] = []
        self._named_posts: list[tuple[int, str, str]] = []

    def fault(self, row: int, column: str | None, says: str, cure: str) -> None:
        self.faults.append(Fault(place(row, column), says, cure))

    def header(self, header: Sequence[str]) -> None:
        for name in REQUIRED:
            if name not in header:
                self.fault(1, name, "is missing", "name the column in the first row")
        for name in header:
            if name not in COLUMNS:
                cure = f"use {', '.join(COLUMNS)}"
                self.fault(1, name or "(empty)", "is no column of a list", cure)
            elif header.count(name) > 1:
                self.fault(1, name, "comes twice", "keep one")

    def row(self, row: int, header: Sequence[str], cells: Sequence[str]) -> None:
        if len(cells) != len(header):
            says = f"has {len(cells)} cells for {len(header)} columns"
            self.fault(row, None, says, "quote a cell that holds a comma")
            return
        told = {name: cell for name, cell in zip(header, cells, strict=True) if cell}
        before = len(self.faults)
        self._check(row, told)
        if len(self.faults) > before:
            return
        number, post = told["number"], told.get("post")
        self._once(row, "person", self.found.persons, number, _part(row, told, _OF_PERSON))
        if "designation" in told and post:
            self._once(row, "post", self.found.posts, post, _part(row, told, _OF_POST))
        if post:
            if (post, number) in self.found.charges:
                self.fault(row, "post", f"{number} holds it in an earlier row", "keep one")
            self.found.charges[post, number] = _part(row, told, ("kind", "order_no"))

    def finish(self, known_posts: Collection[str]) -> None:
        """Look at what only the whole list tells."""
        for row, column, number in self._named_posts:
            if number not in self.found.posts and number not in known_posts:
                cure = "describe it in a row, with its designation"
                self.fault(row, column, f"there is no post {number}", cure)
        for column in ("user_name", "account"):
            first: dict[str, str] = {}
            for number, person in self.found.persons.items():
                value = person.told.get(column)
                other = first.setdefault(value.casefold(), number) if value else number
                if other != number:
                    cure = "give each person one of their own"
                    self.fault(person.row, column, f"is that of {other} too", cure)

    def _check(self, row: int, told: Mapping[str, str]) -> None:
        for name in REQUIRED:
            if name not in told:
                self.fault(row, name, "is empty", f"write the {name}")
        for name, value in told.items():
            if len(value) > _LONGEST or not value.isprintable():
                cure = f"write one line of at most {_LONGEST} characters"
                self.fault(row, name, "is too long or holds a control character", cure)
            elif name in _SPELT and not _SPELT[name][0].fullmatch(value):
                self.fault(row, name, f"{value!r} is not spelt as one", _SPELT[name][1])
            elif name in _CHOICES and value not in _CHOICES[name]:
                cure = f"write {', '.join(_CHOICES[name])} or nothing"
                self.fault(row, name, f"{value!r} is none", cure)
            elif name in {"post", "reports_to"}:
                self._named_posts.append((row, name, value))
        self._check_together(row, told)

    def _check_together(self, row: int, told: Mapping[str, str]) -> None:
        if "post" not in told:
            for name in (*_OF_POST, "kind", "order_no"):
                if name in told:
                    self.fault(row, name, "stands without a post", "write the post's number")
        elif told.get("status") == "left":
            self.fault(row, "post", "who has left holds none", "leave it empty")
        if "designation" not in told:
            for name in _OF_POST:
                if name in told:
                    self.fault(row, name, "stands without a designation", "write that, too")

    def _once(
        self, row: int, what: str, table: dict[str, Listed], number: str, listed: Listed
    ) -> None:
        """Note a thing that may be said in several rows, but in one way."""
        first = table.setdefault(number, listed)
        if first.told != listed.told:
            says = f"{what} {number} is told otherwise than in row {first.row}"
            self.fault(row, None, says, "write the same in every row")


def _part(row: int, told: Mapping[str, str], columns: Sequence[str]) -> Listed:
    return Listed(row, {name: told[name] for name in columns if name in told})
