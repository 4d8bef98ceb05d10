"""The fuzzer runs, reaches what it should, and would notice a fault."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mutation import mutate
from sqlalchemy import select
from target import Target

from rabta_bots.matrix import tables
from rabta_bots.matrix.grammar import mapping
from rabta_bots.matrix.machine import Machine

HERE = Path(__file__).parent
CORPUS = sorted((HERE / "corpus").iterdir())


@pytest.fixture
def target() -> Iterator[Target]:
    made = Target()
    yield made
    made.close()


def test_every_throw_of_the_corpus_is_survived_and_the_deepest_parts_are_reached(
    target: Target,
) -> None:
    for path in CORPUS:
        target.throw(path.read_bytes())
    assert target._client is not None
    ours, person, _ = target._client
    rows = ours.rows(tables.received)
    assert [row.event_id for row in rows if row.encrypted] != []  # by the key of room-key.json
    assert [row.session_id for row in ours.rows(tables.shareable_session)] == [
        person.group.session_id
    ]
    with ours.engine.begin() as connection:
        signed = connection.execute(select(tables.device.c.signed_by)).scalars().all()
    assert person.signer.public in signed  # by keys.json
    assert target._accepted == 3


def test_a_fault_in_what_takes_events_in_is_noticed(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    def careless(_machine: Any, raw: Any) -> None:
        assert mapping(raw)["content"]["algorithm"] == "m.olm.v1.curve25519-aes-sha2"

    monkeypatch.setattr(Machine, "receive", careless)
    sync = (HERE / "corpus/sync.json").read_bytes()

    def throw() -> None:
        for seed in range(200):
            target.throw(mutate(sync, 4096, seed))

    with pytest.raises((KeyError, TypeError, AssertionError)):
        throw()


def test_a_short_guided_run_finds_nothing(tmp_path: Path) -> None:
    """As `make fuzz`, bounded by throws and with a seed of its own."""
    done = subprocess.run(
        [
            *(sys.executable, str(HERE / "fuzz.py"), "-runs=600", "-seed=20261125"),
            *(f"-artifact_prefix={tmp_path}/", str(tmp_path), str(HERE / "corpus")),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Done 600 runs" in done.stderr
