"""Asks ClamAV's daemon whether a file is infected, by clamd's INSTREAM command.

Protocol: `man 8 clamd`, "COMMANDS". The file goes over in chunks, so clamd needs no right to it.
"""

import asyncio
import re
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import structlog

from rabta_bots.documents.judging import DocumentError, DocumentReason

log = structlog.get_logger("rabta.bridge.scanner")

CHUNK_BYTES = 256 * 1024
# A large archive takes clamd a while; one that says nothing for so long is not there.
PATIENCE_SECONDS = 120.0
LONGEST_ANSWER = 1024


class Scanner(Protocol):
    """What looks at a file before anybody may open it."""

    async def scan(self, path: Path) -> None:
        """Return when the file is clean.

        Raises:
            DocumentError: `document-infected`, `document-not-scanned` (it refused the file), or
                `scanner-unreachable`.
        """


class Clamd:
    """A scanner at an address.

    Args:
        address: `unix:///run/clamav/clamd.ctl` or `tcp://HOST:PORT`.
    """

    def __init__(self, address: str) -> None:
        self._address = urlsplit(address)

    async def scan(self, path: Path) -> None:
        """As `Scanner.scan`."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                answer = await self._ask(path)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            log.warning("scanner-unreachable", error=type(error).__name__)
            raise DocumentError(DocumentReason.SCANNER_UNREACHABLE) from error
        if answer == "stream: OK":
            return
        if found := re.fullmatch(r"stream: (\S+) FOUND", answer):
            log.warning("document-infected", signature=found.group(1))
            raise DocumentError(DocumentReason.INFECTED)
        if "size limit exceeded" in answer:
            raise DocumentError(DocumentReason.NOT_SCANNED)
        log.warning("scanner-answered-oddly")
        raise DocumentError(DocumentReason.SCANNER_UNREACHABLE)

    async def _ask(self, path: Path) -> str:
        async with self._connected() as (reader, writer):
            # Begun before the writing: it may answer and hang up before it has the whole file.
            answering = asyncio.create_task(reader.read(LONGEST_ANSWER))
            try:
                await _write(writer, path)
                answer = await answering
            finally:
                answering.cancel()
        if not answer:
            raise asyncio.IncompleteReadError(answer, None)
        return answer.decode("utf-8", "replace").strip("\0\n ")

    @asynccontextmanager
    async def _connected(
        self,
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        place = self._address
        if place.scheme == "unix":
            reader, writer = await asyncio.open_unix_connection(place.path)
        else:
            reader, writer = await asyncio.open_connection(place.hostname, place.port)
        try:
            yield reader, writer
        finally:
            writer.close()


async def _write(writer: asyncio.StreamWriter, path: Path) -> None:
    writer.write(b"zINSTREAM\0")
    with await asyncio.to_thread(path.open, "rb") as file:
        try:
            while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
                writer.write(struct.pack("!L", len(chunk)) + chunk)
                await writer.drain()
            writer.write(struct.pack("!L", 0))
        except (BrokenPipeError, ConnectionResetError):
            return  # it has heard enough, and has said why
