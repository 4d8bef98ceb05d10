"""Carries files to and from the media store: only ciphertext leaves, only what matches is kept.

Spec: "Sending encrypted attachments" (client-server API, end-to-end encryption) and the
authenticated media endpoints. The encryption is nio's; reading back streams through the same
AES-CTR of `cryptography`, because nio's own needs the whole file in memory.
"""

import asyncio
import contextlib
import hashlib
import hmac
import os
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import quote

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR
from nio.crypto.attachments import encrypted_attachment_generator
from unpaddedbase64 import decode_base64, encode_base64

from rabta_bots.matrix.errors import MatrixError
from rabta_bots.matrix.wire import Wire

CHUNK_BYTES = 1024 * 1024

_UPLOAD = "/_matrix/media/v3/upload"
_DOWNLOAD = "/_matrix/client/v1/media/download"
_MXC = re.compile(r"mxc://(?P<server>[A-Za-z0-9.:\[\]-]{1,255})/(?P<media_id>[A-Za-z0-9_-]{1,255})")
# Of the AES-256 key, the counter block and the SHA-256.
_LENGTHS = (32, 16, 32)


@dataclass(frozen=True, slots=True)
class EncryptedFile:
    """Where a file's ciphertext lies and how it is read: the spec's `EncryptedFile`, v2.

    Args:
        url: `mxc://` of the ciphertext.
        key: AES-256 key, 32 bytes.
        iv: Initial counter block, 16 bytes.
        sha256: Of the ciphertext, 32 bytes.
    """

    url: str
    key: bytes = field(repr=False)
    iv: bytes = field(repr=False)
    sha256: bytes

    @classmethod
    def from_content(cls, content: Any) -> "EncryptedFile":
        """Read the `file` of a message's content, as a stranger wrote it.

        Raises:
            MatrixError: permanent `attachment-malformed`.
        """
        try:
            encryption = (content["v"], content["key"]["alg"])
            made = cls(
                url=str(content["url"]),
                key=decode_base64(content["key"]["k"]),
                iv=decode_base64(content["iv"]),
                sha256=decode_base64(content["hashes"]["sha256"]),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise MatrixError("attachment-malformed", permanent=True) from error
        lengths = (len(made.key), len(made.iv), len(made.sha256))
        ours = encryption == ("v2", "A256CTR") and lengths == _LENGTHS
        if not ours or not _MXC.fullmatch(made.url):
            raise MatrixError("attachment-malformed", permanent=True)
        return made

    def content(self) -> dict[str, Any]:
        """The `file` of a message's content."""
        return {
            "url": self.url,
            "v": "v2",
            "key": {
                "kty": "oct",
                "alg": "A256CTR",
                "ext": True,
                "k": encode_base64(self.key, urlsafe=True),
                "key_ops": ["encrypt", "decrypt"],
            },
            "iv": encode_base64(self.iv),
            "hashes": {"sha256": encode_base64(self.sha256)},
        }


class Media:
    """The media store of one homeserver, for files of any size in little memory."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def upload(self, path: Path) -> EncryptedFile:
        """Encrypt a file on its way up; see `MatrixClient.upload`."""
        size = await asyncio.to_thread(lambda: path.stat().st_size)
        return await self._upload(_chunks(path), size)

    async def upload_bytes(self, text: bytes) -> EncryptedFile:
        """Encrypt what must not stand on a disk on its way up."""
        pieces = (text[at : at + CHUNK_BYTES] for at in range(0, len(text), CHUNK_BYTES))
        return await self._upload(pieces, len(text))

    async def _upload(self, pieces: Iterator[bytes], size: int) -> EncryptedFile:
        keys: dict[str, Any] = {}
        answer = await self._wire.send_stream(
            _UPLOAD, _ciphertext(pieces, keys), size=size, media_type="application/octet-stream"
        )
        url = answer.get("content_uri")
        if not isinstance(url, str) or not keys:
            raise MatrixError("homeserver-failed", "no content_uri", permanent=False)
        return EncryptedFile.from_content({**keys, "url": url})

    async def download(self, file: EncryptedFile, into: Path, max_bytes: int) -> int:
        """Fetch, check and decrypt a file; see `MatrixClient.download`."""
        decryptor = Cipher(AES256(file.key), CTR(file.iv)).decryptor()
        return await self._take(file, into, max_bytes, decryptor.update)

    async def fetch(self, file: EncryptedFile, into: Path, max_bytes: int) -> int:
        """Fetch and check a file, and leave it encrypted; see `MatrixClient.fetch`."""
        return await self._take(file, into, max_bytes, bytes)

    async def _take(
        self, file: EncryptedFile, into: Path, max_bytes: int, read: Callable[[bytes], bytes]
    ) -> int:
        place = _MXC.fullmatch(file.url)
        if place is None:
            raise MatrixError("attachment-malformed", permanent=True)
        server, media_id = (quote(part, safe="") for part in place.group("server", "media_id"))
        pieces = self._wire.take_stream(f"{_DOWNLOAD}/{server}/{media_id}", piece=CHUNK_BYTES)
        # Until its hash is known to be right nobody may take it for the file.
        half = into.with_name(f"{into.name}.part")
        try:
            async with contextlib.aclosing(pieces):
                size = await _write(file, pieces, half, max_bytes, read)
            await asyncio.to_thread(half.replace, into)
        finally:
            await asyncio.to_thread(half.unlink, missing_ok=True)
        return size


async def _ciphertext(plain: Iterator[bytes], keys: dict[str, Any]) -> AsyncGenerator[bytes]:
    """The ciphertext chunk by chunk; with the last one, `keys` has what reads it.

    The homeserver may answer as soon as it has that one.
    """
    made = encrypted_attachment_generator(plain)
    held: bytes | None = None
    while (piece := await asyncio.to_thread(next, made, None)) is not None:
        if isinstance(piece, Mapping):
            keys.update(piece)
            continue
        if held is not None:
            yield held
        held = cast("bytes", piece)
    if held is not None:
        yield held


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def _open_private(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


def decrypt(file: EncryptedFile, kept: Path, into: Path) -> str:
    """Decrypt a file that was fetched before; gives the SHA-256 of what it holds, in hex.

    Raises:
        MatrixError: permanent `attachment-changed`; nothing is written then.
    """
    sealed, clear = hashlib.sha256(), hashlib.sha256()
    decryptor = Cipher(AES256(file.key), CTR(file.iv)).decryptor()
    half = into.with_name(f"{into.name}.part")
    try:
        with _open_private(half) as plain:
            for piece in _chunks(kept):
                sealed.update(piece)
                opened = decryptor.update(piece)
                clear.update(opened)
                plain.write(opened)
        if not hmac.compare_digest(sealed.digest(), file.sha256):
            raise MatrixError("attachment-changed", "another ciphertext", permanent=True)
        half.replace(into)
    finally:
        half.unlink(missing_ok=True)
    return clear.hexdigest()


async def _write(
    file: EncryptedFile,
    pieces: AsyncIterator[bytes],
    half: Path,
    max_bytes: int,
    read: Callable[[bytes], bytes],
) -> int:
    digest = hashlib.sha256()
    size = 0
    with await asyncio.to_thread(_open_private, half) as plain:
        async for piece in pieces:
            size += len(piece)
            if size > max_bytes:
                raise MatrixError("attachment-too-large", f"over {max_bytes}", permanent=True)
            digest.update(piece)
            await asyncio.to_thread(plain.write, read(piece))
    if not hmac.compare_digest(digest.digest(), file.sha256):
        raise MatrixError("attachment-changed", "another ciphertext", permanent=True)
    return size
