"""Seals what the database must not show: AES-256-GCM under keys derived from the store key file."""

import os
import stat
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from unpaddedbase64 import decode_base64, encode_base64

from rabta_bots.matrix.errors import MatrixError

_KEY_BYTES = 32
_NONCE_BYTES = 12


def read_secret(path: Path) -> str:
    """Read a secret from a file that nobody but its owner may read.

    Raises:
        MatrixError: permanent `secret-file-missing`, `secret-file-open` or `secret-file-empty`.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read().decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise MatrixError("secret-file-missing", f"{path}: {error}", permanent=True) from error
    if mode & 0o077:
        raise MatrixError(
            "secret-file-open", f"{path} has mode {mode:04o}: chmod 600 it", permanent=True
        )
    if not text:
        raise MatrixError("secret-file-empty", str(path), permanent=True)
    return text


def write_secret(path: Path, text: str) -> None:
    """Write a new secret with mode 0600, on disk before this returns; never over an old one.

    Raises:
        MatrixError: permanent `secret-file-not-written`.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise MatrixError("secret-file-not-written", f"{path}: {error}", permanent=True) from error


class Seal:
    """Seals and opens values of the database, each bound to the place it belongs to.

    Args:
        key: The 32 bytes of the store key.
    """

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(_derive(key, b"rabta matrix store: values"))
        self.pickle_key = encode_base64(_derive(key, b"rabta matrix store: pickles"))
        """The passphrase nio hands to vodozemac for account and session pickles."""

    @classmethod
    def from_file(cls, path: Path) -> "Seal":
        """Read the store key.

        Raises:
            MatrixError: permanent, as `read_secret`, or `store-key-malformed`.
        """
        try:
            key = decode_base64(read_secret(path))
        except ValueError as error:
            raise MatrixError("store-key-malformed", str(path), permanent=True) from error
        if len(key) != _KEY_BYTES:
            raise MatrixError(
                "store-key-malformed", f"{path}: 32 bytes in base64 wanted", permanent=True
            )
        return cls(key)

    def seal(self, place: str, text: str) -> bytes:
        """Seal a text for one place, such as `received.content`."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, text.encode(), place.encode())

    def open(self, place: str, sealed: bytes) -> str:
        """Open what `seal` made for the same place.

        Raises:
            MatrixError: permanent `wrong-store-key`.
        """
        try:
            return self._aead.decrypt(
                sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], place.encode()
            ).decode()
        except InvalidTag as error:
            raise MatrixError("wrong-store-key", place, permanent=True) from error


def _derive(key: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=purpose).derive(key)
