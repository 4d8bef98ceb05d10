"""One backup as one file: a tar stream, encrypted with age, its manifest last.

The manifest holds the SHA-256 of every member, so an archive without one is no whole backup.
Nothing is ever written in clear outside the site's own disk.
"""

import hashlib
import io
import json
import os
import tarfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

import pyrage

from rabta_deploy.fault import YardError

MANIFEST = "manifest.json"
_CHUNK = 1024 * 1024


class BackupError(YardError):
    """A backup cannot be made, read or restored."""


class _Hashing(io.RawIOBase):
    """A file that is read once and hashed on the way."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self.sha256 = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._source.read(size)
        self.sha256.update(data)
        return data


def write(
    file: Path,
    members: Mapping[str, Path],
    facts: Mapping[str, Any],
    recipients: Sequence[str],
    report: Callable[[int, int], None],
) -> None:
    """Write an archive whole or not at all.

    Args:
        file: Where it goes; it appears under this name when it is complete.
        members: Name in the archive -> file; one that is gone meanwhile is left out.
        facts: What the manifest says beside the hashes.
        recipients: age public keys.
        report: Told how many members of how many are in.

    Raises:
        BackupError: `recipient-refused`, `backup-not-written`.
    """
    keys = [_recipient(key) for key in recipients]
    fresh = file.with_name(f".{file.name}.part")
    try:
        with fresh.open("xb") as sink:
            os.fchmod(sink.fileno(), 0o600)
            with _encrypting(sink, keys) as clear:
                _fill(clear, members, facts, report)
            sink.flush()
            os.fsync(sink.fileno())
        fresh.replace(file)
    except OSError as error:
        raise BackupError(
            "backup-not-written",
            f"{file.parent} did not take the backup: {error.strerror}.",
            "make room or mend the disk; the last good backup is as it was",
        ) from error
    finally:
        fresh.unlink(missing_ok=True)


def _fill(
    clear: IO[bytes],
    members: Mapping[str, Path],
    facts: Mapping[str, Any],
    report: Callable[[int, int], None],
) -> None:
    hashes: dict[str, str] = {}
    with tarfile.open(mode="w|", fileobj=clear, format=tarfile.PAX_FORMAT) as tar:
        for number, (name, path) in enumerate(members.items(), start=1):
            try:
                with path.open("rb") as source:
                    entry = tar.gettarinfo(arcname=name, fileobj=source)
                    entry.uid = entry.gid = 0
                    entry.uname = entry.gname = ""
                    hashing = _Hashing(source)
                    tar.addfile(entry, hashing)
                    hashes[name] = hashing.sha256.hexdigest()
            except FileNotFoundError:
                continue
            report(number, len(members))
        manifest = json.dumps({**facts, "sha256": hashes}, indent=1, sort_keys=True).encode()
        entry = tarfile.TarInfo(MANIFEST)
        entry.size, entry.mode = len(manifest), 0o600
        tar.addfile(entry, io.BytesIO(manifest))


@contextmanager
def _encrypting(sink: IO[bytes], keys: list[Any]) -> Iterator[IO[bytes]]:
    """A stream to write to in clear; what is written reaches `sink` encrypted."""
    read_end, write_end = os.pipe()
    failed: list[Exception] = []

    def encrypt() -> None:
        with os.fdopen(read_end, "rb") as source:
            try:
                pyrage.encrypt_io(source, sink, keys)
            except Exception as error:  # noqa: BLE001 - told to the writer below
                failed.append(error)

    thread = threading.Thread(target=encrypt, daemon=True)
    thread.start()
    try:
        with os.fdopen(write_end, "wb") as clear:
            yield clear
    finally:
        thread.join()
    if failed:
        raise OSError(0, str(failed[0]))


def read(file: Path, identities: Sequence[str], into: Path | None) -> dict[str, Any]:
    """Check an archive whole, and unpack it where a directory is given.

    Args:
        file: The archive.
        identities: age secret keys; one must fit.
        into: An empty directory, or None to check alone.

    Returns:
        The manifest.

    Raises:
        BackupError: `identity-refused`, `backup-damaged`.
    """
    keys = [_identity(key) for key in identities]
    found: dict[str, str] = {}
    manifest: dict[str, Any] | None = None
    try:
        with _decrypting(file, keys) as clear, tarfile.open(mode="r|", fileobj=clear) as tar:
            for entry in tar:
                source = tar.extractfile(entry)
                if source is None:
                    continue
                if entry.name == MANIFEST:
                    manifest = json.load(source)
                    continue
                found[entry.name] = _unpack(source, into, entry.name)
            # To the end: what follows the last member is sealed too.
            while clear.read(_CHUNK):
                pass
    except (tarfile.TarError, OSError, ValueError) as error:
        raise _damaged(file) from error
    if manifest is None or manifest["sha256"] != found:
        raise _damaged(file)
    return manifest


def _unpack(source: IO[bytes], into: Path | None, name: str) -> str:
    """Hash a member, and write it where it belongs, never elsewhere."""
    sha256 = hashlib.sha256()
    place = PurePosixPath(name)
    if place.is_absolute() or ".." in place.parts:
        raise ValueError(name)
    if into is None:
        for chunk in iter(lambda: source.read(_CHUNK), b""):
            sha256.update(chunk)
        return sha256.hexdigest()
    target = into / place
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as sink:
        for chunk in iter(lambda: source.read(_CHUNK), b""):
            sha256.update(chunk)
            sink.write(chunk)
    return sha256.hexdigest()


@contextmanager
def _decrypting(file: Path, keys: list[Any]) -> Iterator[IO[bytes]]:
    """The archive in clear, as a stream to read from."""
    read_end, write_end = os.pipe()
    refused: list[Exception] = []

    def decrypt() -> None:
        with os.fdopen(write_end, "wb") as sink:
            try:
                with file.open("rb") as source:
                    pyrage.decrypt_io(source, sink, keys)
            except Exception as error:  # noqa: BLE001 - told to the reader below
                refused.append(error)

    thread = threading.Thread(target=decrypt, daemon=True)
    thread.start()
    try:
        with os.fdopen(read_end, "rb") as clear:
            yield clear
    except Exception:
        thread.join()
        # Why the stream ended tells more than that it did.
        if refused and not isinstance(refused[0], BrokenPipeError):
            raise _refusal(file, refused[0]) from None
        raise
    thread.join()
    if refused:
        raise _refusal(file, refused[0])


def _refusal(file: Path, why: Exception) -> BackupError:
    if "No matching keys" not in str(why):
        return _damaged(file)
    return BackupError(
        "identity-refused",
        f"{file} was not encrypted for this key.",
        "give the secret key of one of the site's recipients",
    )


def _damaged(file: Path) -> BackupError:
    return BackupError(
        "backup-damaged",
        f"{file} is not whole: it was cut, changed, or is no backup.",
        "take an older one (`rabta backup list`)",
    )


def _recipient(key: str) -> Any:
    try:
        return pyrage.x25519.Recipient.from_str(key)
    except pyrage.RecipientError as error:
        raise BackupError(
            "recipient-refused",
            f"{key} is no age public key.",
            "make a pair with `rabta backup keygen` and name the public one",
        ) from error


def _identity(key: str) -> Any:
    try:
        return pyrage.x25519.Identity.from_str(key)
    except pyrage.IdentityError as error:
        raise BackupError(
            "identity-refused",
            "The key file holds no age secret key.",
            "give the file that `rabta backup keygen` wrote",
        ) from error
