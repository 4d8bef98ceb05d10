"""Secrets live in files of mode 0600: made once, kept across restarts, never printed."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path

_RANDOM_BYTES = 32
_PASSWORD_BYTES = 15


def write_secret(path: Path, text: str) -> Path:
    """Write a secret whole or not at all, mode 0600 from its first byte on.

    Returns:
        The path.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    fresh.replace(path)
    return path


def replace_secret(path: Path, text: str, *, mode: int = 0o600) -> Path:
    """As `write_secret`, for one that is there: whoever owned the file owns the new one.

    Returns:
        The path.
    """
    before = path.stat() if path.exists() else None
    fresh = write_secret(path.with_name(f".{path.name}.next"), text)
    fresh.chmod(mode)
    if before is not None:
        os.chown(fresh, before.st_uid, before.st_gid)
    fresh.replace(path)
    return path


def random_text() -> str:
    """256 random bits as URL-safe text."""
    return secrets.token_urlsafe(_RANDOM_BYTES)


def password() -> str:
    """A password a person may have to type: 20 characters, 120 random bits."""
    return secrets.token_urlsafe(_PASSWORD_BYTES)


def keep_secret(path: Path, make: Callable[[], str] = random_text) -> str:
    """The secret in a file; made by `make` and written when the file does not exist."""
    if not path.exists():
        write_secret(path, make())
    return path.read_text(encoding="utf-8")
