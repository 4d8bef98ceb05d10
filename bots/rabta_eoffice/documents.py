"""Documents on files: put there from a page or from chat, kept with their SHA-256, told by href."""

import hashlib
import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, literal_column, select

from rabta_contract import Document, clean_line
from rabta_eoffice import rules, tables
from rabta_eoffice.rules import Actor, CaseFile, Channel, Reason, Refused

LARGEST = 20 * 1024 * 1024

# Newest first in an event: a room is no archive.
TOLD_AT_MOST = 20

_DATA = [column for column in tables.documents.c if column.name != "content"]


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A document that is to be put on a file."""

    name: str
    media_type: str
    content: bytes

    @property
    def sha256(self) -> str:
        """Of the content, hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True)
class KeptDocument:
    """A document of a file, without its content. `size` in bytes."""

    doc_id: str
    file_id: str
    name: str
    media_type: str
    size: int
    sha256: str
    post_id: str
    person_id: str
    channel: Channel
    added_at: datetime

    def told(self, public_url: str) -> Document:
        """As an event names it."""
        return Document(
            doc_id=self.doc_id,
            name=self.name,
            media_type=self.media_type,
            size=self.size,
            sha256=self.sha256,
            href=f"{public_url}/documents/{self.doc_id}",
        )


def attach(
    connection: Connection, file: CaseFile, actor: Actor, new: NewDocument, now: datetime
) -> KeptDocument | Refused:
    """Put a document on a file: only the post that has the file may."""
    if actor.charge is None:
        return rules.no_charge(actor)
    if actor.channel is Channel.CHAT and (refusal := rules.from_chat(file)) is not None:
        return refusal
    if file.holder != actor.post_id:
        return Refused(Reason.WRONG_HOLDER, f"the file is not with {actor.post_id}")
    name = clean_line(new.name.replace("/", "_").replace("\\", "_"))[:255]
    if not name or not new.content:
        return Refused(Reason.MALFORMED, "a document needs a name and may not be empty")
    if len(new.content) > LARGEST:
        return Refused(Reason.TOO_LARGE, f"a document is at most {LARGEST} bytes")
    kept = KeptDocument(
        doc_id=f"D-{uuid.uuid4().hex}",
        file_id=file.file_id,
        name=name,
        media_type=new.media_type,
        size=len(new.content),
        sha256=new.sha256,
        post_id=actor.post_id,
        person_id=actor.person_id,
        channel=actor.channel,
        added_at=now,
    )
    values = {name: getattr(kept, name) for name in KeptDocument.__slots__}
    connection.execute(
        insert(tables.documents).values(
            **values,
            content=new.content,
            command_id=actor.command_id,
            matrix_user=actor.matrix_user,
        )
    )
    return kept


def documents_of(connection: Connection, file_id: str) -> list[KeptDocument]:
    """The documents of a file, oldest first."""
    of_file = tables.documents.c.file_id == file_id
    rows = connection.execute(
        select(*_DATA).where(of_file).order_by(literal_column("rowid"))
    ).mappings()
    return [_kept(dict(row)) for row in rows]


def find_document(connection: Connection, doc_id: str) -> tuple[KeptDocument, bytes] | None:
    """A document and its content, or None."""
    row = (
        connection.execute(select(tables.documents).where(tables.documents.c.doc_id == doc_id))
        .mappings()
        .one_or_none()
    )
    return None if row is None else (_kept(dict(row)), row["content"])


def _kept(row: dict[str, object]) -> KeptDocument:
    values = {name: row[name] for name in KeptDocument.__slots__}
    return KeptDocument(**{**values, "channel": Channel(str(row["channel"]))})  # type: ignore[arg-type]  # columns of these types
