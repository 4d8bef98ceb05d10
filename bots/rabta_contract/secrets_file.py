"""Secrets from files: signing secrets, several at once while they rotate, and bearer tokens.

A secret's file belongs to its process alone; one that others may read is refused.
"""

import base64
import binascii
import stat
from dataclasses import dataclass, field
from pathlib import Path

_PREFIX = "whsec_"
# Standard Webhooks 1.0.0, "Signature scheme": 24 to 64 bytes.
_SHORTEST, _LONGEST = 24, 64
_TOKEN_SHORTEST = 16
_FILE_LARGEST = 16_384


class SecretError(Exception):
    """A secret cannot be used. The text names file, fault and cure, never the secret."""


@dataclass(frozen=True, slots=True)
class SigningSecrets:
    """Live secrets of one direction, newest first: all sign, any verifies."""

    keys: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> "SigningSecrets":
        """Read `whsec_<base64>` secrets, one a line; blank lines and `#` lines are skipped.

        Raises:
            SecretError: No secret, or one that is not 24 to 64 bytes of base64.
        """
        lines = [line.strip() for line in text.splitlines()]
        spelt = [line for line in lines if line and not line.startswith("#")]
        if not spelt:
            raise SecretError("holds no secret; write one `whsec_<base64>` a line")
        return cls(tuple(_key(line, number) for number, line in enumerate(spelt, start=1)))


def load_signing_secrets(path: Path) -> SigningSecrets:
    """Read the signing secrets in `path`.

    Raises:
        SecretError: Missing, readable by others, or not secrets.
    """
    try:
        return SigningSecrets.parse(_private_text(path))
    except SecretError as error:
        raise SecretError(f"{path}: {error}") from None


def load_token(path: Path) -> str:
    """Read the one bearer token (or password) in `path`, without the space around it.

    Raises:
        SecretError: Missing, readable by others, shorter than 16 or not printable ASCII.
    """
    try:
        token = _private_text(path).strip()
    except SecretError as error:
        raise SecretError(f"{path}: {error}") from None
    if len(token) < _TOKEN_SHORTEST or not token.isascii() or not token.isprintable():
        raise SecretError(f"{path}: must hold {_TOKEN_SHORTEST} or more printable ASCII characters")
    return token


def _private_text(path: Path) -> str:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise SecretError("is not a regular file")
        if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise SecretError(
                f"is open to others (mode {stat.S_IMODE(status.st_mode):04o}); run chmod 600 on it"
            )
        if status.st_size > _FILE_LARGEST:
            raise SecretError("is too large for a secret")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise SecretError(f"cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise SecretError("is not UTF-8 text") from None


def _key(spelt: str, number: int) -> bytes:
    if not spelt.startswith(_PREFIX):
        raise SecretError(f"secret {number} does not begin with {_PREFIX}")
    try:
        key = base64.b64decode(spelt.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise SecretError(f"secret {number} is not base64") from None
    if not _SHORTEST <= len(key) <= _LONGEST:
        raise SecretError(f"secret {number} is not {_SHORTEST} to {_LONGEST} bytes long")
    return key
