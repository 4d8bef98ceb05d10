"""Carries documents from rooms into files: read, checked, scanned, and handed over once."""

import asyncio
import hashlib
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Connection, Engine, Row

from rabta_bots.cards.attachments import file_name
from rabta_bots.cards.content import answer_message
from rabta_bots.cards.wording import say
from rabta_bots.cards.words import N_
from rabta_bots.chat import Chat
from rabta_bots.clock import Clock
from rabta_bots.commands import answers
from rabta_bots.composing import Composer
from rabta_bots.documents.fetching import DocumentStore
from rabta_bots.documents.judging import DocumentError, DocumentReason, judge_document
from rabta_bots.documents.scanning import Scanner
from rabta_bots.grades import allowance
from rabta_bots.matrix import EncryptedFile, MatrixError, Received, SenderTrust
from rabta_bots.metrics import Metrics
from rabta_bots.names import transaction_id
from rabta_bots.officers import officer_of_user
from rabta_bots.retrying import backoff
from rabta_bots.store.audit import write_audit
from rabta_bots.store.files import file_by_id
from rabta_bots.store.filings import (
    DONE,
    REFUSED,
    due_filings,
    end_filing,
    fix_offer,
    retry_filing,
)
from rabta_bots.store.opening import in_store
from rabta_bots.store.outbox import enqueue_words
from rabta_contract.answers import CommandReason
from rabta_contract.command import CommandRefusal
from rabta_contract.document import DocumentOffer, DocumentResult
from rabta_contract.vocabulary import Grade

log = structlog.get_logger("rabta.bridge.filing")

# As long as a decision is brought to e-Office.
PATIENCE = timedelta(hours=24)

FILED = N_("The document is on the file: {name}")
WAITS = N_("The document waits and is tried again.")

FILES = frozenset({"m.file", "m.image", "m.audio", "m.video"})
# Our own settings are at fault, not the document: an operator mends them and it goes on.
OURS = frozenset({CommandReason.BAD_SIGNATURE, CommandReason.STALE_TIMESTAMP})

_MEDIA_TYPE = re.compile(r"[a-z]+/[a-z0-9][a-z0-9.+-]{0,126}")

# What the media store or its sender did with a file, in the words of documents.
_REASONS = {
    "attachment-changed": DocumentReason.CHANGED,
    "attachment-too-large": DocumentReason.TOO_LARGE,
    "attachment-malformed": DocumentReason.NO_DOCUMENT,
    "not-found": DocumentReason.MISSING,
}


@dataclass(frozen=True, slots=True)
class Attached:
    """A document in a room, as its sender describes it."""

    file: EncryptedFile
    name: str
    media_type: str


def attached(received: Received | None, room_id: str) -> Attached:
    """The document that a message of the room carries.

    Raises:
        DocumentError: `no-document`: it carries none, or not from a device that its owner signed.
    """
    content: Mapping[str, Any] = received.content if received else {}
    readable = (
        received is not None
        and received.room_id == room_id
        and received.encrypted
        and received.device is SenderTrust.SIGNED
        and content.get("msgtype") in FILES
    )
    if not readable:
        raise DocumentError(DocumentReason.NO_DOCUMENT)
    try:
        file = EncryptedFile.from_content(content.get("file"))
    except MatrixError as error:
        raise DocumentError(DocumentReason.NO_DOCUMENT) from error
    info = content.get("info")
    told = info.get("mimetype") if isinstance(info, Mapping) else None
    media_type = told.partition(";")[0].strip().lower() if isinstance(told, str) else ""
    name = content.get("filename", content.get("body"))
    return Attached(
        file,
        file_name(name if isinstance(name, str) else ""),
        media_type if _MEDIA_TYPE.fullmatch(media_type) else "application/octet-stream",
    )


