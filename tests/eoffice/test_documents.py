"""Documents on files: from the page, from a script and from chat, told and served as they are."""

import hashlib
import io
import re
from typing import Any

import aiohttp
import pytest

from rabta_contract import sign
from rabta_contract.document import DocumentOffer, parse_document_answer

FILE = "ITT-2026-004512"
URDU = "نوٹ شیٹ نمبر ۵.pdf"
BODY = b"%PDF-1.4 a note sheet"


def offer(clock: Any, content: bytes = BODY, **changes: Any) -> DocumentOffer:
    values: dict[str, Any] = {
        "command_id": "rc-doc-1",
        "file_id": FILE,
        "post_id": "ITT-SO-ADMN2",
        "person_id": "p-1",
        "matrix_user": "@ayesha:itt.gov.test",
        "name": URDU,
        "media_type": "application/pdf",
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "time": clock().isoformat(),
    }
    return DocumentOffer.model_validate(values | changes)


async def send(bridge: Any, told: DocumentOffer, content: bytes = BODY, **headers: str) -> Any:
    """Offer a document as the bridge does; gives status, answer and headers."""
    raw = told.to_bytes()
    form = aiohttp.FormData()
    form.add_field("offer", raw, filename="offer", content_type="application/json")
    form.add_field("document", content, filename="document")
    sent = sign(told.command_id, raw, bridge.secrets, bridge.clock())
    sent |= {"Idempotency-Key": told.command_id} | headers
    async with bridge.http.post(f"{bridge.url}/documents", data=form, headers=sent) as response:
        body = await response.read()
        return response.status, parse_document_answer(response.status, body), response.headers


async def test_a_document_put_on_a_file_in_the_browser_goes_along_when_the_file_is_sent(
    browser: Any, bridge: Any
) -> None:
    await browser.sign_in("p-1")
    await browser.go(f"/f/{FILE}")
    form = aiohttp.FormData(quote_fields=False)  # as browsers send names
    form.add_field("form_token", _token(browser.page))
    form.add_field("post_id", "ITT-SO-ADMN2")
    content = BODY * 50_000  # larger than any other form may be
    form.add_field("document", io.BytesIO(content), filename=URDU, content_type="application/pdf")
    async with browser.http.post(f"{browser.url}/f/{FILE}/documents", data=form) as response:
        assert response.status == 200, await response.text()
        page = await response.text()
    digest = hashlib.sha256(content).hexdigest()
    assert URDU in page
    assert digest in page

    async with browser.http.get(f"{browser.url}/f/{FILE}/documents/{_doc_id(page)}") as response:
        assert await response.read() == content
        assert response.headers["Content-Disposition"].startswith("attachment;")

    await browser.go(f"/f/{FILE}")
    await browser.submit(
        f"/f/{FILE}/put-up",
        post_id="ITT-SO-ADMN2",
        movement_no="0",
        to_post="ITT-DS-ADMN",
        purpose="put_up",
        note="",
        remarks="",
    )
    (told,) = (await bridge.events())[-1]["data"]["documents"]
    assert (told["name"], told["size"], told["sha256"]) == (URDU, len(content), digest)
    assert told["href"] == f"http://eoffice.itt.gov.test/documents/{told['doc_id']}"
    path = told["href"].removeprefix("http://eoffice.itt.gov.test")
    async with bridge.http.get(f"{bridge.url}{path}") as response:
        assert response.status == 401
    from_feed = {"Authorization": "Bearer feed-token-of-the-tests"}
    async with bridge.http.get(f"{bridge.url}{path}", headers=from_feed) as response:
        assert await response.read() == content


def _token(page: str) -> str:
    return re.findall(r'name="form_token" value="([0-9a-f]+)"', page)[0]


def _doc_id(page: str) -> str:
    return re.findall(rf"/f/{FILE}/documents/(D-[0-9a-f]+)", page)[0]


async def test_a_document_from_chat_is_on_the_file_once_and_a_repeat_gets_the_same_answer(
    bridge: Any, clock: Any
) -> None:
    told = offer(clock)
    status, first, headers = await send(bridge, told)
    assert (status, first.file_id, headers.get("Idempotent-Replayed")) == (200, FILE, None)
    status, again, headers = await send(bridge, told)
    assert (status, again, headers["Idempotent-Replayed"]) == (200, first, "true")
    (kept,) = (await bridge.file())["documents"]
    assert (kept["doc_id"], kept["sha256"], kept["channel"]) == (
        first.doc_id,
        told.sha256,
        "chat",
    )
    other = offer(clock, b"another", name="other.pdf")
    status, refused, _ = await send(bridge, other, b"another")
    assert (status, refused.reason) == (422, "idempotency-key-reused")


@pytest.mark.parametrize(
    ("changes", "content", "headers", "reason"),
    [
        ({"post_id": "ITT-DS-ADMN", "person_id": "p-2"}, BODY, {}, "wrong-holder"),
        ({"person_id": "p-2"}, BODY, {}, "wrong-holder"),
        ({"file_id": "ITT-2026-999999"}, BODY, {}, "unknown-file"),
        ({}, BODY + b"!", {}, "document-changed"),
        ({}, BODY[:-1] + b"!", {}, "document-changed"),
        ({"size": 21 * 1024 * 1024}, BODY, {}, "too-large"),
        ({}, BODY, {"webhook-signature": "v1,AAAA"}, "bad-signature"),
        ({}, BODY, {"Idempotency-Key": "another"}, "malformed"),
    ],
)
async def test_a_document_that_may_not_be_on_the_file_is_not(
    changes: dict[str, Any],
    content: bytes,
    headers: dict[str, str],
    reason: str,
    *,
    bridge: Any,
    clock: Any,
) -> None:
    _, refused, _ = await send(bridge, offer(clock, **changes), content, **headers)
    assert refused.reason == reason
    assert (await bridge.file())["documents"] == []


async def test_what_is_no_offer_is_malformed(bridge: Any) -> None:
    for body in (b"", b"--x--", b"{}"):
        async with bridge.http.post(f"{bridge.url}/documents", data=body) as response:
            assert (response.status, (await response.json())["reason"]) == (400, "malformed")
