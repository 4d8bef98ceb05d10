"""A peer's media answer, taken apart and written afresh so that it cannot point elsewhere.

Source: server-server API v1.15, "Content Repository": a `multipart/mixed` of a JSON object
and either the file or a `Location`. Synapse follows that location by itself, around the
gateway, to any address: so a location is refused, and the file is passed on under a boundary
that the peer cannot know and therefore cannot close.
"""

import re
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass

from rabta_gateway.bodies import json_object
from rabta_gateway.refusals import RefusedError

_BOUNDARY = re.compile(
    r"multipart/mixed *; *boundary=(?:\"([0-9A-Za-z'()+_,\-./:=?]{1,70})\""
    r"|([0-9A-Za-z'+_\-.]{1,70}))",
    re.IGNORECASE,
)
_HEADER = re.compile(rb"([A-Za-z0-9\-]+):[ \t]*([\x20-\x7e]*)")
_HEAD_LIMIT = 65536
_KEPT = {b"content-type": b"application/octet-stream", b"content-disposition": b"inline"}


@dataclass(frozen=True, slots=True)
class MediaAnswer:
    """A media answer that is safe to pass on: its content type and its body."""

    content_type: str
    body: AsyncIterator[bytes]


async def rewrite(content_type: str, source: AsyncIterator[bytes]) -> MediaAnswer:
    """Take the peer's multipart apart and write it afresh.

    Args:
        content_type: The answer's Content-Type.
        source: Its body.

    Raises:
        RefusedError: `peer-redirects` if it points elsewhere, `peer-answer-broken` if it is
            not the multipart of the specification. The returned body raises the latter too.
    """
    given = _BOUNDARY.fullmatch(content_type.strip())
    if given is None:
        raise RefusedError("peer-answer-broken")
    delimiter = b"\r\n--" + (given[1] or given[2]).encode("ascii")
    reader = _Reader(source)
    # The delimiter's line break belongs to it; the first may stand without or with one more.
    await reader.expect_start(delimiter)
    await reader.until(b"\r\n\r\n")
    metadata = _metadata(await reader.until(delimiter))
    if await reader.until(b"\r\n") != b"":
        raise RefusedError("peer-answer-broken")
    headers = _file_headers(b"\r\n" + await reader.until(b"\r\n\r\n"))
    boundary = secrets.token_hex(16)
    return MediaAnswer(
        content_type=f"multipart/mixed; boundary={boundary}",
        body=_body(reader, delimiter, boundary.encode("ascii"), metadata, headers),
    )


def _metadata(part: bytes) -> bytes:
    """The metadata part as canonical JSON."""
    try:
        return json_object(part).canonical
    except RefusedError as error:
        raise RefusedError("peer-answer-broken") from error


def _file_headers(block: bytes) -> dict[bytes, bytes]:
    """Content type and disposition of the file part; a location is refused."""
    found = dict(_KEPT)
    for line in block.split(b"\r\n")[1:]:
        header = _HEADER.fullmatch(line)
        if header is None:
            raise RefusedError("peer-answer-broken")
        name = header[1].lower()
        if name == b"location":
            raise RefusedError("peer-redirects")
        if name in found:
            found[name] = header[2]
    return found


async def _body(
    reader: "_Reader",
    delimiter: bytes,
    boundary: bytes,
    metadata: bytes,
    headers: dict[bytes, bytes],
) -> AsyncIterator[bytes]:
    lines = [
        b"",
        b"--" + boundary,
        b"Content-Type: application/json",
        b"",
        metadata,
        b"--" + boundary,
        *(name.title() + b": " + value for name, value in headers.items()),
        b"",
        b"",
    ]
    # The head in one piece: Synapse takes only the first piece of the metadata.
    yield b"\r\n".join(lines)
    async for piece in reader.pieces_until(delimiter):
        yield piece
    yield b"\r\n--" + boundary + b"--\r\n"


class _Reader:
    """Finds markers in a stream of chunks, holding back no more than it must."""

    def __init__(self, source: AsyncIterator[bytes]) -> None:
        self._source = source
        self._held = b"\r\n"

    async def expect_start(self, delimiter: bytes) -> None:
        """Pass the first delimiter, which nothing but one line break may precede."""
        before = await self.until(delimiter)
        if before not in (b"", b"\r\n") or await self.peek(2) != b"\r\n":
            raise RefusedError("peer-answer-broken")

    async def peek(self, size: int) -> bytes:
        """The next `size` bytes, left in place."""
        while len(self._held) < size:
            await self._more()
        return self._held[:size]

    async def until(self, marker: bytes) -> bytes:
        """What precedes the next `marker`; the marker is passed."""
        while (place := self._held.find(marker)) < 0:
            if len(self._held) > _HEAD_LIMIT:
                raise RefusedError("peer-answer-broken")
            await self._more()
        found = self._held[:place]
        self._held = self._held[place + len(marker) :]
        return found

    async def pieces_until(self, delimiter: bytes) -> AsyncIterator[bytes]:
        """What precedes the closing delimiter, piece by piece; what follows it is dropped."""
        while (place := self._held.find(delimiter)) < 0:
            safe = len(self._held) - len(delimiter)
            if safe > 0:
                yield self._held[:safe]
                self._held = self._held[safe:]
            await self._more()
        yield self._held[:place]

    async def _more(self) -> None:
        try:
            self._held += await anext(self._source)
        except StopAsyncIteration as error:
            raise RefusedError("peer-answer-broken") from error
