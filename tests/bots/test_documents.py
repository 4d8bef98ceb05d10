"""Documents of events on their way into rooms: the real e-Office, a real scanner, a recorder."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from ministry import SECRET, Ministry
from office import Office, office
from recorder import Recorder, Sent
from sqlalchemy import select

from rabta_bots.cards.attachments import file_name
from rabta_bots.documents.fetching import EOfficeDocuments
from rabta_bots.documents.judging import DocumentError, judge_document
from rabta_bots.documents.scanning import Clamd
from rabta_bots.store.tables import audit, outbox
from rabta_contract import Document, Grade, SigningSecrets
from rabta_deploy.clamav import Clamav
from rabta_eoffice.acts import Verb
from rabta_eoffice.documents import KeptDocument, NewDocument
from rabta_policy import RoomClass, load_document

URDU = "نوٹ شیٹ نمبر ۵.pdf"
Eventually = Callable[..., Any]


def attach(
    place: Office, file_id: str, name: str, content: bytes, kind: str = "application/pdf"
) -> str:
    """The section officer puts a document on the file; gives its hash."""
    done = place.desk.attach(file_id, ("p-1", "ITT-SO-ADMN2"), NewDocument(name, kind, content))
    assert isinstance(done, KeptDocument), done
    return done.sha256


def documents(chat: Recorder) -> list[Sent]:
    """The documents in the rooms, in order."""
    return [sent for sent in chat.sent if "file" in sent.content]


def hash_of(chat: Recorder, sent: Sent) -> str:
    """Of the bytes that an officer's client would show."""
    return hashlib.sha256(chat.media[sent.content["file"]["url"]]).hexdigest()


async def test_documents_follow_their_card_in_order_with_their_names_and_bytes(
    any_ministry: Ministry, eventually: Eventually, clamav: Clamav
) -> None:
    async with office(any_ministry, documents={"scanner": clamav.address}) as place:
        file_id = place.open_file()
        told = [
            attach(place, file_id, URDU, b"%PDF-1.4 first"),
            attach(place, file_id, "../a\u202egnp.exe", b"\x89PNG", "image/png"),
        ]
        place.put_up(file_id)
        posted = await eventually(lambda: len(found := documents(place.chat)) == 2 and found)
        (card,) = place.chat.cards()
        assert f"Attachment: \u2068{URDU} (14 B)\u2069" in card.body
        assert [sent.room_id for sent in posted] == [card.room_id] * 2
        assert [sent.content["m.relates_to"] for sent in posted] == [
            {"m.in_reply_to": {"event_id": card.event_id}}
        ] * 2
        assert [sent.content["msgtype"] for sent in posted] == ["m.file", "m.image"]
        # Whole and in Urdu; without the trick that would show `agnp.exe` as `aexe.png`.
        assert [sent.content["filename"] for sent in posted] == [URDU, "_agnp.exe"]
        assert [sent.content["body"] for sent in posted] == [URDU, "_agnp.exe"]
        assert [hash_of(place.chat, sent) for sent in posted] == told
        assert posted[0].content["info"] == {"mimetype": "application/pdf", "size": 14}

        # A reply to a document means its card.
        said = place.chat.write(
            "@bilal:itt.gov.test", card.room_id, "seen", reply_to=posted[0].event_id
        )
        await eventually(lambda: place.chat.answer_to(said))


async def test_an_infected_document_is_named_in_the_card_and_is_in_no_room(
    ministry: Ministry, eventually: Eventually, clamav: Clamav, infected: bytes
) -> None:
    async with office(ministry, documents={"scanner": clamav.address}) as place:
        file_id = place.open_file()
        attach(place, file_id, "quotation.pdf", infected)
        clean = attach(place, file_id, "clean.pdf", b"%PDF-1.4 clean")
        attach(place, file_id, "macro.docm", b"PK", "application/vnd.ms-word")
        place.put_up(file_id)

        def told() -> str | None:
            edits = [sent for sent in place.chat.sent if sent.replaces]
            body = edits[-1].content["m.new_content"]["body"] if edits else ""
            return body if body.count("Not attached") == 2 else None

        body = await eventually(told, what="the refusals in the card")
        assert "Not attached, it is infected: quotation.pdf [document-infected]" in body
        assert "macro.docm [document-type-not-allowed]" in body
        assert "You can reply" in body
        (posted,) = await eventually(lambda: documents(place.chat))
        assert hash_of(place.chat, posted) == clean
        assert len(place.chat.media) == 1
        with place.bridge.engine.begin() as connection:
            refused = connection.execute(
                select(audit.c.reason).where(audit.c.what == "document-refused")
            ).scalars()
            assert sorted(refused) == ["document-infected", "document-type-not-allowed"]
            stored = repr(connection.execute(select(outbox)).all())
        assert "clean.pdf" not in stored  # sent words and keys are not kept


