"""A backup as a file: whole or refused, readable by its recipients alone."""

from pathlib import Path

import pyrage
import pytest

from rabta_deploy.site.backup import archive
from rabta_deploy.site.backup.archive import BackupError


@pytest.fixture
def key() -> str:
    return str(pyrage.x25519.Identity.generate())


def public(key: str) -> str:
    return str(pyrage.x25519.Identity.from_str(key).to_public())


@pytest.fixture
def members(tmp_path: Path) -> dict[str, Path]:
    source = tmp_path / "source"
    source.mkdir()
    (source / "dump").write_bytes(bytes(range(256)) * 1000)
    (source / "empty").write_bytes(b"")
    (source / "key").write_text("ed25519 a_1 words of a secret key")
    return {
        "databases/synapse": source / "dump",
        "state/empty": source / "empty",
        "secrets/signing.key": source / "key",
    }


@pytest.fixture
def backup(tmp_path: Path, members: dict[str, Path], key: str) -> Path:
    file = tmp_path / "backup.age"
    archive.write(file, members, {"at": "today"}, [public(key)], lambda _done, _of: None)
    return file


def reason(file: Path, key: str) -> str:
    with pytest.raises(BackupError) as caught:
        archive.read(file, [key], None)
    return caught.value.reason


def test_what_went_in_comes_out(
    backup: Path, members: dict[str, Path], key: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    manifest = archive.read(backup, [key], out)
    assert manifest["at"] == "today"
    assert {name: (out / name).read_bytes() for name in members} == {
        name: file.read_bytes() for name, file in members.items()
    }
    assert {file.stat().st_mode & 0o777 for file in out.rglob("*") if file.is_file()} == {0o600}


def test_nothing_of_it_is_in_clear(backup: Path) -> None:
    raw = backup.read_bytes()
    assert backup.stat().st_mode & 0o777 == 0o600
    assert not any(word in raw for word in (b"secret key", b"signing.key", b"manifest"))


def test_it_is_read_by_its_recipients_alone(backup: Path) -> None:
    assert reason(backup, str(pyrage.x25519.Identity.generate())) == "identity-refused"
    assert reason(backup, "no key at all") == "identity-refused"


@pytest.mark.parametrize("share", [0.001, 0.3, 0.6, 0.999])
def test_a_byte_that_was_changed_is_found(backup: Path, key: str, share: float) -> None:
    raw = bytearray(backup.read_bytes())
    raw[int(len(raw) * share)] ^= 1
    backup.write_bytes(raw)
    assert reason(backup, key) in {"backup-damaged", "identity-refused"}


@pytest.mark.parametrize("share", [0.0, 0.2, 0.7, 0.99])
def test_an_end_that_was_cut_off_is_found(backup: Path, key: str, share: float) -> None:
    raw = backup.read_bytes()
    backup.write_bytes(raw[: int(len(raw) * share)])
    assert reason(backup, key) == "backup-damaged"


def test_one_that_is_interrupted_leaves_the_last_good_one_and_nothing_else(
    backup: Path, members: dict[str, Path], key: str
) -> None:
    before = backup.read_bytes()

    def power_cut(done: int, _of: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        archive.write(backup, members, {}, [public(key)], power_cut)
    assert backup.read_bytes() == before
    assert [file.name for file in backup.parent.iterdir() if file.is_file()] == [backup.name]


def test_a_recipient_that_is_no_key_is_refused_before_anything_is_written(
    tmp_path: Path, members: dict[str, Path]
) -> None:
    with pytest.raises(BackupError) as caught:
        archive.write(tmp_path / "new.age", members, {}, ["age1nonsense"], lambda _d, _o: None)
    assert caught.value.reason == "recipient-refused"
    assert not (tmp_path / "new.age").exists()


def test_a_name_that_leads_out_of_the_directory_is_refused(
    tmp_path: Path, members: dict[str, Path], key: str
) -> None:
    file = tmp_path / "evil.age"
    evil = {"../evil": members["state/empty"]}
    archive.write(file, evil, {}, [public(key)], lambda _done, _of: None)
    assert reason(file, key) == "backup-damaged"
    assert not (tmp_path / "evil").exists()
