"""A PostgreSQL cluster on this machine: made once, kept, reached on the loopback by password.

Debian's own programs are used, as user `postgres` when we are root, which PostgreSQL refuses to
run as. Each database belongs to a role of its own that can do nothing else.
"""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path
from urllib.parse import quote

from rabta_deploy.fault import YardError
from rabta_deploy.ports import require_free
from rabta_deploy.process import Child, spawn
from rabta_deploy.secretfile import keep_secret

_PROGRAMS = Path("/usr/lib/postgresql")
_SUPERUSER = "postgres"
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_READY_WITHIN_S = 60
_STOP_WITHIN_S = 20
# What a cluster that is thrown away need not wait for.
_HASTY = ("fsync", "synchronous_commit", "full_page_writes")


class PostgresError(YardError):
    """PostgreSQL is not installed, or did not do as it was told."""


class Postgres:
    """One cluster; a second start finds it as it was left.

    Args:
        directory: Holds its data, its socket and the passwords; every directory above must let
            user `postgres` pass when we are root.
        port: Loopback port.
        throw_away: Skip what makes a committed transaction survive a power cut.
    """

    def __init__(self, directory: Path, *, port: int, throw_away: bool = False) -> None:
        self.directory = directory.absolute()
        self.port = port
        self.child: Child | None = None
        self._throw_away = throw_away
        self._data = self.directory / "data"

    def start(self) -> None:
        """Make the cluster when there is none, and start it; returns at once.

        Raises:
            PostgresError: `postgres-missing`, `postgres-directory-closed` or `postgres-failed`.
            PortTakenError: Its port is taken.
        """
        if self.child is not None and self.child.running:
            return
        require_free({"PostgreSQL": self.port})
        tools = self.prepare()
        settings = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.directory),
            "max_connections": "200",
        }
        if self._throw_away:
            settings |= dict.fromkeys(_HASTY, "off")
        self.child = spawn(
            [
                # It becomes the program, so the pid is PostgreSQL's own. When its parent is gone
                # it is told to quit, which takes its children along; a kill would not.
                "setpriv",
                "--pdeathsig=QUIT",
                *as_postgres(),
                tools / "postgres",
                "-D",
                self._data,
                *(f"--{name}={value}" for name, value in settings.items()),
            ],
            name="PostgreSQL",
            log_file=self.directory / "postgres.log",
            directory=self.directory,
        )

    def prepare(self) -> Path:
        """Make the cluster when there is none; gives the directory of its programs.

        Raises:
            PostgresError: `postgres-missing`, `postgres-directory-closed` or `postgres-failed`.
        """
        tools = self._tools()
        if not (self._data / "PG_VERSION").exists():
            self._make(tools)
        return tools

    @property
    def answers(self) -> bool:
        """Whether it answers a query now."""
        return self._sql("SELECT 1").returncode == 0

    def wait_ready(self, *, within_s: float = _READY_WITHIN_S) -> None:
        """Wait until it answers a query.

        Raises:
            ProcessError: It ended, or is not ready in time.
            RuntimeError: It was never started.
        """
        if self.child is None:
            raise RuntimeError("PostgreSQL was not started")
        self.child.wait_ready(lambda: self.answers, within_s=within_s)

    def stop(self) -> None:
        """Stop it without waiting for its clients to leave; harmless when it does not run."""
        if self.child is not None and self.child.running:
            os.kill(self.child.pid, signal.SIGINT)  # "fast": SIGTERM would wait for clients
            self.child.wait(grace_s=_STOP_WITHIN_S)

    def database(self, name: str) -> str:
        """A database of that name and the role it belongs to; both are made when missing.

        Args:
            name: Lower-case letters, digits, `-` and `_`, at most 63 characters.

        Returns:
            `postgresql://role:password@127.0.0.1:port/name`; not for logs.

        Raises:
            ValueError: The name is none.
            PostgresError: `postgres-failed`.
        """
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name for a database")
        password = keep_secret(self.directory / f"{name}.secret")
        if not self._asked(f"SELECT 1 FROM pg_roles WHERE rolname = '{name}'"):  # noqa: S608 - matched above
            self._asked(f"CREATE ROLE \"{name}\" LOGIN PASSWORD '{password}'")
        if not self._asked(f"SELECT 1 FROM pg_database WHERE datname = '{name}'"):  # noqa: S608 - matched above
            self._asked(f'CREATE DATABASE "{name}" OWNER "{name}"')
        return f"postgresql://{name}:{quote(password, safe='')}@127.0.0.1:{self.port}/{name}"

    def _tools(self) -> Path:
        """The programs of the cluster's own release, or of the newest when there is no cluster."""
        made_by = self._data / "PG_VERSION"
        release = made_by.read_text().strip() if made_by.exists() else "*"
        found = sorted(_PROGRAMS.glob(f"{release}/bin/initdb"), key=_release)
        if not found:
            raise PostgresError(
                "postgres-missing",
                f"PostgreSQL {release if release != '*' else ''} is not installed.",
                "apt-get install postgresql",
            )
        return found[-1].parent

    def _make(self, tools: Path) -> None:
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        password_file = self.directory / "superuser.secret"
        keep_secret(password_file)
        if os.geteuid() == 0:
            closed = [path for path in self.directory.parents if not path.stat().st_mode & 0o001]
            if closed:
                raise PostgresError(
                    "postgres-directory-closed",
                    f"User {_SUPERUSER} cannot pass through {closed[-1]}.",
                    f"chmod o+x {closed[-1]}, or choose another directory",
                )
            for path in (self.directory, password_file):
                shutil.chown(path, _SUPERUSER, _SUPERUSER)
        made = subprocess.run(  # noqa: S603 - PostgreSQL's own program with our arguments
            [
                *(["setpriv", *as_postgres()] if as_postgres() else []),
                tools / "initdb",
                f"--pgdata={self._data}",
                f"--username={_SUPERUSER}",
                f"--pwfile={password_file}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",  # Synapse refuses a collation that may change with the C library
                *(["--no-sync"] if self._throw_away else []),
            ],
            check=False,
            capture_output=True,
            text=True,
            cwd=self.directory,
        )
        if made.returncode != 0:
            raise PostgresError(
                "postgres-failed",
                f"initdb failed: {made.stderr.strip().splitlines()[-1]}",
                f"remove {self._data} and try again",
            )

    def _asked(self, statement: str) -> str:
        answer = self._sql(statement)
        if answer.returncode != 0:
            # Not the statement: it may hold a password.
            raise PostgresError(
                "postgres-failed",
                f"PostgreSQL refused: {answer.stderr.strip()}",
                f"read {self.directory / 'postgres.log'}",
            )
        return answer.stdout

    def _sql(self, statement: str) -> "subprocess.CompletedProcess[str]":
        """Run one statement as superuser; it goes in by standard input, never as an argument."""
        password = (self.directory / "superuser.secret").read_text(encoding="utf-8")
        return subprocess.run(  # noqa: S603 - PostgreSQL's own program with our arguments
            [
                self._tools() / "psql",
                "--host=127.0.0.1",
                f"--port={self.port}",
                f"--username={_SUPERUSER}",
                "--quiet",
                "--tuples-only",
                "--no-align",
                "--no-psqlrc",
                "--set=ON_ERROR_STOP=1",
            ],
            check=False,
            capture_output=True,
            text=True,
            input=statement,
            env={"PGPASSWORD": password, "PGCONNECT_TIMEOUT": "5", "LC_ALL": "C"},
        )


def as_postgres() -> list[str]:
    """Arguments of setpriv that give up root; none when we are not root."""
    if os.geteuid() != 0:
        return []
    return [f"--reuid={_SUPERUSER}", f"--regid={_SUPERUSER}", "--clear-groups"]


def _release(program: Path) -> int:
    return int(program.parents[1].name)