async def test_while_the_scanner_does_not_answer_nothing_is_posted_and_the_card_says_so(
    ministry: Ministry, eventually: Eventually, tmp_path: Path, clamav: Clamav
) -> None:
    address = tmp_path / "clamd.sock"
    async with office(ministry, documents={"scanner": f"unix://{address}"}) as place:
        file_id = place.open_file()
        attach(place, file_id, URDU, b"%PDF-1.4 first")
        place.put_up(file_id)
        (card,) = await eventually(place.chat.cards)
        edit = await eventually(lambda: place.chat.edit_of(card.event_id), what="the wait")
        assert "[scanner-unreachable]" in edit.content["m.new_content"]["body"]
        # The next card of the file is not held up.
        place.act(file_id, "p-1", "ITT-SO-ADMN2", Verb.PULL_BACK)
        place.put_up(file_id)
        await eventually(lambda: len(place.chat.cards()) == 2)
        assert documents(place.chat) == []

        address.symlink_to(clamav.socket)
        ministry.hands.advance(minutes=6)
        await eventually(lambda: len(documents(place.chat)) == 2)
        assert [
            sent.content["m.relates_to"]["m.in_reply_to"] for sent in documents(place.chat)
        ] == [{"event_id": shown.event_id} for shown in place.chat.cards()]

        def mended() -> bool:
            edit = place.chat.edit_of(card.event_id)
            body = edit.content["m.new_content"]["body"] if edit else ""
            return URDU in body and "unreachable" not in body

        await eventually(mended, what="a card that says no more that it waits")


async def test_a_confidential_file_brings_no_document_and_no_name_of_one(
    ministry: Ministry, eventually: Eventually
) -> None:
    async with office(ministry) as place:
        file_id = place.open_file(grade=Grade.CONFIDENTIAL)
        attach(place, file_id, "secret-plan.pdf", b"%PDF-1.4 plan")
        place.put_up(file_id)
        (card,) = await eventually(place.chat.cards)
        assert "secret-plan" not in card.body
        with place.bridge.engine.begin() as connection:
            parts = connection.execute(select(outbox.c.part)).scalars().all()
        assert "document" not in parts
        assert place.chat.media == {}


async def test_a_document_carried_before_a_crash_is_posted_once_after_it(
    any_ministry: Ministry, eventually: Eventually
) -> None:
    chat = Recorder()
    chat.lost_sends = 1
    async with office(any_ministry, chat=chat) as place:
        file_id = place.open_file()
        attach(place, file_id, URDU, b"%PDF-1.4 first")
        place.put_up(file_id)
        (card,) = await eventually(chat.cards)
        # The homeserver took it, and the answer was lost: the repeat is the same message.
        await eventually(lambda: chat.lost_sends == 0)
        any_ministry.hands.advance(minutes=1)

        def settled() -> bool:
            with place.bridge.engine.begin() as connection:
                rows = connection.execute(
                    select(outbox.c.state, outbox.c.attempts).where(outbox.c.part == "document")
                ).all()
            return [tuple(row) for row in rows] == [("sent", 1)]

        await eventually(settled)
        assert len(documents(chat)) == len(chat.media) == 1
        assert chat.edit_of(card.event_id) is None


# Where a document comes from, and whether it is the one.


def told(**changes: Any) -> Document:
    body = b"the document"
    values: dict[str, Any] = {
        "doc_id": "D-1",
        "name": "a.pdf",
        "media_type": "application/pdf",
        "size": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
    }
    return Document(**values | changes)


