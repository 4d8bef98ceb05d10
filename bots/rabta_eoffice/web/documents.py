"""The addresses of documents: for the bridge, for people with a session, and for scripts."""

import asyncio
import hashlib
from urllib.parse import quote

import structlog
from aiohttp import BodyPartReader, MultipartReader, web

from rabta_contract import (
    IDEMPOTENCY_KEY_HEADER,
    REPLAYED_HEADER,
    CommandReason,
    ContractError,
    SignatureError,
    command_status,
    verify,
)
from rabta_contract.document import DOCUMENT_PART, OFFER_PART, DocumentOffer, parse_offer
from rabta_eoffice.documents import LARGEST, KeptDocument, NewDocument, find_document
from rabta_eoffice.rules import Refused
from rabta_eoffice.tables import reading
from rabta_eoffice.web import views
from rabta_eoffice.web.contract import COMMAND_LARGEST, bearer_matches, refusal
from rabta_eoffice.web.keys import OFFICE, VISITOR

log = structlog.get_logger("eoffice.documents")


async def serve(request: web.Request) -> web.Response:
    """`GET /documents/<doc_id>`: the bytes, for whoever has the feed's bearer token."""
    office = request.app[OFFICE]
    if not bearer_matches(request, office.feed_token):
        return refusal(401, "bad-token", "documents need the feed's bearer token")
    return await _send(request)


async def show(request: web.Request) -> web.Response:
    """`GET /f/<file_id>/documents/<doc_id>`: the bytes, for whoever may see the file."""
    person = request[VISITOR].person_id
    if person is None:
        raise web.HTTPSeeOther(f"/sign-in?next={quote(request.path)}")
    desk = request.app[OFFICE].desk
    file_id = request.match_info["file_id"]
    seen = await asyncio.to_thread(views.file_view, desk, file_id, person)
    if seen is None:
        raise web.HTTPNotFound(text="no such file")
    return await _send(request, file_id)


async def take(request: web.Request) -> web.Response:
    """`POST /documents`: verify the offer, take the bytes, put them on the file once."""
    office = request.app[OFFICE]
    try:
        parts = await _parts(request)
        offer, offered = await _offer(request, parts)
        content = await _content(parts, offer)
    except _NotTakenError as error:
        log.warning("document-refused", reason=error.reason.value)
        return refusal(command_status(error.reason), error.reason, error.detail)
    answered = await asyncio.to_thread(office.desk.take_document, offer, offered, content)
    log.info(
        "document-answered",
        command_id=offer.command_id,
        status=answered.status,
        reason=answered.reason,
        replayed=answered.replayed,
    )
    return web.Response(
        status=answered.status,
        body=answered.body,
        content_type="application/json",
        headers={REPLAYED_HEADER: "true"} if answered.replayed else {},
    )


async def attach(request: web.Request, person: str) -> KeptDocument | Refused:
    """Put the raw body of `POST /api/files/<id>/documents?post_id=&name=` on the file."""
    body = bytearray()
    async for chunk in request.content.iter_chunked(64 * 1024):
        body += chunk
        if len(body) > LARGEST:
            break
    new = NewDocument(request.query.get("name", ""), request.content_type, bytes(body))
    actor = (person, request.query.get("post_id", ""))
    desk = request.app[OFFICE].desk
    return await asyncio.to_thread(desk.attach, request.match_info["file_id"], actor, new)


class _NotTakenError(Exception):
    def __init__(self, reason: CommandReason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


async def _offer(request: web.Request, parts: MultipartReader) -> tuple[DocumentOffer, bytes]:
    office = request.app[OFFICE]
    part = await _part(parts, OFFER_PART)
    raw = bytearray()
    while chunk := await part.read_chunk(COMMAND_LARGEST):
        raw += chunk
        if len(raw) > COMMAND_LARGEST:
            raise _NotTakenError(CommandReason.TOO_LARGE, "an offer is at most 16 KiB")
    try:
        message_id = verify(
            request.headers, bytes(raw), office.command_secrets, office.desk.clock()
        )
        offer = parse_offer(bytes(raw))
    except SignatureError as error:
        raise _NotTakenError(CommandReason(error.reason), error.detail) from error
    except ContractError as error:
        raise _NotTakenError(CommandReason.MALFORMED, error.detail) from error
    if not message_id == offer.command_id == request.headers.get(IDEMPOTENCY_KEY_HEADER):
        raise _NotTakenError(
            CommandReason.MALFORMED, "command_id, webhook-id and Idempotency-Key must be the same"
        )
    if offer.size > LARGEST:
        raise _NotTakenError(CommandReason.TOO_LARGE, f"a document is at most {LARGEST} bytes")
    return offer, bytes(raw)


async def _content(parts: MultipartReader, offer: DocumentOffer) -> bytes:
    part = await _part(parts, DOCUMENT_PART)
    content = bytearray()
    while chunk := await part.read_chunk(64 * 1024):
        content += chunk
        if len(content) > offer.size:
            break
    if len(content) != offer.size or hashlib.sha256(content).hexdigest() != offer.sha256:
        raise _NotTakenError(CommandReason.DOCUMENT_CHANGED, "not the bytes of the offer")
    return bytes(content)


async def _parts(request: web.Request) -> MultipartReader:
    try:
        return await request.multipart()
    except (ValueError, AssertionError, KeyError) as error:
        raise _NotTakenError(CommandReason.MALFORMED, "not multipart/form-data") from error


async def _part(parts: MultipartReader, name: str) -> BodyPartReader:
    """The next part of the body, which must be of this name."""
    try:
        part = await parts.next()
    except ValueError as error:
        raise _NotTakenError(CommandReason.MALFORMED, "not multipart/form-data") from error
    if not isinstance(part, BodyPartReader) or part.name != name:
        raise _NotTakenError(CommandReason.MALFORMED, f"the part {name!r} is missing here")
    return part


async def _send(request: web.Request, file_id: str | None = None) -> web.Response:
    desk = request.app[OFFICE].desk
    doc_id = request.match_info["doc_id"]

    def find() -> tuple[KeptDocument, bytes] | None:
        with reading(desk.engine) as connection:
            return find_document(connection, doc_id)

    found = await asyncio.to_thread(find)
    if found is None or file_id not in {None, found[0].file_id}:
        return refusal(404, "unknown-document", "no such document")
    kept, content = found
    return web.Response(
        body=content,
        headers={
            "Content-Type": kept.media_type,
            # Never shown within our pages, whatever it is.
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(kept.name, safe='')}",
        },
    )
