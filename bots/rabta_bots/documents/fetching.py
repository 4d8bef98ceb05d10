"""Fetches a document from e-Office: from its own origin alone, checked while it comes."""

import asyncio
import hashlib
import hmac
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import aiohttp

from rabta_bots.documents.judging import DocumentError, DocumentReason
from rabta_contract.command import IDEMPOTENCY_KEY_HEADER, CommandRefusal
from rabta_contract.document import (
    DOCUMENT_PART,
    OFFER_PART,
    DocumentOffer,
    DocumentResult,
    parse_document_answer,
)
from rabta_contract.event import Document
from rabta_contract.secrets_file import SigningSecrets
from rabta_contract.signature import sign

CHUNK_BYTES = 1024 * 1024
_LONGEST_ANSWER = 64 * 1024
_GONE = frozenset({404, 410})
_OK = 200
_DEFAULT_PORTS = {"http": 80, "https": 443}
# A line that stands still for so long is dead; a large document takes what it takes.
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=15, sock_read=30)


class DocumentStore(Protocol):
    """Where the documents of events lie."""

    async def fetch(self, document: Document, into: Path) -> None:
        """Write exactly the document that the event tells of, or nothing.

        Raises:
            DocumentError: `document-not-from-eoffice`, `document-not-reachable`,
                `document-missing`, `document-changed` (another size or SHA-256), or
                `eoffice-unreachable`.
        """

    async def hand_in(
        self, offer: DocumentOffer, path: Path, now: datetime
    ) -> DocumentResult | CommandRefusal | None:
        """Put a document on a file, the same offer any number of times: it is there once.

        Returns:
            What e-Office did or why not; None when nothing is known of it, so try again.

        Raises:
            DocumentError: `document-not-reachable`: never by this way.
        """


@dataclass(frozen=True, slots=True)
class EOfficeDocuments:
    """The documents of one e-Office over HTTP: `GET <href>` with the feed's bearer token.

    Args:
        url: Base of e-Office; no other origin is ever asked, or told the token.
        token: Bearer token.
        secrets: Sign what is handed in.
        session: An open client session, owned by the caller.
        tls: The authorities to trust, or True for the system's.
    """

    url: str
    token: str = field(repr=False)
    secrets: SigningSecrets
    session: Callable[[], aiohttp.ClientSession]
    tls: ssl.SSLContext | bool = True

    async def fetch(self, document: Document, into: Path) -> None:
        """As `DocumentStore.fetch`."""
        href = document.href
        if href is None:
            raise DocumentError(DocumentReason.NOT_REACHABLE)
        if _origin(href) is None or _origin(href) != _origin(self.url):
            raise DocumentError(DocumentReason.NOT_FROM_EOFFICE)
        try:
            async with self.session().get(
                href,
                headers={
                    "Authorization": f"Bearer {self.token}",
                    # Compressed bytes would have to be unpacked before they can be counted.
                    "Accept-Encoding": "identity",
                },
                ssl=self.tls,
                allow_redirects=False,
                timeout=_TIMEOUT,
            ) as response:
                if response.status in _GONE:
                    raise DocumentError(DocumentReason.MISSING)
                if response.status != _OK or "Content-Encoding" in response.headers:
                    raise DocumentError(DocumentReason.EOFFICE_UNREACHABLE)
                await _keep(response.content, document, into)
        except (TimeoutError, aiohttp.ClientError, ConnectionError) as error:
            raise DocumentError(DocumentReason.EOFFICE_UNREACHABLE) from error

    async def hand_in(
        self, offer: DocumentOffer, path: Path, now: datetime
    ) -> DocumentResult | CommandRefusal | None:
        """As `DocumentStore.hand_in`: `POST /documents`, the offer signed, the bytes behind it."""
        raw = offer.to_bytes()
        headers = sign(offer.command_id, raw, self.secrets, now)
        headers[IDEMPOTENCY_KEY_HEADER] = offer.command_id
        try:
            with await asyncio.to_thread(path.open, "rb") as file:
                form = aiohttp.FormData()
                form.add_field(OFFER_PART, raw, filename="offer", content_type="application/json")
                form.add_field(
                    DOCUMENT_PART,
                    file,
                    filename="document",
                    content_type="application/octet-stream",
                )
                async with self.session().post(
                    f"{self.url}/documents",
                    data=form,
                    headers=headers,
                    ssl=self.tls,
                    allow_redirects=False,
                    timeout=_TIMEOUT,
                ) as response:
                    answer = await response.content.read(_LONGEST_ANSWER)
                    return parse_document_answer(response.status, answer)
        except (TimeoutError, aiohttp.ClientError, ConnectionError):
            return None


class NoDocuments:
    """The documents of an e-Office that is reached by files alone: none can be fetched."""

    async def fetch(self, document: Document, into: Path) -> None:  # noqa: ARG002 - as the others
        """Refuse."""
        raise DocumentError(DocumentReason.NOT_REACHABLE)

    async def hand_in(
        self,
        offer: DocumentOffer,  # noqa: ARG002 - as the others
        path: Path,  # noqa: ARG002
        now: datetime,  # noqa: ARG002
    ) -> DocumentResult | CommandRefusal | None:
        """Refuse."""
        raise DocumentError(DocumentReason.NOT_REACHABLE)


async def _keep(content: aiohttp.StreamReader, document: Document, into: Path) -> None:
    digest, size = hashlib.sha256(), 0
    with await asyncio.to_thread(into.open, "wb") as file:
        async for chunk in content.iter_chunked(CHUNK_BYTES):
            size += len(chunk)
            if size > document.size:
                raise DocumentError(DocumentReason.CHANGED)
            digest.update(chunk)
            await asyncio.to_thread(file.write, chunk)
    whole = size == document.size and hmac.compare_digest(
        digest.hexdigest(), document.sha256.lower()
    )
    if not whole:
        raise DocumentError(DocumentReason.CHANGED)


def _origin(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port (RFC 6454); None for what has none, which equals nothing."""
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS[parts.scheme]
    except (ValueError, KeyError):
        return None
    if not parts.hostname or parts.username is not None or any(map(str.isspace, url)):
        return None
    return parts.scheme, parts.hostname, port
