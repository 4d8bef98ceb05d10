"""Fetches a document from e-Office: from its own origin alone, checked while it comes."""

import asyncio
import hashlib
import hmac
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import aiohttp

from rabta_bots.documents.judging import DocumentError, DocumentReason
from rabta_contract.event import Document

CHUNK_BYTES = 1024 * 1024
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


@dataclass(frozen=True, slots=True)
class EOfficeDocuments:
    """The documents of one e-Office over HTTP: `GET <href>` with the feed's bearer token.

    Args:
        url: Base of e-Office; no other origin is ever asked, or told the token.
        token: Bearer token.
        session: An open client session, owned by the caller.
        tls: The authorities to trust, or True for the system's.
    """

    url: str
    token: str = field(repr=False)
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


class NoDocuments:
    """The documents of an e-Office that is reached by files alone: none can be fetched."""

    async def fetch(self, document: Document, into: Path) -> None:  # noqa: ARG002 - as the others
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
