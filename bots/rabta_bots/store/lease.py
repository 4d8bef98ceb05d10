"""Holds an account for one process: by a lock that the machine gives back when the process dies."""

import fcntl
import os
from pathlib import Path
from typing import Protocol

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from rabta_bots.faults import Fault, SettingsError
from rabta_bots.store.engine import POSTGRES_OPTIONS

# Our end notices a host that vanished within 10 s too.
CONNECTION = {
    "application_name": "rabta-bridge-lease",
    "connect_timeout": 5,
    "keepalives_idle": 4,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "options": POSTGRES_OPTIONS,
}


class LeaseLostError(Exception):
    """The account is no longer ours: this process must write nothing more."""


class LeaseUnreachableError(Exception):
    """Whose the account is cannot be told now."""


class Lease(Protocol):
    """The hold on one account. Blocking: call it off the event loop, one call at a time."""

    def take(self) -> bool:
        """Try to take the account; False while another process holds it.

        Raises:
            LeaseUnreachableError: The lock cannot be asked for.
        """

    def check(self) -> None:
        """Make sure that it is still ours.

        Raises:
            LeaseLostError: It is not, or that cannot be known any more.
        """

    def release(self) -> None:
        """Give it back; harmless when it is not held."""


def lease_on(url: URL, account: str) -> Lease:
    """The lease of an account whose store is at `url`.

    Raises:
        SettingsError: The store is in memory alone.
    """
    if url.get_backend_name() == "postgresql":
        return PostgresLease(url, account)
    if not url.database or url.database == ":memory:":
        fault = Fault("database.url", "a store in memory is lost.", "write sqlite:///PATH")
        raise SettingsError([fault])
    return FileLease(Path(f"{url.database}.lock"))


class PostgresLease:
    """A session-level advisory lock on a connection of its own, never given back to a pool.

    PostgreSQL frees it as soon as it sees the connection end, which SIGKILL of our process brings
    about. A pooler between us and PostgreSQL must pool by session.

    Args:
        url: The store, with its password.
        account: Our Matrix user id, from which the key of the lock is derived.
    """

    def __init__(self, url: URL, account: str) -> None:
        self._engine: Engine = create_engine(
            url, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=CONNECTION
        )
        self._name = f"rabta bridge account|{account}"
        self._connection: Connection | None = None

    def take(self) -> bool:
        """Try the lock once; the connection is kept for the next try."""
        try:
            if self._connection is None:
                self._connection = self._engine.connect()
            query = text("SELECT pg_try_advisory_lock(hashtextextended(:name, 0))")
            return bool(self._connection.execute(query, {"name": self._name}).scalar_one())
        except SQLAlchemyError as error:
            self.release()
            raise LeaseUnreachableError(type(error).__name__) from error

    def check(self) -> None:
        """The lock lives as long as its connection: a question on it must be answered."""
        try:
            if self._connection is None:
                raise LeaseLostError("the lock's connection was given up")
            self._connection.execute(text("SELECT 1"))
        except SQLAlchemyError as error:
            raise LeaseLostError("the lock's connection broke") from error

    def release(self) -> None:
        """Give the lock back, then close the connection, which would free it a moment later."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.execute(text("SELECT pg_advisory_unlock_all()"))
                connection.close()
            except SQLAlchemyError:
                connection.invalidate()
        self._engine.dispose()


class FileLease:
    """A lock on a file beside the SQLite database; the kernel frees it when the process ends.

    Args:
        path: The lock file, which stays.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def take(self) -> bool:
        """Try the lock once."""
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            return False
        except OSError as error:
            self.release()
            raise LeaseUnreachableError(error.strerror or "") from error
        if self._is_the_one():
            return True
        # It was taken away between opening and locking: another may hold its successor.
        self.release()
        return False

    def check(self) -> None:
        """A lock on a file that was removed or replaced keeps nobody out."""
        if not self._is_the_one():
            raise LeaseLostError(f"{self._path} was removed or replaced")

    def release(self) -> None:
        """Close the file, and with it the lock."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def _is_the_one(self) -> bool:
        if self._file is None:
            return False
        try:
            return os.path.samestat(os.fstat(self._file), self._path.stat())
        except OSError:
            return False
