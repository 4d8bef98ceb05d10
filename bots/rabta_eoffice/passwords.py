"""Passwords as salted scrypt hashes; the clear text is never kept."""

import base64
import hashlib
import hmac
import secrets

# Work factor of new hashes (RFC 7914: N, a power of two); each hash keeps its own.
COST = 2**14
_BLOCK, _LANES = 8, 1
_SALT_BYTES = 16


def hashed(password: str) -> str:
    """The text to keep: `scrypt$<cost>$<salt>$<hash>`, the last two in base64."""
    salt = secrets.token_bytes(_SALT_BYTES)
    return f"scrypt${COST}${_text(salt)}${_text(_scrypt(password, salt, COST))}"


def matches(password: str, kept: str | None) -> bool:
    """Whether the password is the one that was hashed; takes as long when nothing was kept."""
    kept = kept or _NOBODY
    _, cost, salt, wanted = kept.split("$")
    made = _scrypt(password, base64.b64decode(salt), int(cost))
    return hmac.compare_digest(made, base64.b64decode(wanted)) and kept is not _NOBODY


def _scrypt(password: str, salt: bytes, cost: int) -> bytes:
    return hashlib.scrypt(password.encode(errors="replace"), salt=salt, n=cost, r=_BLOCK, p=_LANES)


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


_NOBODY = hashed(secrets.token_hex())
