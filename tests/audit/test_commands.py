"""`rabta audit` tells an auditor the truth and says so with its exit code."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from rabta_audit import Journal, Record, chains
from rabta_deploy.cli import main

RECORD = Record(
    time=datetime(2026, 11, 23, 12, tzinfo=UTC),
    serial=1,
    path="join",
    action="join",
    verdict="denied",
    reasons=("no-permit",),
)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    journal = Journal(tmp_path, "main")
    for _ in range(3):
        journal.append(RECORD)
    journal.close()
    return tmp_path


def rabta(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["audit", *map(str, arguments)])
    return result.exit_code, result.output


def test_a_whole_journal_verifies(journal: Path) -> None:
    code, output = rabta("verify", journal)
    assert (code, output.startswith("main: whole, 3 lines")) == (0, True)


def test_a_cut_end_is_found_by_the_head(journal: Path) -> None:
    (file,) = chains(journal)["main"]
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:2]))
    code, output = rabta("verify", journal)
    assert (code, "main: cut:" in output) == (1, True)


def test_a_head_kept_elsewhere_finds_a_journal_written_anew(journal: Path, tmp_path: Path) -> None:
    _, output = rabta("verify", journal)
    head = output.split()[-1]
    forged = tmp_path / "forged"
    anew = Journal(forged, "main")
    for _ in range(3):
        anew.append(RECORD.model_copy(update={"verdict": "noted"}))
    anew.close()
    assert rabta("verify", forged)[0] == 0
    assert rabta("verify", forged, "--head", f"main:3:{head}")[0] == 1


@pytest.mark.parametrize(("form", "start"), [("jsonl", '{"action"'), ("cef", "CEF:0|Rabta")])
def test_the_journal_is_exported_line_by_line(journal: Path, form: str, start: str) -> None:
    code, output = rabta("export", journal, "--format", form)
    assert code == 0
    assert [line.startswith(start) for line in output.splitlines()] == [True] * 3


def test_an_empty_folder_is_told_with_its_cure(tmp_path: Path) -> None:
    code, output = rabta("verify", tmp_path)
    assert (code, "audit_dir" in output) == (1, True)
