"""`rabta eoffice run` as a process: it serves, stops gracefully, and says what is wrong."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from rabta_eoffice import outbox
from rabta_eoffice.seed import load_seed
from rabta_eoffice.service import serving
from rabta_eoffice.settings import Settings, SettingsError
from rabta_eoffice.tables import reading

ROOT = Path(__file__).resolve().parents[2]
RABTA = [sys.executable, "-m", "rabta_deploy.cli", "eoffice", "run", "--config"]


@contextmanager
def running(config: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*RABTA, str(config)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


async def test_it_serves_until_it_is_told_to_stop_and_logs_no_content(
    desktop: Any, eventually: Any
) -> None:
    desktop.port = free_port()
    config = desktop.settings()

    def healthy() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{desktop.port}/health") as answer:
                return json.load(answer) == {"status": "ok", "events_waiting": 5}
        except OSError:
            return False

    with running(config) as process:
        await eventually(healthy, within_s=120, what="the health page")
        second = subprocess.run(  # noqa: ASYNC221 - nothing else runs in this loop
            [*RABTA, str(config)], capture_output=True, text=True, timeout=120, check=False
        )
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert [json.loads(line)["event"] for line in err.splitlines()] == ["serving", "stopping"]
    assert "Procurement" not in out + err
    assert second.returncode == 1
    assert "cannot be listened on (Address already in use)" in second.stderr
    assert "Traceback" not in second.stderr


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda home: (home / "eoffice.yaml").unlink(), "cannot be read"),
        (lambda home: (home / "eoffice.yaml").write_text("a: [", "utf-8"), "is not YAML"),
        (lambda home: (home / "feed.token").unlink(), "feed.token: cannot be read"),
        (lambda home: (home / "command.secret").chmod(0o644), "run chmod 600"),
        (lambda home: (home / "seed.yaml").unlink(), "seed.yaml: cannot be read"),
        (lambda home: (home / "p-1.password").chmod(0o640), "p-1.password: is open to others"),
        (lambda home: (home / "eoffice.db").mkdir(), "the database cannot be opened"),
    ],
)
def test_what_is_missing_is_said_in_words_with_a_code(desktop: Any, spoil: Any, words: str) -> None:
    config = desktop.settings()
    spoil(desktop.home)
    environment = {**os.environ, "COLUMNS": "200"}
    done = subprocess.run(
        [*RABTA, str(config)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment,
    )
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_all_faults_of_the_settings_are_told_at_once(desktop: Any) -> None:
    config = desktop.settings(org="itt", port=70_000, surprise=1, webhook_url="ftp://x")
    with pytest.raises(SettingsError) as caught:
        Settings.load(config)
    told = str(caught.value)
    assert [
        path for path in ("/org", "/port", "/surprise", "/webhook_url") if path not in told
    ] == []


def test_a_webhook_without_its_secret_is_refused(desktop: Any) -> None:
    with pytest.raises(SettingsError, match="go together"):
        Settings.load(desktop.settings(webhook_url="http://127.0.0.1:1/"))


def test_a_seed_that_names_what_it_does_not_declare_is_refused(tmp_path: Path) -> None:
    seed = tmp_path / "seed.yaml"
    charge = {"post_id": "A", "person_id": "b", "kind": "regular", "from": "2026-01-01T00:00:00Z"}
    seed.write_text(yaml.safe_dump({"charges": [charge]}))
    with pytest.raises(SettingsError, match="not declared: person b, post A"):
        load_seed(seed)


def test_the_examples_in_config_are_valid() -> None:
    settings = Settings.load(ROOT / "config" / "eoffice.example.yaml")
    assert settings.seed_file == ROOT / "config" / "eoffice-seed.example.yaml"
    assert load_seed(settings.seed_file).files[0].file_id == "ITT-2026-004512"


async def test_a_second_start_plants_nothing_again(desktop: Any, clock: Any) -> None:
    counts = []
    for _ in range(2):
        async with serving(Settings.load(desktop.settings()), clock) as office:
            with reading(office.desk.engine) as connection:
                counts.append(outbox.count_waiting(connection))
    assert counts == [5, 5]
