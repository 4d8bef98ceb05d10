"""Documents from a room into a file: the officer's word, the real e-Office, each once."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from ministry import BILAL, Ministry
from office import Office, office
from recorder import Recorder, Sent
from sqlalchemy import select

from rabta_bots.documents.fetching import DocumentStore
from rabta_bots.matrix import SenderTrust
from rabta_bots.store.tables import filings
from rabta_contract import Document, Grade
from rabta_contract.command import CommandRefusal
from rabta_contract.document import DocumentOffer, DocumentResult
from rabta_deploy.clamav import Clamav
from rabta_eoffice.acts import Verb
from rabta_eoffice.documents import KeptDocument, documents_of, find_document

NUMBER = "F.No.1(5)/2026-Admn-II"
URDU = "مراسلہ ۱۲.pdf"
BODY = b"%PDF-1.4 a letter"
Eventually = Callable[..., Any]


def sends(
    chat: Recorder,
    room_id: str,
    content: bytes = BODY,
    *,
    name: str = URDU,
    media_type: str = "application/pdf",
    **how: Any,
) -> str:
    """The officer sends a document into the room."""
    file = chat.keep(content)
    said = {
        "msgtype": "m.file",
        "body": name,
        "info": {"mimetype": media_type, "size": len(content)},
        "file": file.content(),
    }
    return chat.write(BILAL, room_id, name, content=said, **how)


def kept(place: Office, file_id: str) -> list[KeptDocument]:
    """The documents on the file, by e-Office's own books."""
    with place.desk.engine.begin() as connection:
        return documents_of(connection, file_id)


async def card_of(place: Office, eventually: Eventually, **further: Any) -> tuple[str, Sent]:
    """A file with Bilal's post, and its card."""
    file_id = place.open_file(**further)
    place.put_up(file_id)
    return file_id, (await eventually(place.chat.cards))[-1]


async def answered(place: Office, said: str, words: str, eventually: Eventually) -> None:
    """Wait for an answer that holds the words."""

    def found() -> bool:
        answer = place.chat.answer_to(said)
        return answer is not None and words in answer.body

    await eventually(found, what=words)


@pytest.mark.parametrize("words", ["file {}", "فائل {}", "file"])
async def test_a_document_of_the_room_is_on_the_file_with_its_name_and_bytes(
    any_ministry: Ministry, eventually: Eventually, clamav: Clamav, words: str
) -> None:
    async with office(any_ministry, documents={"scanner": clamav.address}) as place:
        file_id, card = await card_of(place, eventually)
        document = sends(place.chat, card.room_id)
        said = place.chat.write(BILAL, card.room_id, words.format(NUMBER), reply_to=document)
        await answered(place, said, URDU, eventually)
        (there,) = kept(place, file_id)
        assert (there.name, there.media_type, there.channel) == (URDU, "application/pdf", "chat")
        assert (there.post_id, there.person_id) == ("ITT-DS-ADMN", "p-2")
        with place.desk.engine.begin() as connection:
            found = find_document(connection, there.doc_id)
        assert found is not None
        assert found[1] == BODY
        assert there.sha256 == hashlib.sha256(BODY).hexdigest()
        # It goes along when the file moves on.
        place.act(file_id, "p-2", "ITT-DS-ADMN", Verb.MARK, to_post="ITT-SO-ADMN2")
        await eventually(lambda: [sent for sent in place.chat.sent if "file" in sent.content])


async def test_what_may_not_be_on_the_file_is_refused_in_words(
    ministry: Ministry, eventually: Eventually, clamav: Clamav, infected: bytes
) -> None:
    async with office(ministry, documents={"scanner": clamav.address}) as place:
        chat = place.chat
        file_id, card = await card_of(place, eventually)
        room = card.room_id
        lower = place.open_file("F.No.2/2026", grade=Grade.UNCLASSIFIED)
        place.put_up(lower)
        await eventually(lambda: len(chat.cards()) == 2)

        async def refused(target: str | None, reason: str, words: str = f"file {NUMBER}") -> None:
            said = chat.write(BILAL, room, words, reply_to=target)
            await answered(place, said, f"[{reason}]", eventually)

        good = sends(chat, room)
        await refused(None, "no-document")
        await refused(card.event_id, "no-document")
        await refused(chat.write(BILAL, room, "only words"), "no-document")
        await refused(sends(chat, room, device=SenderTrust.UNSIGNED), "no-document")
        await refused(sends(chat, room, encrypted=False), "no-document")
        await refused(good, "no-such-file", "file F.No.99/2026")
        await refused(good, "file-below-room", "file F.No.2/2026")
        await refused(sends(chat, room, infected), "document-infected")
        await refused(sends(chat, room, media_type="application/zip"), "document-type-not-allowed")
        changed = sends(chat, room)
        chat.media[chat.said(changed).content["file"]["url"]] = b"another"  # type: ignore[union-attr]
        await refused(changed, "document-changed")
        gone = sends(chat, room)
        del chat.media[chat.said(gone).content["file"]["url"]]  # type: ignore[union-attr]
        await refused(gone, "document-missing")
        place.act(file_id, "p-2", "ITT-DS-ADMN", Verb.MARK, to_post="ITT-JS")
        await refused(good, "wrong-holder")
        assert kept(place, file_id) == kept(place, lower) == []


@dataclass
class LosingAnswers:
    """The real e-Office, whose first answers are lost on the way, as when the bridge is killed."""

    real: DocumentStore
    lose: int
    carried: int = 0

    async def fetch(self, document: Document, into: Path) -> None:
        await self.real.fetch(document, into)

    async def hand_in(
        self, offer: DocumentOffer, path: Path, now: datetime
    ) -> DocumentResult | CommandRefusal | None:
        answer = await self.real.hand_in(offer, path, now)
        self.carried += 1
        return None if self.carried <= self.lose else answer


async def test_a_document_whose_answer_was_lost_is_on_the_file_once(
    ministry: Ministry, eventually: Eventually
) -> None:
    async with office(ministry) as place:
        filer = place.bridge.bridge._filer
        losing = LosingAnswers(filer.store, lose=2)
        object.__setattr__(filer, "store", losing)
        file_id, card = await card_of(place, eventually)
        document = sends(place.chat, card.room_id)
        said = place.chat.write(BILAL, card.room_id, f"file {NUMBER}", reply_to=document)
        await answered(place, said, "waits", eventually)
        for attempt in (2, 3):
            ministry.hands.advance(minutes=10)
            await eventually(lambda attempt=attempt: losing.carried == attempt)
        await answered(place, said, URDU, eventually)
        assert len(kept(place, file_id)) == 1
        # Of what was offered nothing stays in the bridge's store.
        with place.bridge.engine.begin() as connection:
            (row,) = connection.execute(select(filings)).all()
        assert (row.state, row.attempts, row.offer) == ("done", 2, None)
        # The same word again is a second word: it is the officer who asks for it.
        again = place.chat.write(BILAL, card.room_id, f"file {NUMBER}", reply_to=document)
        await answered(place, again, URDU, eventually)
        assert len(kept(place, file_id)) == 2