@dataclass(frozen=True, slots=True)
class DocumentFiler:
    """Carries what is due, and settles each: filed, refused in words, or again at a moment."""

    chat: Chat
    engine: Engine
    clock: Clock
    store: DocumentStore
    scanner: Scanner | None
    spool: Path | None
    composer: Callable[[], Composer]
    metrics: Metrics

    async def file_due(self) -> int:
        """Try every document that is due once; gives how many were settled."""
        now = self.clock()
        rows = await in_store(self.engine, lambda connection: due_filings(connection, now))
        return sum(await asyncio.gather(*(self._file(row) for row in rows)))

    async def _file(self, row: Row[Any]) -> bool:
        try:
            answer = await self._carry(row)
        except DocumentError as error:
            passing, reason = error.passing, str(error.reason)
        except MatrixError as error:
            passing = error.reason not in _REASONS
            reason = _REASONS.get(error.reason, error.reason)
        else:
            if isinstance(answer, DocumentResult):
                return await self._done(row)
            passing = answer is None or answer.reason in OURS
            reason = DocumentReason.EOFFICE_UNREACHABLE if answer is None else answer.reason
        return await (self._again if passing else self._refused)(row, reason)

    async def _carry(self, row: Row[Any]) -> DocumentResult | CommandRefusal | None:
        document = attached(self.chat.said(row.target), row.room_id)
        composer = self.composer()
        limit = await in_store(
            self.engine, lambda connection: _limit(connection, row, composer, document)
        )
        with tempfile.TemporaryDirectory(prefix="rabta-", dir=self.spool) as folder:
            path = Path(folder) / "document"
            size = await self.chat.download(document.file, path, max_bytes=limit)
            if self.scanner is not None:
                await self.scanner.scan(path)
            offer = await self._offer(row, document, path, size)
            return await self.store.hand_in(offer, path, self.clock())

    async def _offer(
        self, row: Row[Any], document: Attached, path: Path, size: int
    ) -> DocumentOffer:
        """What e-Office is told of it: fixed at the first time, the same at every repeat."""
        digest = await asyncio.to_thread(_sha256, path)
        if row.offer is not None:
            offer = DocumentOffer.model_validate(row.offer)
            if offer.sha256 != digest:
                raise DocumentError(DocumentReason.CHANGED)
            return offer
        made = DocumentOffer(
            command_id=row.filing_id,
            file_id=row.file_id,
            post_id=row.post_id,
            person_id=row.person_id,
            matrix_user=row.matrix_user,
            name=document.name,
            media_type=document.media_type,
            size=size,
            sha256=digest,
            time=self.clock(),
        )
        values = made.model_dump(mode="json")
        await in_store(self.engine, lambda connection: fix_offer(connection, row.filing_id, values))
        return DocumentOffer.model_validate(values)

    async def _done(self, row: Row[Any]) -> bool:
        document = attached(self.chat.said(row.target), row.room_id)

        def note(connection: Connection) -> None:
            end_filing(connection, row.filing_id, DONE)
            self._tell(
                connection, row, "filed", lambda language: say(language, FILED, name=document.name)
            )
            self._audit(connection, row, "document-filed", None)

        await in_store(self.engine, note)
        self.metrics.filings.labels(result="done").inc()
        return True

    async def _refused(self, row: Row[Any], reason: str) -> bool:
        def note(connection: Connection) -> None:
            end_filing(connection, row.filing_id, REFUSED, str(reason))
            self._tell(
                connection, row, "filed", lambda language: answers.refusal(language, str(reason))
            )
            self._audit(connection, row, "document-not-filed", str(reason))

        await in_store(self.engine, note)
        self.metrics.filings.labels(result=str(reason)).inc()
        log.info("document-not-filed", reason=str(reason))
        return True

    async def _again(self, row: Row[Any], reason: str) -> bool:
        now = self.clock()
        if now >= row.made_at + PATIENCE:
            return await self._refused(row, DocumentReason.EOFFICE_UNREACHABLE)

        def note(connection: Connection) -> None:
            at = now + backoff(row.attempts)
            retry_filing(connection, row.filing_id, at, str(reason))
            self._tell(connection, row, "waits", lambda language: say(language, WAITS))

        await in_store(self.engine, note)
        self.metrics.filings.labels(result="again").inc()
        log.info("document-waits", reason=str(reason))
        return False

    def _tell(
        self, connection: Connection, row: Row[Any], part: str, words: Callable[[str], str]
    ) -> None:
        """Answer the officer; what waits is told once."""
        officer = officer_of_user(connection, self.composer().directory, row.matrix_user)
        content = answer_message(
            words(officer.language if officer else "en"),
            reply_to=row.asked_by,
            mention=row.matrix_user,
        )
        enqueue_words(
            connection,
            row.room_id,
            f"{part}|{row.filing_id}",
            content=content,
            txn_id=transaction_id(row.asked_by, row.room_id, part),
            now=self.clock(),
        )

    def _audit(self, connection: Connection, row: Row[Any], what: str, reason: str | None) -> None:
        write_audit(
            connection,
            self.clock(),
            what,
            reason=reason,
            actor=row.matrix_user,
            matrix_event_id=row.asked_by,
            detail=row.file_id,
        )


def _limit(connection: Connection, row: Row[Any], composer: Composer, document: Attached) -> int:
    """How many bytes the class of the room takes of a document of this type.

    Raises:
        DocumentError: None, or the file is of another class now.
    """
    file = file_by_id(connection, row.file_id)
    allowed = allowance(composer.policy, Grade(file.grade)) if file is not None else None
    if allowed is None or allowed.room_class != row.room_class:
        raise DocumentError(DocumentReason.CLASS_WITHOUT)
    room_class = composer.policy.room_class(row.room_class)
    refusal = judge_document(
        document.media_type, 0, attachments=allowed.attachments, room_class=room_class
    )
    if refusal is not None:
        raise DocumentError(refusal)
    return room_class.media.max_bytes


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
