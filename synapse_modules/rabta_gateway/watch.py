"""Tells when files have changed: by time, size and inode, so that a rename is seen as well."""

from pathlib import Path

_Stamp = tuple[int, int, int]


class FileWatch:
    """Remembers how its files looked when it was last asked."""

    def __init__(self, *files: Path) -> None:
        self._files = files
        self._seen = self._look()

    def changed(self) -> bool:
        """Whether any file looks other than at the last question (or at the start)."""
        seen, self._seen = self._seen, self._look()
        return seen != self._seen

    def _look(self) -> tuple[_Stamp | None, ...]:
        return tuple(_stamp(file) for file in self._files)


def _stamp(file: Path) -> _Stamp | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
