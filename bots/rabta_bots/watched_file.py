"""Tells whether a file on disk was replaced since it was last read."""

from pathlib import Path

Stamp = tuple[int, int, int]


class WatchedFile:
    """A file that its writer replaces as a whole; inode, size and time tell that it did."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: Stamp | None = None

    def read_if_changed(self) -> bytes | None:
        """The new content, or None when it is the content that was read last.

        A file that changes while it is read is read once more at the next call, because the
        stamp is taken first.

        Raises:
            OSError: The file cannot be read; the next call tries again.
        """
        status = self.path.stat()
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        if stamp == self._seen:
            return None
        content = self.path.read_bytes()
        self._seen = stamp
        return content
