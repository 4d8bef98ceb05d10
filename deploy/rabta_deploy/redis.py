"""Redis on this machine, between the processes of one homeserver: loopback, a password, no disk.

It carries what Synapse's processes tell each other and keeps nothing: after a restart they read
the database.
"""

import hashlib
import shutil
import socket
from pathlib import Path

from rabta_deploy.fault import YardError
from rabta_deploy.ports import require_free
from rabta_deploy.process import Child, spawn
from rabta_deploy.secretfile import keep_secret, write_secret

_READY_WITHIN_S = 30
_CONFIG = """\
bind 127.0.0.1
port {port}
dir "{directory}"
aclfile "{users}"
save ""
appendonly no
"""


class Redis:
    """One Redis.

    Args:
        directory: Holds its configuration and password.
        port: Loopback port.
    """

    def __init__(self, directory: Path, *, port: int) -> None:
        self.directory = directory.absolute()
        self.port = port
        self.password_file = self.directory / "redis.secret"
        self.child: Child | None = None

    def render(self) -> None:
        """Write its configuration; the password is made once, and Redis gets only its hash."""
        digest = hashlib.sha256(keep_secret(self.password_file).encode()).hexdigest()
        users = write_secret(
            self.directory / "users.acl", f"user default on #{digest} ~* &* +@all\n"
        )
        write_secret(
            self.directory / "redis.conf",
            _CONFIG.format(port=self.port, directory=self.directory, users=users),
        )

    def start(self) -> None:
        """Render and start; returns at once.

        Raises:
            PortTakenError: Its port is taken.
            YardError: `redis-missing`.
        """
        if self.child is not None and self.child.running:
            return
        if shutil.which("redis-server") is None:
            raise YardError(
                "redis-missing", "Redis is not installed.", "apt-get install redis-server"
            )
        require_free({"Redis": self.port})
        self.render()
        self.child = spawn(
            ["redis-server", self.directory / "redis.conf"],
            name="Redis",
            log_file=self.directory / "redis.log",
            directory=self.directory,
        )

    def wait_ready(self, *, within_s: float = _READY_WITHIN_S) -> None:
        """Wait until it answers to its password.

        Raises:
            ProcessError: It ended, or is not ready in time.
            RuntimeError: It was never started.
        """
        if self.child is None:
            raise RuntimeError("Redis was not started")
        self.child.wait_ready(self._answers, within_s=within_s)

    def stop(self) -> None:
        """Stop it; harmless when it does not run."""
        if self.child is not None:
            self.child.stop()

    def _answers(self) -> bool:
        password = self.password_file.read_text(encoding="utf-8")
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
                connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
                said = b""
                while b"PONG" not in said and (more := connection.recv(64)):
                    said += more
                    if said.startswith(b"-"):
                        return False
        except OSError:
            return False
        return said.startswith(b"+OK") and b"+PONG" in said