async def test_only_the_announced_bytes_from_e_offices_own_origin_are_taken(tmp_path: Path) -> None:
    seen: list[str] = []

    async def serve(request: web.Request) -> web.StreamResponse:
        seen.append(f"{request.path} {request.headers.get('Authorization')}")
        if request.path == "/elsewhere":
            raise web.HTTPFound("http://evil.gov.test/")
        if request.path == "/missing":
            raise web.HTTPNotFound
        if request.path == "/endless":
            answer = web.StreamResponse()
            await answer.prepare(request)
            for _ in range(10_000):
                await answer.write(b"x" * 65536)
            return answer
        body = b"another docu" if request.path == "/altered" else b"the document"
        return web.Response(body=body[:-1] if request.path == "/short" else body)

    app = web.Application()
    app.router.add_get("/{path:.*}", serve)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    async with aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{port}"
        secrets = SigningSecrets.parse(SECRET)
        store = EOfficeDocuments(url, "the token", secrets, lambda: session)

        async def reason(href: str | None, **changes: Any) -> str:
            with pytest.raises(DocumentError) as failed:
                await store.fetch(told(href=href, **changes), tmp_path / "document")
            return str(failed.value.reason)

        await store.fetch(told(href=f"{url}/good"), tmp_path / "document")
        assert (tmp_path / "document").read_bytes() == b"the document"
        assert seen == ["/good Bearer the token"]
        assert await reason(None) == "document-not-reachable"
        for href in (
            f"https://127.0.0.1:{port}/good",
            f"http://localhost:{port}/good",
            f"http://127.0.0.1:{port + 1}/good",
            f"http://127.0.0.1:{port}@evil.gov.test/good",
            f"http://user@127.0.0.1:{port}/good",
            "file:///etc/passwd",
            "//evil.gov.test/good",
            "http://[broken",
            "",
        ):
            assert await reason(href) == "document-not-from-eoffice", href
        assert seen == ["/good Bearer the token"]
        assert await reason(f"{url}/missing") == "document-missing"
        assert await reason(f"{url}/elsewhere") == "eoffice-unreachable"
        for path in ("altered", "short", "endless"):
            assert await reason(f"{url}/{path}") == "document-changed"
        assert await reason(f"{url}/good", size=11) == "document-changed"
    await runner.cleanup()


@pytest.mark.parametrize(
    ("media_type", "size", "class_", "reason"),
    [
        ("application/pdf", 1000, "restricted", None),
        ("APPLICATION/PDF; version=1.4", 1000, "restricted", None),
        ("image/png", 20_971_520, "restricted", None),
        ("image/png", 20_971_521, "restricted", "document-too-large"),
        ("application/zip", 1, "restricted", "document-type-not-allowed"),
        ("application/zip", 1, "unclassified", None),
        ("application/pdf", 1, "confidential", "class-without-documents"),
    ],
)
def test_size_and_type_are_judged_by_the_class_of_the_room(
    media_type: str, size: int, class_: str, reason: str | None
) -> None:
    root = Path(__file__).parents[2]
    classes = load_document((root / "config/demo-policy.yaml").read_text())["classes"]
    room = RoomClass(name=class_, rank=0, **classes[class_])
    judged = judge_document(media_type, size, attachments=room.card.attachments, room_class=room)
    assert judged == reason


async def test_clamd_finds_what_it_knows_and_says_what_it_will_not_scan(
    clamav: Clamav, tmp_path: Path, infected: bytes
) -> None:
    file = tmp_path / "file"
    scanner = Clamd(clamav.address)
    file.write_bytes(b"harmless" * 200_000)
    await scanner.scan(file)
    file.write_bytes(b"x" * 3_000_000 + infected)
    with pytest.raises(DocumentError, match="document-infected"):
        await scanner.scan(file)
    with file.open("wb") as sparse:
        sparse.truncate(60_000_000)
    with pytest.raises(DocumentError, match="document-not-scanned"):
        await scanner.scan(file)
    with pytest.raises(DocumentError, match="scanner-unreachable"):
        await Clamd(f"unix://{tmp_path / 'nobody.sock'}").scan(file)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (URDU, URDU),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("C:\\secret.doc", "C:_secret.doc"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("a\nb.pdf", "a b.pdf"),
        ("\u200e\u200f", "document"),
        ("", "document"),
        ("x" * 300 + ".pdf", "x" * 116 + ".pdf"),
    ],
)
def test_a_file_name_is_whole_and_hides_nothing(name: str, shown: str) -> None:
    assert file_name(name) == shown
