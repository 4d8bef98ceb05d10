"""Posts the documents of cards: fetched, checked, scanned, encrypted, each once and in order."""

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Connection, Engine, Row

from rabta_bots.cards.attachments import file_message
from rabta_bots.chat import Chat
from rabta_bots.clock import Clock
from rabta_bots.composing import Composer
from rabta_bots.documents.fetching import DocumentStore
from rabta_bots.documents.judging import DocumentError, judge_document
from rabta_bots.documents.scanning import Scanner
from rabta_bots.grades import allowance
from rabta_bots.matrix import MatrixError
from rabta_bots.metrics import Metrics
from rabta_bots.names import transaction_id
from rabta_bots.officers import officer_of_user
from rabta_bots.retrying import Again, Permanent, after_matrix_error, backoff
from rabta_bots.rooms import PostRooms
from rabta_bots.store import outbox
from rabta_bots.store.audit import write_audit
from rabta_bots.store.cards import card_by_id, note_message
from rabta_bots.store.documents import (
    Place,
    due_documents,
    follows_latest_issue,
    note_document,
)
from rabta_bots.store.opening import in_store
from rabta_contract.event import Document, Event
from rabta_contract.vocabulary import Grade

log = structlog.get_logger("rabta.bridge.documents")

AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Wanted:
    """A document that may be posted, and where.

    Args:
        card: The card, as it was read.
        reader: Who holds the post and reads the room.
    """

    document: Document
    card: Row[Any]
    reader: str
    basis: str


