"""Reads a list of staff from CSV: one row for each charge. All faults are told, with row and column.

The columns stand in docs/how-to/staff-in-and-out.md. Nothing is changed here.
"""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

from rabta_staff.faults import Fault, StaffError, refused
from rabta_staff.people import (
    KINDS,
    LOCALPART,
    LONGEST_NAME,
    NUMBER,
    Charge,
    Kind,
    Language,
    Person,
    Post,
)

REQUIRED = ("number", "name")
COLUMNS = (
    *REQUIRED,
    "name_ur",
    "user_name",
    "language",
    "subject",
    "account",
    "status",
    "post",
    "designation",
    "designation_ur",
    "section",
    "grade",
    "reports_to",
    "kind",
    "order_no",
)
_STATUS = ("serving", "left")
_HIGHEST_GRADE = 22
_LARGEST = 32 * 1024 * 1024
T = TypeVar("T")


@dataclass(slots=True)
class StaffList:
    """What a list says.

    Attributes:
        persons: Number -> person, of those who serve.
        accounts: Number -> local part of the account that is there already.
        posts: Number -> post, of those that the list describes.
        charges: Charge -> number of the order.
        left: Numbers of those who have left.
    """

    persons: dict[str, Person] = field(default_factory=dict)
    accounts: dict[str, str] = field(default_factory=dict)
    posts: dict[str, Post] = field(default_factory=dict)
    charges: dict[Charge, str | None] = field(default_factory=dict)
    left: set[str] = field(default_factory=set)


def load(path: Path, known_posts: Iterable[str]) -> StaffList:
    """Read a list.

    Args:
        path: CSV in UTF-8, the first row naming the columns.
        known_posts: Numbers of posts that need no description.

    Raises:
        StaffError: `list-unreadable` or `list-faulty`, with every fault.
    """
    try:
        raw = path.read_bytes()
        if len(raw) > _LARGEST:
            raise refused("list-unreadable", str(path), "is larger than 32 MiB", "split it")
        text = raw.decode("utf-8-sig")
    except OSError as error:
        says = f"cannot be read ({error.strerror})"
        raise refused("list-unreadable", str(path), says, "name the list of staff") from error
    except UnicodeDecodeError as error:
        row = raw[: error.start].count(b"\n") + 1
        cure = "save it as CSV in UTF-8"
        raise refused("list-unreadable", f"row {row}", "is not UTF-8", cure) from error
    return parse(text, known_posts)


