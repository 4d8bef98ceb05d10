"""Passwords as salted scrypt hashes; the clear text is never kept."""

import base64
import hashlib
import hmac
import secrets

_N, _R, _P = 2**14, 8, 1
_SALT_BYTES = 16


def hashed(password: str) -> str:
    """The text to keep: `scrypt$<salt>$<hash>`, both in base64."""
    salt = secrets.token_bytes(_SALT_BYTES)
    return f"scrypt${_text(salt)}${_text(_scrypt(password, salt))}"


def matches(password: str, kept: str | None) -> bool:
    """Whether the password is the one that was hashed; takes as long when nothing was kept."""
    kept = kept or _NOBODY
    _, salt, wanted = kept.split("$")
    made = _scrypt(password, base64.b64decode(salt))
    return hmac.compare_digest(made, base64.b64decode(wanted)) and kept is not _NOBODY


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=_N, r=_R, p=_P)


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


_NOBODY = hashed(secrets.token_hex())
