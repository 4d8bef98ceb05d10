"""The runner of PostgreSQL, against a real one."""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest

from rabta_deploy.ports import free_port
from rabta_deploy.postgres import Postgres, PostgresError


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    # Below /tmp itself: user postgres must pass through every directory above.
    with TemporaryDirectory(prefix="rabta-postgres-") as name:
        path = Path(name)
        path.chmod(0o711)
        yield path


@pytest.fixture(scope="module")
def server(home: Path, missing_part: object) -> Iterator[Postgres]:
    made = Postgres(home / "cluster", port=free_port(), throw_away=True)
    try:
        made.start()
    except PostgresError as fault:
        assert callable(missing_part)
        missing_part(str(fault))
    made.wait_ready()
    yield made
    made.stop()


def test_a_database_belongs_to_a_role_that_is_no_superuser(server: Postgres) -> None:
    with psycopg.connect(server.database("ministry-itt")) as connection:
        row = connection.execute(
            "SELECT current_database(), current_user, usesuper, datcollate, datctype"
            " FROM pg_user, pg_database"
            " WHERE usename = current_user AND datname = current_database()"
        ).fetchone()
    assert row == ("ministry-itt", "ministry-itt", False, "C", "C")


def test_the_same_database_is_given_again(server: Postgres) -> None:
    assert server.database("twice") == server.database("twice")


def test_nobody_comes_in_without_the_password(server: Postgres) -> None:
    server.database("closed")
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(f"postgresql://closed@127.0.0.1:{server.port}/closed")
    with pytest.raises(psycopg.OperationalError, match="authentication failed"):
        psycopg.connect(f"postgresql://closed:guess@127.0.0.1:{server.port}/closed")


def test_its_passwords_are_for_its_own_user_only(server: Postgres) -> None:
    server.database("secret")
    modes = {path.stat().st_mode & 0o777 for path in server.directory.glob("*.secret")}
    assert modes == {0o600}


@pytest.mark.parametrize("name", ["", "Capital", 'quo"te', "semi;colon", "n" * 64, "1st"])
def test_what_is_no_name_is_refused(server: Postgres, name: str) -> None:
    with pytest.raises(ValueError, match="no name for a database"):
        server.database(name)


def test_what_was_written_is_there_after_a_restart(server: Postgres) -> None:
    url = server.database("kept")
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS value")
    server.stop()
    assert server.child is not None
    with pytest.raises(ProcessLookupError):
        os.kill(server.child.pid, 0)

    server.start()
    server.wait_ready()

    assert server.database("kept") == url
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT value FROM kept").fetchone() == (7,)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root must become user postgres")
def test_a_directory_that_user_postgres_cannot_reach_is_refused_in_words(home: Path) -> None:
    closed = home / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(PostgresError) as refused:
        Postgres(closed / "cluster", port=free_port()).start()
    assert refused.value.reason == "postgres-directory-closed"
    assert str(closed) in refused.value.cure
