"""`rabta demo`, as a person starts it: plays the story, starts again, stops, refuses in words."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from rabta_deploy.jsonhttp import answers, request
from rabta_deploy.process import until

pytestmark = [pytest.mark.network, pytest.mark.timeout(600)]

WITHIN_S = 240
STORY = [
    "The section officer put a file up in e-Office",
    "One encrypted card came to the deputy secretary, with no warning",
    "The bridge asked to confirm, and the officer did",
    "e-Office holds the decision once",
    "The card shows the outcome",
    "Officers of two ministries write to each other, encrypted",
]


def command(state: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "rabta_deploy.cli", "demo", "--state", str(state), *options]


def run(state: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command(state, *options), capture_output=True, text=True, check=False, timeout=WITHIN_S
    )


def lines(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def processes_of(state: Path) -> list[psutil.Process]:
    """Whatever still runs with a file of this state on its command line."""
    running = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if any(word.startswith(f"{state}/") for word in words):
            running.append(process)
    return running


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One state for the module: the first start makes it, the others find it."""
    return tmp_path_factory.mktemp("demo") / "state"


@pytest.fixture(scope="module")
def first(state: Path) -> "subprocess.CompletedProcess[str]":
    return run(state, "--once", "--json")


@contextmanager
def staying_up(
    state: Path, *, stderr: int = subprocess.DEVNULL
) -> Iterator["subprocess.Popen[str]"]:
    """A demo that stays up; its first line of output is still unread."""
    with subprocess.Popen(
        command(state, "--json"), stdout=subprocess.PIPE, stderr=stderr, text=True
    ) as process:
        yield process
        if process.poll() is None:
            process.terminate()


def described(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """What the demo prints when all of it answers: the content of network.json."""
    assert process.stdout is not None
    description: dict[str, Any] = json.loads(process.stdout.readline())
    return description


def test_once_plays_every_step_of_the_story_and_leaves_nothing_running(
    first: "subprocess.CompletedProcess[str]", state: Path
) -> None:
    assert first.returncode == 0, first.stderr
    _, *story = lines(first.stdout)
    assert [step["seen"] for step in story] == STORY
    assert processes_of(state) == []


@dataclass(frozen=True)
class Standing:
    """A demo that was started from the state, and stays up for some tests."""

    pid: int
    told: dict[str, Any]
    took_s: float


@pytest.fixture(scope="class")
def standing(state: Path, first: "subprocess.CompletedProcess[str]") -> Iterator[Standing]:
    assert first.returncode == 0
    started = time.monotonic()
    with staying_up(state) as process:
        yield Standing(process.pid, described(process), time.monotonic() - started)


class TestStanding:
    def test_a_second_start_is_from_the_state_within_seconds(
        self, standing: Standing, first: "subprocess.CompletedProcess[str]"
    ) -> None:
        before = lines(first.stdout)[0]

        assert standing.took_s < 60  # about ten on an idle machine
        assert {**standing.told, "pids": {}} == {**before, "pids": {}}

    def test_network_json_says_what_the_reference_says(
        self, standing: Standing, state: Path
    ) -> None:
        told = standing.told

        assert json.loads((state / "network.json").read_text()) == told
        parts = {"homeservers", "accounts", "eoffice", "bridge", "web_client"}
        assert set(told) == {"ca_file", "policy_file", "pids"} | parts
        assert [server["server_name"] for server in told["homeservers"]] == [
            "itt.gov.test",
            "fin.gov.test",
        ]
        for server in told["homeservers"]:
            assert set(server) == {
                "server_name",
                "client_url",
                "federation_url",
                "admin_token_file",
            }
            token = Path(server["admin_token_file"]).read_text()
            users = request("GET", f"{server['client_url']}/_synapse/admin/v2/users", token=token)
            assert users.status == 200
        posts = {account["post_id"] for account in told["accounts"]}
        assert {"ITT-SO-ADMN2", "ITT-DS-ADMN", "FIN-SO-BUDG1"} <= posts
        for account in told["accounts"]:
            assert set(account) == {"user_id", "password_file", "post_id", "homeserver"}
            password = Path(account["password_file"])
            assert password.stat().st_mode & 0o777 == 0o600
            assert password.with_name("recovery-key").stat().st_mode & 0o777 == 0o600
        assert set(told["eoffice"]) == {"url"}
        assert set(told["bridge"]) == {"url", "webhook_secret_file", "user_id"}
        assert set(told["web_client"]) == {"url"}
        assert answers(told["web_client"]["url"])
        assert all(psutil.pid_exists(pid) for pid in told["pids"].values())

    def test_everything_listens_on_loopback_only(self, standing: Standing) -> None:
        pids = set(standing.told["pids"].values())

        listening = [
            connection.laddr[0]
            for pid in pids
            for connection in psutil.Process(pid).net_connections(kind="inet")
            if connection.status == psutil.CONN_LISTEN
        ]

        assert len(listening) >= len(pids)
        assert set(listening) == {"127.0.0.1"}

    def test_a_second_demo_on_the_same_state_is_refused_in_words(
        self, standing: Standing, state: Path
    ) -> None:
        refused = run(state)

        assert refused.returncode == 1
        assert "Another demo is running on" in " ".join(refused.stderr.split())
        assert psutil.pid_exists(standing.pid)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_running_when_it_is_ended(
    first: "subprocess.CompletedProcess[str]", state: Path, end: signal.Signals
) -> None:
    assert first.returncode == 0
    with staying_up(state) as up:
        pids = described(up)["pids"].values()

        os.kill(up.pid, end)
        code = up.wait(timeout=60)

    assert code == (-signal.SIGKILL if end is signal.SIGKILL else 0)
    assert until(lambda: not any(psutil.pid_exists(pid) for pid in pids), within_s=20)
    assert until(lambda: not processes_of(state), within_s=20)


def test_a_part_that_ends_by_itself_ends_the_demo_in_words(
    first: "subprocess.CompletedProcess[str]", state: Path
) -> None:
    assert first.returncode == 0
    with staying_up(state, stderr=subprocess.PIPE) as up:
        pids = described(up)["pids"]

        os.kill(pids["page"], signal.SIGKILL)
        _, errors = up.communicate(timeout=60)

    assert up.returncode == 1
    told = lines(errors)[-1]
    assert told["error"] == "process-ended"
    assert "page ended by itself" in told["text"]
    assert not any(psutil.pid_exists(pid) for pid in pids.values())


def test_a_taken_port_is_refused_in_words_and_nothing_is_left(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        refused = run(tmp_path / "state", "--json", "--port", f"eoffice={port}")

    assert refused.returncode == 1
    told = lines(refused.stderr)[-1]
    assert told["error"] == "port-taken"
    assert f"{port} (eoffice)" in told["text"]
    assert told["cure"]
    assert processes_of(tmp_path / "state") == []


@pytest.mark.parametrize(
    ("options", "reason"),
    [(["--port", "pages=8080"], "unknown-port-use"), (["--port", "page=90000"], "Invalid value")],
)
def test_a_port_that_makes_no_sense_is_refused_in_words(
    tmp_path: Path, options: list[str], reason: str
) -> None:
    refused = run(tmp_path / "state", *options)

    assert refused.returncode != 0
    assert reason in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_state_that_is_a_file_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")

    refused = run(tmp_path / "state")

    assert refused.returncode == 1
    assert "state-unusable" in refused.stderr
    assert "Traceback" not in refused.stderr
