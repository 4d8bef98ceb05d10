"""Children of the yard: readiness, ends, and nothing left behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from rabta_deploy.process import Child, ProcessError, spawn, stop_all, until

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up'); "


@pytest.fixture
def started() -> Iterator[list[Child]]:
    children: list[Child] = []
    yield children
    stop_all(children, grace_s=0)


def python(tmp_path: Path, started: list[Child], code: str) -> Child:
    child = spawn([sys.executable, "-c", code], name="part", log_file=tmp_path / "part.log")
    started.append(child)
    return child


def says(child: Child, word: str) -> bool:
    return word in child.log_tail()


def test_a_child_that_ends_early_is_told_with_the_last_lines_of_its_log(
    tmp_path: Path, started: list[Child]
) -> None:
    child = python(tmp_path, started, "raise SystemExit('no database')")

    with pytest.raises(ProcessError) as fault:
        child.wait_ready(lambda: False, within_s=20)

    assert fault.value.reason == "process-ended"
    assert "part ended with code 1" in str(fault.value)
    assert "no database" in str(fault.value)


def test_a_child_that_is_never_ready_is_stopped(tmp_path: Path, started: list[Child]) -> None:
    child = python(tmp_path, started, "import time; print('waiting'); time.sleep(60)")
    assert until(lambda: says(child, "waiting"), within_s=20)

    with pytest.raises(ProcessError) as fault:
        child.wait_ready(lambda: False, within_s=0.2)

    assert fault.value.reason == "process-not-ready"
    assert "waiting" in fault.value.log_tail
    assert not psutil.pid_exists(child.pid)


def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path, started: list[Child]) -> None:
    child = python(tmp_path, started, STUBBORN + "time.sleep(60)")
    assert until(lambda: says(child, "up"), within_s=20)

    child.stop(grace_s=0.2)

    assert child.exit_code == -signal.SIGKILL


def test_children_are_stopped_together(tmp_path: Path, started: list[Child]) -> None:
    children = [python(tmp_path, started, "import time; time.sleep(60)") for _ in range(3)]

    stop_all(children)

    assert [child.running for child in children] == [False] * 3


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProcessError) as fault:
        spawn(["/nowhere/node"], name="the page", log_file=tmp_path / "log")

    assert fault.value.reason == "program-missing"
    assert "/nowhere/node" in fault.value.text


def test_no_proxy_setting_reaches_a_child(
    tmp_path: Path, started: list[Child], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://way-out.test:3128")

    child = python(tmp_path, started, "import os; print(sorted(os.environ))")

    assert until(lambda: not child.running, within_s=20)
    assert "PATH" in child.log_tail()
    assert "proxy" not in child.log_tail()


def test_the_log_is_for_its_own_user_only(tmp_path: Path, started: list[Child]) -> None:
    child = python(tmp_path, started, "pass")

    assert child.log_file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_child_outlives_a_parent_that_is_ended(tmp_path: Path, end: signal.Signals) -> None:
    log = tmp_path / "part.log"
    parent_code = (
        "import sys, time; from pathlib import Path; from rabta_deploy.process import spawn\n"
        f"code = {STUBBORN + 'time.sleep(60)'!r}\n"
        f"child = spawn([sys.executable, '-c', code], name='part', log_file=Path({str(log)!r}))\n"
        "print(child.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", parent_code], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child_pid = int(parent.stdout.readline())
        assert until(lambda: log.exists() and "up" in log.read_text(), within_s=20)

        os.kill(parent.pid, end)
        parent.wait()

    assert until(lambda: not psutil.pid_exists(child_pid), within_s=10)
