"""The policy a process follows: what it makes of a file that is missing, late, bad or too old."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from network_policy import Seal, document, server

from rabta_audit import Record
from rabta_policy import Authority, Policy
from rabta_synapse.audit import Audit
from rabta_synapse.source import PolicySource

PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
NOW = datetime(2026, 11, 23, tzinfo=UTC)


class Ledger:
    """The last serial seen, in memory; it can be away, as a database can."""

    def __init__(self) -> None:
        self.seen = (0, "")
        self.away = False

    async def last(self) -> tuple[int, str]:
        if self.away:
            raise ConnectionError("the database does not answer")
        return self.seen

    async def record(self, serial: int, digest: str) -> tuple[int, str]:
        if serial > self.seen[0]:
            self.seen = (serial, digest)
        return self.seen


class Trail:
    """Audit lines, in memory."""

    def __init__(self) -> None:
        self.lines: list[Record] = []

    def append(self, record: Record) -> None:
        self.lines.append(record)

    def sync(self) -> None: ...


async def at_once(work: Callable[[], Policy], /) -> Policy:
    """Where Synapse has a thread."""
    return work()


class Follower:
    """A source with its file, ledger and audit."""

    def __init__(self, directory: Path) -> None:
        self.seal = Seal(directory)
        self.ledger = Ledger()
        self.trail = Trail()
        self.source = PolicySource(
            self.seal.policy_file,
            Authority.parse(self.seal.authority_file.read_text()),
            ledger=self.ledger,
            audit=Audit(self.trail, lambda: NOW),
            in_thread=at_once,
        )

    def issue(self, serial: int, **options: Any) -> None:
        servers = {
            code: server(f"{code.lower()}.gov.test", {"ed25519:a": key}, PEM)
            for code, key in (("ITT", "A" * 43), ("FIN", "B" * 42 + "A"), ("LAW", "C" * 42 + "A"))
        }
        self.seal.issue(document(servers, serial=serial, now=NOW, **options))

    @property
    def serial(self) -> int | None:
        return self.source.policy.serial if self.source.policy else None

    @property
    def told(self) -> list[tuple[str, tuple[str, ...]]]:
        """Verdict and reasons of every audit line."""
        return [(line.verdict, line.reasons) for line in self.trail.lines]


@pytest.fixture
def follower(tmp_path: Path) -> Follower:
    return Follower(tmp_path)


async def test_a_policy_that_comes_late_is_in_force_from_then_on(follower: Follower) -> None:
    assert (await follower.source.refresh(), follower.serial) == (False, None)
    follower.issue(7)
    assert (await follower.source.refresh(), follower.serial) == (True, 7)


async def test_a_policy_that_goes_missing_stays_in_force(follower: Follower) -> None:
    follower.issue(7)
    await follower.source.refresh()
    follower.seal.policy_file.unlink()
    assert (await follower.source.refresh(), follower.serial) == (False, 7)
    follower.issue(8)
    assert (await follower.source.refresh(), follower.serial) == (True, 8)


async def test_a_corrupted_policy_is_refused_once_and_the_last_good_one_stands(
    follower: Follower,
) -> None:
    follower.issue(7)
    await follower.source.refresh()
    follower.issue(8)
    raw = follower.seal.policy_file.read_bytes()
    follower.seal.put(raw.replace(b'"ITT"', b'"ITS"', 1))
    for _ in range(3):
        assert (await follower.source.refresh(), follower.serial) == (False, 7)
    assert follower.told == [("noted", ()), ("denied", ("policy-signature-bad",))]
    follower.seal.put(raw)
    assert (await follower.source.refresh(), follower.serial) == (True, 8)


async def test_an_older_policy_is_refused_though_this_process_never_saw_the_newer(
    follower: Follower,
) -> None:
    follower.ledger.seen = (9, "another process saw it")
    follower.issue(8)
    assert (await follower.source.refresh(), follower.serial) == (False, None)
    assert follower.told == [("denied", ("policy-serial-too-low",))]


async def test_a_database_that_does_not_answer_leaves_the_last_good_one_and_is_asked_again(
    follower: Follower,
) -> None:
    follower.issue(7)
    await follower.source.refresh()
    follower.issue(8)
    follower.ledger.away = True
    for _ in range(2):
        with pytest.raises(ConnectionError):
            await follower.source.refresh()
        assert follower.serial == 7
    follower.ledger.away = False
    assert (await follower.source.refresh(), follower.serial) == (True, 8)


async def test_at_the_start_a_database_that_does_not_answer_opens_nothing(
    follower: Follower,
) -> None:
    follower.issue(7)
    follower.ledger.away = True
    with pytest.raises(ConnectionError):
        await follower.source.refresh()
    assert follower.serial is None
