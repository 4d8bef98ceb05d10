"""The journal continues one chain over restarts, crashes and rotations, and deletes nothing."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from rabta_audit import Journal, JournalError, Record, chains, read_lines, verify
from rabta_audit.journal import read_head

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
RECORD = Record(time=NOON, serial=1, path="join", action="join", verdict="denied")


def whole(directory: Path, process: str = "main") -> int:
    """Verify the chain of `process` and answer how many lines it has."""
    lines = list(read_lines(chains(directory)[process]))
    head, broken = verify(lines, read_head(directory, process))
    assert broken == []
    assert head.seq == len(lines)
    return len(lines)


def test_the_chain_goes_on_after_a_restart(tmp_path: Path) -> None:
    for _ in range(3):
        journal = Journal(tmp_path, "main")
        journal.append(RECORD)
        journal.close()
    assert whole(tmp_path) == 3


def test_a_process_killed_before_it_synced_keeps_a_whole_chain(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "main")
    journal.append(RECORD)
    journal.sync()
    journal.append(RECORD)  # appended, never synced: as after SIGKILL
    assert whole(tmp_path) == 2


def test_a_torn_last_line_is_set_aside_and_the_chain_goes_on(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "main")
    journal.append(RECORD)
    journal.close()
    (file,) = chains(tmp_path)["main"]
    with file.open("ab") as stream:
        stream.write(b'{"action":"jo')
    journal = Journal(tmp_path, "main")
    journal.append(RECORD)
    journal.close()
    assert whole(tmp_path) == 2
    assert [torn.read_bytes() for torn in tmp_path.glob("*.torn-*")] == [b'{"action":"jo']


def test_files_are_rotated_and_remain_one_chain(tmp_path: Path) -> None:
    for _ in range(2):
        journal = Journal(tmp_path, "main", rotate_bytes=600)
        for _ in range(5):
            journal.append(RECORD)
        journal.close()
    assert len(chains(tmp_path)["main"]) > 2
    assert whole(tmp_path) == 10


def test_each_process_has_a_chain_of_its_own(tmp_path: Path) -> None:
    for process in ("main", "worker-1"):
        journal = Journal(tmp_path, process)
        journal.append(RECORD)
        journal.close()
    assert sorted(chains(tmp_path)) == ["main", "worker-1"]


def test_a_tampered_end_is_not_continued(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "main")
    journal.append(RECORD)
    journal.close()
    (file,) = chains(tmp_path)["main"]
    file.write_bytes(file.read_bytes().replace(b"denied", b"noted"))
    with pytest.raises(JournalError, match="rabta audit verify"):
        Journal(tmp_path, "main")