@dataclass(frozen=True, slots=True)
class DocumentPoster:
    """Carries what is due, and settles each row: posted, refused, or again at a moment.

    Args:
        store: Where the documents lie.
        scanner: Looks at each before it is posted; None where none is configured.
        spool: A private folder in which a document lies while it is carried.
        composer: Gives a composer as of now.
    """

    chat: Chat
    engine: Engine
    clock: Clock
    rooms: PostRooms
    store: DocumentStore
    scanner: Scanner | None
    spool: Path | None
    composer: Callable[[], Composer]
    metrics: Metrics

    async def post_due(self) -> int:
        """Try every document that is due once; gives how many that were."""
        now = self.clock()
        rows = await in_store(
            self.engine, lambda connection: due_documents(connection, now, AT_ONCE)
        )
        await asyncio.gather(*(self._post(row) for row in rows))
        return len(rows)

    async def _post(self, row: Row[Any]) -> bool:
        try:
            if row.content is None:
                made = await self._prepare(row)
                if isinstance(made, Again | Permanent):
                    return await self._put_off(row, made)
                room_id, content, txn_id = made
            else:
                room_id, content, txn_id = row.room_id, row.content, row.txn_id
            message_id = await self.chat.send(room_id, content, txn_id=txn_id)
            if "file" not in content:
                return await self._take_back(row, room_id, message_id)
        except DocumentError as error:
            return await self._refuse(row, error)
        except MatrixError as error:
            return await self._put_off(row, after_matrix_error(error, row.attempts, self.clock()))
        return await self._posted(row, room_id, message_id)

    async def _prepare(self, row: Row[Any]) -> tuple[str, dict[str, Any], str] | Again | Permanent:
        """Bring the document into the media store, and keep its message with the row."""
        composer = self.composer()
        wanted = await in_store(self.engine, lambda connection: _wanted(connection, row, composer))
        if not isinstance(wanted, Wanted):
            return wanted
        document, card = wanted.document, wanted.card
        with tempfile.TemporaryDirectory(prefix="rabta-", dir=self.spool) as folder:
            path = Path(folder) / "document"
            await self.store.fetch(document, path)
            if self.scanner is not None:
                await self.scanner.scan(path)
            await self.rooms.keep_to(
                card.room_id, wanted.reader, "Documents here are for the holder of the post"
            )
            file = await self.chat.upload(path)
        content = file_message(
            document.name,
            document.media_type,
            document.size,
            file.content(),
            reply_to=card.message_id,
        )
        txn_id = transaction_id(card.event_id, card.room_id, wanted.basis)

        def fix(connection: Connection) -> bool:
            again = _wanted(connection, row, composer)
            # Meanwhile its class may have been raised, or its post handed over.
            if not isinstance(again, Wanted) or again.card.message_id != card.message_id:
                return False
            outbox.fix_content(
                connection,
                row.row,
                room_id=card.room_id,
                event_type="m.room.message",
                content=content,
                txn_id=txn_id,
            )
            return True

        if not await in_store(self.engine, fix):
            return Again(self.clock(), "card-changed")
        return card.room_id, content, txn_id

    async def _posted(self, row: Row[Any], room_id: str, message_id: str) -> bool:
        now = self.clock()

        def note(connection: Connection) -> None:
            hidden = "file" not in (outbox.content_of(connection, row.row) or {})
            outbox.mark_sent(connection, row.row, message_id)
            if hidden:
                # The grade was raised while it was on its way.
                outbox.enqueue_card(
                    connection,
                    row.card_id,
                    row.stream.removeprefix("documents/"),
                    part="redact",
                    key=f"redact|{row.card_id}|late|{row.row}",
                    now=now,
                )
            note_message(connection, row.card_id, room_id, message_id)
            self._tell(connection, row, None)
            write_audit(
                connection,
                now,
                "document-posted",
                card_id=row.card_id,
                matrix_event_id=message_id,
                detail=str(Place.of(row).number + 1),
            )

        await in_store(self.engine, note)
        self.metrics.documents.labels(result="posted").inc()
        return True

    async def _take_back(self, row: Row[Any], room_id: str, message_id: str) -> bool:
        """Redact what may have been on its way while the grade of its paper was raised.

        The store took the words away meanwhile; whichever of the two contents arrived is gone.
        """
        txn_id = transaction_id(row.key, room_id, "redact-document")
        await self.chat.redact(room_id, message_id, txn_id, "The classification was raised")
        await in_store(
            self.engine, lambda connection: outbox.mark_moot(connection, row.row, "class-raised")
        )
        return True

    async def _refuse(self, row: Row[Any], error: DocumentError) -> bool:
        """Say in the card why it is not there; what passes is tried again."""
        now = self.clock()

        def note(connection: Connection) -> None:
            self._tell(connection, row, error.reason)
            if error.passing:
                at = now + backoff(row.attempts)
                outbox.try_again(connection, row.row, at, error.reason)
                return
            outbox.mark_moot(connection, row.row, error.reason)
            write_audit(
                connection,
                now,
                "document-refused",
                reason=error.reason,
                card_id=row.card_id,
                detail=str(Place.of(row).number + 1),
            )

        await in_store(self.engine, note)
        self.metrics.documents.labels(result=str(error.reason)).inc()
        log.info("document-not-posted", reason=str(error.reason), card=row.card_id)
        return not error.passing

    async def _put_off(self, row: Row[Any], decision: Again | Permanent) -> bool:
        def note(connection: Connection) -> None:
            if isinstance(decision, Again):
                outbox.try_again(connection, row.row, decision.at, decision.reason)
                return
            settle = outbox.mark_moot if decision.moot else outbox.mark_dead
            settle(connection, row.row, decision.reason)

        await in_store(self.engine, note)
        result = "again" if isinstance(decision, Again) else "moot" if decision.moot else "dead"
        self.metrics.documents.labels(result=result).inc()
        return result != "again"

    def _tell(self, connection: Connection, row: Row[Any], reason: str | None) -> None:
        """Have the card say what is new about the document."""
        if note_document(connection, row.card_id, Place.of(row).number, reason):
            card = card_by_id(connection, row.card_id)
            if card is not None:
                outbox.enqueue_card(
                    connection, row.card_id, card.stream, part="amend", key=None, now=self.clock()
                )


def _wanted(
    connection: Connection, row: Row[Any], composer: Composer
) -> Wanted | Again | Permanent:
    """The document if it may be posted now.

    Raises:
        DocumentError: It may not stand in the room.
    """
    card = card_by_id(connection, row.card_id)
    shown = card is not None and card.message_id is not None and card.issued_to is not None
    if card is None or not shown or not follows_latest_issue(connection, row):
        return Permanent("shown-anew", moot=True)
    event = Event.model_validate(card.event) if card.event else None
    documents = (event.data.documents if event else None) or ()
    place = Place.of(row)
    allowed = allowance(composer.policy, Grade(card.grade))
    if place.number >= len(documents) or allowed is None or allowed.room_class != card.room_class:
        return Permanent("class-raised", moot=True)
    document = documents[place.number]
    refusal = judge_document(
        document.media_type,
        document.size,
        attachments=allowed.attachments,
        room_class=composer.policy.room_class(card.room_class),
    )
    if refusal is not None:
        raise DocumentError(refusal)
    officer = officer_of_user(connection, composer.directory, card.issued_to)
    if officer is None:
        return Permanent("unknown-person", moot=True)
    denied = composer.may_reach(officer, card.room_class)
    if denied is not None:
        return Permanent(denied)
    basis = f"document-{place.issue}-{place.number}".replace("|", "-")
    return Wanted(document, card, officer.user_id, basis)
