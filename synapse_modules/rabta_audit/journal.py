"""The journal: the chain of one process on disk, rotated, forced to disk, continued after a crash.

Files are `<process>-<first seq, twelve digits>.jsonl`, and `<process>.head` holds where the chain
stands. Nothing is ever deleted or rewritten here; retention is the operator's.
"""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

from rabta_audit.chain import Head, seal, unseal
from rabta_audit.record import Record

_FILE = re.compile(r"(?P<process>[A-Za-z0-9_.-]+)-(?P<first>[0-9]{12})\.jsonl")
ROTATE_BYTES = 64 * 1024 * 1024


class JournalError(Exception):
    """The journal cannot be continued; the message names the file and the cure."""


class Journal:
    """The audit of one process, open for appending.

    `append` hands the line to the operating system, so it outlives the process; `sync` forces
    everything appended to disk, so it outlives the machine. Callers sync on a timer.
    """

    def __init__(self, directory: Path, process: str, *, rotate_bytes: int = ROTATE_BYTES) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_.-]+", process):
            raise JournalError(
                f"{process!r} cannot name an audit chain: use letters, digits, - _ ."
            )
        self._directory = directory
        self._process = process
        self._rotate_bytes = rotate_bytes
        self._dirty = False
        directory.mkdir(parents=True, exist_ok=True, mode=0o750)
        files = chains(directory).get(process, [])
        self._file = files[-1] if files else directory / f"{process}-{1:012d}.jsonl"
        self.head = self._resume()
        self._fd = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)

    def append(self, record: Record) -> None:
        """Chain one record; raises OSError when the disk refuses."""
        line, head = seal(self.head, record)
        if os.fstat(self._fd).st_size + len(line) > self._rotate_bytes and self.head.seq:
            self._rotate(head.seq)
        written = os.write(self._fd, line)
        if written != len(line):
            os.ftruncate(self._fd, os.fstat(self._fd).st_size - written)
            raise OSError(f"{self._file}: only {written} of {len(line)} bytes could be written")
        self.head = head
        self._dirty = True

    def sync(self) -> None:
        """Force what was appended to disk and note the head; cheap when nothing was."""
        if not self._dirty:
            return
        os.fsync(self._fd)
        head = self._directory / f"{self._process}.head"
        new = head.with_suffix(".head.new")
        new.write_text(json.dumps({"seq": self.head.seq, "hash": self.head.hash}))
        new.replace(head)
        self._dirty = False

    def close(self) -> None:
        """Sync and close; the journal is not used again."""
        self.sync()
        os.close(self._fd)

    def _rotate(self, first: int) -> None:
        self.sync()
        os.close(self._fd)
        self._file = self._directory / f"{self._process}-{first:012d}.jsonl"
        self._fd = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o640)

    def _resume(self) -> Head:
        """The head of what is on disk; a line torn by a crash is set aside, not deleted."""
        if not self._file.exists():
            return Head()
        raw = self._file.read_bytes()
        whole = raw[: raw.rfind(b"\n") + 1]
        if len(whole) < len(raw):
            self._file.with_suffix(f".torn-{len(whole)}").write_bytes(raw[len(whole) :])
            os.truncate(self._file, len(whole))
        if not whole:
            first = _FILE.fullmatch(self._file.name)
            if first is None or int(first["first"]) == 1:
                return Head()
            previous = chains(self._directory)[self._process][-2]
            whole = previous.read_bytes()
        last = whole[whole.rfind(b"\n", 0, -1) + 1 :]
        try:
            return unseal(last)[1]
        except ValueError as exc:
            raise JournalError(
                f"{self._file}: the last line cannot be continued ({exc}). "
                "Run `rabta audit verify`, keep the folder as evidence and start in an empty one."
            ) from exc


def chains(directory: Path) -> dict[str, list[Path]]:
    """The chains in a folder: process name -> its files, oldest first."""
    found: dict[str, list[Path]] = {}
    for path in sorted(directory.iterdir()):
        if match := _FILE.fullmatch(path.name):
            found.setdefault(match["process"], []).append(path)
    return found


def read_lines(files: list[Path]) -> Iterator[bytes]:
    """Every line of a chain's files in order, newlines included."""
    for path in files:
        with path.open("rb") as stream:
            yield from stream


def read_head(directory: Path, process: str) -> Head | None:
    """The head kept beside a chain; None when there is none or it cannot be read."""
    try:
        kept = json.loads((directory / f"{process}.head").read_text())
        return Head(int(kept["seq"]), str(kept["hash"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
