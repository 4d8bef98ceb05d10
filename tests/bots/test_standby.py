"""One process at a time is the bridge of an account: real processes, real locks, a real SIGKILL."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from events import Telling
from ministry import SECRET, Hands, Ministry, secret_file
from sqlalchemy import URL, Engine, create_engine, make_url, select, text

from rabta_bots.store.audit import write_audit
from rabta_bots.store.fence import fence, raise_epoch
from rabta_bots.store.lease import LeaseLostError, lease_on
from rabta_bots.store.opening import open_store
from rabta_bots.store.tables import audit, leases
from rabta_bots.store.tables import events as inbox
from rabta_contract import SigningSecrets, event_bytes, sign
from rabta_deploy.homeserver import Homeserver
from rabta_deploy.ports import free_port
from rabta_deploy.process import until

BOT = "@rabta:itt.gov.test"
PASSWORD = "a password of the bot"
TAKES_OVER_S = 15


@pytest.fixture(scope="module")
def homeserver(homeserver_factory: Callable[..., Homeserver]) -> Homeserver:
    """A homeserver for both databases; each has an account of its own on it."""
    return homeserver_factory("itt.gov.test")


@dataclass
class Place:
    """One ministry's settings, from which several processes are started."""

    ministry: Ministry
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)
    logs: ExitStack = field(default_factory=ExitStack)

    def start(self, name: str, *further: str, **changes: Any) -> "Process":
        port = free_port()
        document = self.ministry.document(listen={"host": "127.0.0.1", "port": port}, **changes)
        config = self.ministry.home / f"{name}.yaml"
        config.write_text(yaml.safe_dump(document), encoding="utf-8")
        log = self.ministry.home / f"{name}.log"
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "rabta_deploy.cli", "bridge", "run"),
                *("--config", str(config), *further),
            ],
            stderr=self.logs.enter_context(log.open("wb")),
        )
        self.started.append(process)
        return Process(process, port, log)

    def matrix(self, homeserver: Homeserver) -> dict[str, Any]:
        user_id = homeserver.register(f"rabta-on-{self.url.get_backend_name()}", PASSWORD)
        account = {"homeserver_url": homeserver.client_url, "user_id": user_id}
        return self.ministry.document()["matrix"] | account

    @property
    def url(self) -> URL:
        url: URL = self.ministry.settings().database.full_url()
        return url

    def epoch(self) -> int:
        engine = create_engine(self.url)
        try:
            with engine.begin() as connection:
                return int(connection.execute(select(leases.c.epoch)).scalar() or 0)
        finally:
            engine.dispose()