def parse(text: str, known_posts: Iterable[str]) -> StaffList:
    """Read the text of a list; see `load`.

    Raises:
        StaffError: `list-faulty`, with every fault.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    reading = _Reading(set(known_posts))
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        reading.header(header)
        if not reading.faults:
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    reading.row(reader.line_num, header, [cell.strip() for cell in cells])
    except csv.Error as error:
        reading.fault(reader.line_num, None, f"is not CSV ({error})", "quote the cell")
    reading.finish()
    if reading.faults:
        raise StaffError("list-faulty", reading.faults)
    return reading.found


class _Reading:
    """The reading of one list: what was found, and every fault."""

    def __init__(self, known_posts: set[str]) -> None:
        self.found = StaffList()
        self.faults: list[Fault] = []
        self._known_posts = known_posts
        self._row_of: dict[tuple[str, str], int] = {}
        self._named_posts: list[tuple[int, str, str]] = []

    def fault(self, row: int, column: str | None, says: str, cure: str) -> None:
        self.faults.append(Fault(f"row {row}" + (f", {column}" if column else ""), says, cure))

    def header(self, header: Sequence[str]) -> None:
        for name in REQUIRED:
            if name not in header:
                self.fault(1, name, "the column is missing", "name it in the first row")
        for name in header:
            if name not in COLUMNS:
                cure = f"use {', '.join(COLUMNS)}"
                self.fault(1, name or "(empty)", "no column is called so", cure)
            elif header.count(name) > 1:
                self.fault(1, name, "the column comes twice", "keep one")

    def row(self, row: int, header: Sequence[str], cells: Sequence[str]) -> None:
        if len(cells) != len(header):
            says = f"has {len(cells)} cells for {len(header)} columns"
            self.fault(row, None, says, "quote a cell that holds a comma")
            return
        said = dict(zip(header, cells, strict=True))
        before = len(self.faults)
        person = self._person(row, said)
        post = self._post(row, said)
        charge = self._charge(row, said)
        if len(self.faults) > before or person is None:
            return
        if said.get("status") == "left":
            self._left(row, person.number, said)
            return
        self._once(row, "person", self.found.persons, person.number, person)
        if said.get("account"):
            self._once(row, "account", self.found.accounts, person.number, said["account"])
        if post is not None:
            self._once(row, "post", self.found.posts, post.number, post)
        if charge is not None:
            self._hold(row, charge, said.get("order_no") or None)

    def finish(self) -> None:
        """Look at what only the whole list tells."""
        posts = self.found.posts.keys() | self._known_posts
        for row, column, number in self._named_posts:
            if number not in posts:
                cure = "describe it in a row, with its designation"
                self.fault(row, column, f"there is no post {number}", cure)
        for number in self.found.left & self.found.persons.keys():
            row = self._row_of["left", number]
            self.fault(row, "status", f"{number} has left here and serves elsewhere", "keep one")
        names: dict[str, str] = {}
        for number, person in self.found.persons.items():
            other = names.setdefault(person.user_name.casefold(), number)
            if other != number:
                row = self._row_of["person", number]
                self.fault(
                    row, "user_name", f"is that of {other} too", "give each one of their own"
                )

    def _person(self, row: int, said: Mapping[str, str]) -> Person | None:
        number = said["number"]
        self._spelt(row, "number", number, NUMBER.fullmatch, "letters, digits and . _ -")
        if not said["name"]:
            self.fault(row, "name", "is empty", "write the name")
        for column in ("name", "name_ur", "user_name", "subject", "designation", "designation_ur"):
            value = said.get(column, "")
            if len(value) > LONGEST_NAME or not value.isprintable():
                cure = f"one line of at most {LONGEST_NAME} characters"
                self.fault(row, column, "is too long or holds a control character", cure)
        language = said.get("language") or "en"
        if language not in {"en", "ur"}:
            self.fault(row, "language", f"{language!r} is none", "write en or ur")
        if said.get("status") and said["status"] not in _STATUS:
            self.fault(
                row, "status", f"{said['status']!r} is none", f"write {' or '.join(_STATUS)}"
            )
        if said.get("account"):
            cure = "small letters, digits and . _ -"
            self._spelt(row, "account", said["account"], LOCALPART.fullmatch, cure)
        return Person(
            number=number,
            user_name=said.get("user_name") or number,
            name=said["name"],
            name_ur=said.get("name_ur") or None,
            language=cast("Language", language),
            subject=said.get("subject") or None,
        )

    def _post(self, row: int, said: Mapping[str, str]) -> Post | None:
        number, designation = said.get("post", ""), said.get("designation", "")
        for column in ("post", "reports_to"):
            if said.get(column):
                cure = "letters, digits and . _ -"
                self._spelt(row, column, said[column], NUMBER.fullmatch, cure)
                self._named_posts.append((row, column, said[column]))
        if not designation:
            for column in ("designation_ur", "section", "grade", "reports_to"):
                if said.get(column):
                    cure = "write the designation, or leave both empty"
                    self.fault(row, column, "stands without a designation", cure)
            return None
        if not number:
            self.fault(row, "designation", "stands without a post", "write the post's number")
            return None
        grade = said.get("grade", "")
        if grade and not (
            grade.isascii() and grade.isdigit() and 1 <= int(grade) <= _HIGHEST_GRADE
        ):
            self.fault(row, "grade", f"{grade!r} is none", "write a number from 1 to 22")
            return None
        return Post(
            number=number,
            designation=designation,
            designation_ur=said.get("designation_ur") or None,
            section=said.get("section") or None,
            grade=int(grade) if grade else None,
            reports_to=said.get("reports_to") or None,
        )

    def _charge(self, row: int, said: Mapping[str, str]) -> Charge | None:
        kind = said.get("kind") or "regular"
        if kind not in KINDS:
            self.fault(row, "kind", f"{kind!r} is none", f"write one of {', '.join(KINDS)}")
        if not said.get("post"):
            if said.get("kind"):
                self.fault(row, "kind", "stands without a post", "write the post's number")
            return None
        return Charge(said["post"], said["number"], cast("Kind", kind))

    def _hold(self, row: int, charge: Charge, order_no: str | None) -> None:
        for other in self.found.charges:
            if (other.post, other.person) == (charge.post, charge.person):
                self.fault(row, "post", f"{charge.person} holds it in an earlier row", "keep one")
                return
        self.found.charges[charge] = order_no

    def _left(self, row: int, number: str, said: Mapping[str, str]) -> None:
        if said.get("post"):
            self.fault(row, "post", "who has left holds none", "leave it empty")
        self._row_of["left", number] = row
        self.found.left.add(number)

    def _once(self, row: int, what: str, table: dict[str, T], number: str, value: T) -> None:
        """Note a thing that may be said in several rows, but in one way."""
        first = self._row_of.setdefault((what, number), row)
        if table.setdefault(number, value) != value:
            says = f"{what} {number} is told otherwise than in row {first}"
            self.fault(row, None, says, "write the same in every row")

    def _spelt(
        self, row: int, column: str, value: str, fits: Callable[[str], Any], cure: str
    ) -> None:
        if not fits(value):
            self.fault(row, column, f"{value!r} is not spelt as one", cure)
