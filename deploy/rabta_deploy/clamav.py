"""ClamAV's daemon on this machine for tests and the demo: offline, with the signatures it is given.

A ministry's own clamd is kept up to date by freshclam; the bridge only needs its address.
"""

import shutil
import socket
from collections.abc import Mapping
from pathlib import Path

from rabta_deploy.fault import YardError
from rabta_deploy.process import Child, spawn
from rabta_deploy.secretfile import write_secret

_READY_WITHIN_S = 60

EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
"""The industry's harmless test file; split, so that no scanner takes this file for one."""
_CONFIG = """\
LocalSocket {socket}
DatabaseDirectory {signatures}
Foreground yes
StreamMaxLength {largest}
"""
# Linux takes no longer path for a socket.
_LONGEST_SOCKET = 107


class Clamav:
    """One clamd.

    Args:
        directory: Holds its configuration, signatures and socket.
        signatures: Name to the bytes that an infected file holds.
        largest: Bytes; it refuses to scan a larger file.
    """

    def __init__(
        self, directory: Path, signatures: Mapping[str, bytes], *, largest: int = 50_000_000
    ) -> None:
        self.directory = directory.absolute()
        self.socket = self.directory / "clamd.sock"
        self._signatures = dict(signatures)
        self._largest = largest
        self.child: Child | None = None

    @property
    def address(self) -> str:
        """What `documents.scanner` names."""
        return f"unix://{self.socket}"

    @property
    def usable(self) -> bool:
        """Whether it is installed, and its socket's path short enough."""
        return shutil.which("clamd") is not None and len(str(self.socket)) <= _LONGEST_SOCKET

    def start(self) -> None:
        """Write its configuration and start; returns at once.

        Raises:
            YardError: `clamav-missing`, or `path-too-long` for its socket.
        """
        if shutil.which("clamd") is None:
            raise YardError(
                "clamav-missing", "ClamAV is not installed.", "apt-get install clamav-daemon"
            )
        if len(str(self.socket)) > _LONGEST_SOCKET:
            raise YardError("path-too-long", f"{self.socket} is too long.", "use a shorter folder")
        folder = self.directory / "signatures"
        folder.mkdir(parents=True, exist_ok=True)
        # Extended signatures (.ndb): name, any file type, anywhere, hexadecimal bytes.
        lines = (f"{name}:0:*:{body.hex()}\n" for name, body in self._signatures.items())
        write_secret(folder / "local.ndb", "".join(lines))
        write_secret(
            self.directory / "clamd.conf",
            _CONFIG.format(socket=self.socket, signatures=folder, largest=self._largest),
        )
        self.child = spawn(
            ["clamd", "--config-file", self.directory / "clamd.conf"],
            name="ClamAV",
            log_file=self.directory / "clamd.log",
            directory=self.directory,
        )

    def wait_ready(self, *, within_s: float = _READY_WITHIN_S) -> None:
        """Wait until it answers.

        Raises:
            ProcessError: It ended, or is not ready in time.
            RuntimeError: It was never started.
        """
        if self.child is None:
            raise RuntimeError("ClamAV was not started")
        self.child.wait_ready(self._answers, within_s=within_s)

    def stop(self) -> None:
        """Stop it; harmless when it does not run."""
        if self.child is not None:
            self.child.stop()
            self.socket.unlink(missing_ok=True)

    def _answers(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(2)
                connection.connect(str(self.socket))
                connection.sendall(b"zPING\0")
                return connection.recv(16) == b"PONG\0"
        except OSError:
            return False
