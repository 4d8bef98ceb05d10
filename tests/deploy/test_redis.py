"""The runner of Redis, against a real one."""

import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rabta_deploy.ports import free_port
from rabta_deploy.redis import Redis


@pytest.fixture
def server(tmp_path: Path, missing_part: Callable[[str], None]) -> Iterator[Redis]:
    if shutil.which("redis-server") is None:
        missing_part("Redis is not installed (deploy/machine.sh tests)")
    made = Redis(tmp_path / "redis", port=free_port())
    made.start()
    made.wait_ready()
    yield made
    made.stop()


def said(server: Redis, *commands: str) -> str:
    """What Redis says to these commands on one connection, its last answer included."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall("".join(f"{command}\r\n" for command in (*commands, "QUIT")).encode())
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while more := connection.recv(4096):
            answer += more
    return answer.decode()


def test_nothing_is_done_for_whoever_does_not_know_the_password(server: Redis) -> None:
    assert said(server, "PING").startswith("-NOAUTH")
    assert said(server, "AUTH guess", "PING").startswith("-WRONGPASS")


def test_whoever_knows_the_password_is_served(server: Redis) -> None:
    password = server.password_file.read_text()
    assert said(server, f"AUTH {password}", "PING").startswith("+OK\r\n+PONG\r\n")


def test_the_password_stands_in_its_own_file_alone(server: Redis) -> None:
    password = server.password_file.read_text()
    holds = {path.name for path in server.directory.iterdir() if password in path.read_text()}
    assert holds == {"redis.secret"}
    modes = {path.stat().st_mode & 0o777 for path in server.directory.iterdir()}
    assert modes == {0o600}


def test_it_keeps_nothing_on_the_disk(server: Redis) -> None:
    password = server.password_file.read_text()
    assert "+OK" in said(server, f"AUTH {password}", "SET key value")
    server.stop()
    files = {path.name for path in server.directory.iterdir()}
    assert files == {"redis.conf", "redis.log", "redis.secret", "users.acl"}