@dataclass
class Process:
    """One `rabta bridge run`."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def ask(self, path: str, body: bytes | None = None) -> tuple[int, str]:
        """Status and body of an answer; 0 while nobody listens."""
        url = f"http://127.0.0.1:{self.port}{path}"
        try:
            with urllib.request.urlopen(url, body, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def stands_by(self) -> bool:
        status, told = self.ask("/health/ready")
        return status == 503 and '"standby": true' in told

    def leads(self) -> bool:
        return '"standby": false' in self.ask("/health/ready")[1]

    def ready(self) -> bool:
        return self.ask("/health/ready")[0] == 200

    def written(self) -> str:
        return self.log.read_text(encoding="utf-8")


@pytest.fixture
def place(any_ministry: Ministry) -> Iterator[Place]:
    """On SQLite and on PostgreSQL; every process is ended."""
    yield from _place(any_ministry)


@pytest.fixture
def postgres_place(tmp_path: Path, hands: Hands, postgres: Callable[[str], str]) -> Iterator[Place]:
    """On PostgreSQL."""
    url = postgres(f"bridge-{tmp_path.name}"[:60]).replace("postgresql://", "postgresql+psycopg://")
    yield from _place(Ministry(tmp_path, hands, database=url))


def _place(ministry: Ministry) -> Iterator[Place]:
    secret_file(ministry.home / "password", PASSWORD)
    made = Place(ministry)
    yield made
    for process in made.started:
        if process.poll() is None:
            process.kill()
        process.wait(timeout=10)
    made.logs.close()


def test_a_standby_takes_over_within_15_seconds_of_sigkill(
    place: Place, homeserver: Homeserver
) -> None:
    matrix = place.matrix(homeserver)
    first = place.start("first", matrix=matrix)
    assert until(first.ready, within_s=90), first.written()
    second = place.start("second", matrix=matrix)
    assert until(second.stands_by, within_s=60), second.written()

    # Both live: one alone leads, and what is brought to the other is not taken.
    assert second.ask("/health/live")[0] == 200
    assert "rabta_bridge_standby 1.0" in second.ask("/metrics")[1]
    assert second.ask("/eoffice/events", b"{}")[0] == 503
    assert first.ask("/eoffice/events", b"{}")[0] == 401
    assert first.ready()
    assert place.epoch() == 1

    first.process.kill()
    killed = time.monotonic()
    assert until(second.ready, within_s=TAKES_OVER_S), second.written()
    assert time.monotonic() - killed < TAKES_OVER_S
    assert place.epoch() == 2
    assert second.ask("/eoffice/events", b"{}")[0] == 401

    os.kill(second.process.pid, signal.SIGTERM)
    assert second.process.wait(timeout=30) == 0, second.written()


def test_a_process_that_may_not_wait_is_refused_in_words(place: Place) -> None:
    first = place.start("first")
    assert until(first.leads, within_s=60), first.written()
    second = place.start("second", "--standby", "refuse")
    assert second.process.wait(timeout=60) == 1
    assert f"another process is the bridge of {BOT}" in second.written()
    assert "Cure: stop that one" in second.written()
    third = place.start("third", standby="refuse")
    assert third.process.wait(timeout=60) == 1
    assert first.leads()
    assert place.epoch() == 1


def test_a_standby_that_is_told_to_stop_stops(place: Place) -> None:
    first = place.start("first")
    assert until(first.leads, within_s=60), first.written()
    second = place.start("second")
    assert until(second.stands_by, within_s=60), second.written()
    os.kill(second.process.pid, signal.SIGTERM)
    assert second.process.wait(timeout=30) == 0, second.written()
    assert place.epoch() == 1


def _signed_delivery(telling: Telling, port: int) -> bytes:
    """A whole HTTP request with an event that any leading bridge takes."""
    event = telling.charge("ITT-DS-ADMN", "p-2")
    body = event_bytes(event)
    now = datetime.now(UTC)  # noqa: TID251 - real processes live in real time
    headers = {
        **sign(event.id, body, SigningSecrets.parse(SECRET), now),
        "Host": f"127.0.0.1:{port}",
        "Content-Type": "application/cloudevents+json",
        "Content-Length": str(len(body)),
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST /eoffice/events HTTP/1.1\r\n{lines}\r\n".encode() + body


def test_a_delivery_of_that_kind_is_taken_by_the_process_that_leads(
    ministry: Ministry, telling: Telling
) -> None:
    for place in _place(ministry):
        first = place.start("first")
        assert until(first.leads, within_s=60), first.written()
        with socket.create_connection(("127.0.0.1", first.port), timeout=30) as waiting:
            waiting.sendall(_signed_delivery(telling, first.port))
            assert b" 202 " in waiting.makefile("rb").readline()


def test_a_frozen_process_whose_lock_was_freed_wakes_and_ends_without_a_word_written(
    postgres_place: Place, telling: Telling
) -> None:
    place = postgres_place
    first = place.start("first")
    assert until(first.leads, within_s=60), first.written()
    second = place.start("second")
    assert until(second.stands_by, within_s=60), second.written()

    os.kill(first.process.pid, signal.SIGSTOP)
    engine = create_engine(place.url)
    with engine.begin() as connection:
        freed = connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " JOIN pg_locks USING (pid) WHERE locktype = 'advisory' AND granted"
                " AND application_name = 'rabta-bridge-lease'"
            )
        ).all()
    assert len(freed) == 1
    # The first may be frozen in a transaction: PostgreSQL ends that within 10 s.
    assert until(second.leads, within_s=60), second.written()
    assert place.epoch() == 2
    with engine.begin() as connection:
        before = connection.execute(select(audit.c.row)).all()

    # A delivery waits at its door, so that it has something to write as soon as it wakes.
    waiting = socket.create_connection(("127.0.0.1", first.port), timeout=30)
    waiting.sendall(_signed_delivery(telling, first.port))
    os.kill(first.process.pid, signal.SIGCONT)
    assert first.process.wait(timeout=30) == 1, first.written()
    assert "this process is the bridge no longer" in first.written()
    # It took nothing: an answer, if there was one, says that it cannot.
    assert b" 202 " not in waiting.makefile("rb").readline()
    waiting.close()
    with engine.begin() as connection:
        assert connection.execute(select(audit.c.row)).all() == before
        assert connection.execute(select(inbox.c.event_id)).all() == []
    engine.dispose()
    assert second.leads()
    assert place.epoch() == 2


def test_a_process_that_lost_its_lock_ends_at_once(postgres_place: Place) -> None:
    first = postgres_place.start("first")
    assert until(first.leads, within_s=60), first.written()
    engine = create_engine(postgres_place.url)
    with engine.begin() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'rabta-bridge-lease'"
            )
        )
    engine.dispose()
    assert first.process.wait(timeout=10) == 1, first.written()


def test_a_lock_file_that_was_removed_ends_its_process(ministry: Ministry) -> None:
    for place in _place(ministry):
        first = place.start("first")
        assert until(first.leads, within_s=60), first.written()
        (ministry.home / "bridge.db.lock").unlink()
        assert first.process.wait(timeout=10) == 1, first.written()
        assert "was removed or replaced" in first.written()


def _opened(ministry: Ministry, hands: Hands) -> Engine:
    return open_store(ministry.settings().database.full_url(), hands)


def test_no_transaction_of_an_earlier_epoch_begins(any_ministry: Ministry, hands: Hands) -> None:
    old, new = _opened(any_ministry, hands), _opened(any_ministry, hands)
    refused: list[bool] = []
    first = raise_epoch(old, BOT)
    fence(old, BOT, first, lambda: refused.append(True))
    with old.begin() as connection:
        write_audit(connection, hands(), "written-by-the-first")
    second = raise_epoch(new, BOT)
    fence(new, BOT, second, lambda: refused.append(True))
    assert second == first + 1
    with pytest.raises(LeaseLostError, match="epoch 2"), old.begin() as connection:
        write_audit(connection, hands(), "written-too-late")
    assert refused == [True]
    with new.begin() as connection:
        found = connection.execute(select(audit.c.what)).scalars().all()
    assert found == ["written-by-the-first"]
    old.dispose()
    new.dispose()


def test_a_new_epoch_waits_for_the_transactions_of_the_one_before(
    tmp_path: Path, hands: Hands, postgres: Callable[[str], str]
) -> None:
    url = make_url(postgres(f"epoch-{tmp_path.name}"[:60])).set(drivername="postgresql+psycopg")
    old, new = open_store(url, hands), open_store(url, hands)
    fence(old, BOT, raise_epoch(old, BOT), lambda: None)
    with old.begin() as connection:
        write_audit(connection, hands(), "in-hand")
        with new.connect() as waiting:
            waiting.execute(text("SET lock_timeout = '300ms'"))
            with pytest.raises(Exception, match="lock timeout"):
                waiting.execute(select(leases.c.epoch).with_for_update())
    assert raise_epoch(new, BOT) == 2
    old.dispose()
    new.dispose()


def test_one_lease_at_a_time_is_held_and_each_account_has_its_own(any_ministry: Ministry) -> None:
    url = any_ministry.settings().database.full_url()
    first, second = lease_on(url, BOT), lease_on(url, BOT)
    assert first.take()
    assert not second.take()
    first.check()
    first.release()
    with pytest.raises(LeaseLostError):
        first.check()
    assert second.take()
    if url.get_backend_name() == "postgresql":
        other = lease_on(url, "@other:itt.gov.test")
        assert other.take()
        other.release()
    second.release()
