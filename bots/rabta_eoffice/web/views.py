"""What the pages show, gathered in one reading of the database."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row

from rabta_contract import Post
from rabta_eoffice import records, tables
from rabta_eoffice.desk import Desk
from rabta_eoffice.documents import KeptDocument, documents_of
from rabta_eoffice.records import HeldCharge
from rabta_eoffice.rules import CaseFile
from rabta_eoffice.tables import reading


@dataclass(frozen=True, slots=True)
class Names:
    """How posts and persons are called."""

    posts: dict[str, Post]
    persons: dict[str, tuple[str, str | None]]

    def designation(self, post_id: str) -> str:
        """English designation, or the bare id of a post that is no more."""
        post = self.posts.get(post_id)
        return post_id if post is None else post.designation

    def designation_ur(self, post_id: str) -> str | None:
        """Urdu designation, where there is one."""
        post = self.posts.get(post_id)
        return None if post is None else post.designation_ur

    def person(self, person_id: str) -> str:
        """English name, or the bare id."""
        return self.persons.get(person_id, (person_id, None))[0]


@dataclass(frozen=True, slots=True)
class Inbox:
    """A person's posts, and the files that are with them or came from them."""

    charges: list[HeldCharge]
    here: list[CaseFile]
    away: list[CaseFile]
    establishment: str | None
    names: Names


@dataclass(frozen=True, slots=True)
class FileView:
    """A file as one person may see it; `charge` is theirs on the post that has it."""

    file: CaseFile
    notes: list[Row[Any]]
    movements: list[Row[Any]]
    documents: list[KeptDocument]
    charge: HeldCharge | None
    may_pull_back: bool
    names: Names


@dataclass(frozen=True, slots=True)
class Register:
    """The register of charges; `establishment` is the viewer's post that keeps it, if any."""

    charges: list[HeldCharge]
    establishment: str | None
    now: datetime
    names: Names


def inbox(desk: Desk, person_id: str) -> Inbox:
    """Everything of the person's posts."""
    with reading(desk.engine) as connection:
        held = records.charges_at(connection, desk.clock(), person_id=person_id)
        posts = [charge.post_id for charge in held]
        return Inbox(
            charges=held,
            here=records.files_with(connection, posts),
            away=records.files_of(connection, posts),
            establishment=_establishment(connection, posts),
            names=_names(connection),
        )


def file_view(desk: Desk, file_id: str, person_id: str) -> FileView | None:
    """The file, if it exists and has been with a post that the person holds now."""
    with reading(desk.engine) as connection:
        file = records.find_file(connection, file_id)
        if file is None:
            return None
        held = records.charges_at(connection, desk.clock(), person_id=person_id)
        posts = {charge.post_id for charge in held}
        if not posts & records.trail(connection, file):
            return None
        return FileView(
            file=file,
            notes=records.rows_of(connection, tables.notes, file_id),
            movements=records.rows_of(connection, tables.movements, file_id),
            documents=documents_of(connection, file_id),
            charge=next((charge for charge in held if charge.post_id == file.holder), None),
            may_pull_back=not file.received and file.pull_back_by in posts,
            names=_names(connection),
        )


def register(desk: Desk, person_id: str) -> Register:
    """The register of charges."""
    now = desk.clock()
    with reading(desk.engine) as connection:
        held = records.charges_at(connection, now, person_id=person_id)
        return Register(
            charges=records.all_charges(connection),
            establishment=_establishment(connection, [charge.post_id for charge in held]),
            now=now,
            names=_names(connection),
        )


def _establishment(connection: Connection, posts: list[str]) -> str | None:
    return next((post for post in posts if records.is_establishment(connection, post)), None)


def _names(connection: Connection) -> Names:
    return Names(records.all_posts(connection), records.names(connection))
