"""Child processes of the yard: started with a log file, waited for, stopped by pid.

No child outlives its parent: Linux kills it when the thread that started it ends
(`prctl(2)`, PR_SET_PDEATHSIG), so spawn from the main thread.
"""

import ctypes
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from rabta_deploy.fault import YardError

_PR_SET_PDEATHSIG = 1
# Bound before any fork: between fork and exec a child may not take the loader's lock.
_prctl = ctypes.CDLL(None, use_errno=True).prctl
# What a child inherits. No proxy settings: a part of the network must not learn a way out.
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ")
_POLL_S = 0.05
_LOG_TAIL_LINES = 15


class ProcessError(YardError):
    """A child ended, or was not ready in time; `log_tail` holds its last lines."""

    def __init__(self, reason: str, text: str, cure: str, *, log_tail: str = "") -> None:
        super().__init__(reason, text, cure)
        self.log_tail = log_tail

    def __str__(self) -> str:
        tail = f"\n--- last lines of its log ---\n{self.log_tail}" if self.log_tail else ""
        return super().__str__() + tail


def until(condition: Callable[[], object], *, within_s: float, every_s: float = _POLL_S) -> bool:
    """Wait for a condition with a deadline.

    Args:
        condition: Asked again and again; its truth ends the wait.
        within_s: Deadline in seconds.
        every_s: Pause between two questions, in seconds.

    Returns:
        True as soon as the condition holds, False when the deadline has passed.
    """
    pause = threading.Event()
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() >= deadline:
            return False
        pause.wait(every_s)
    return True


class Child:
    """One running child process.

    Attributes:
        name: What messages call it.
        pid: Its process id; also its session and process group id.
        log_file: Where its standard output and error go.
    """

    def __init__(self, name: str, process: "subprocess.Popen[bytes]", log_file: Path) -> None:
        self.name = name
        self.pid = process.pid
        self.log_file = log_file
        self._process = process

    @property
    def running(self) -> bool:
        """Whether the process has not ended yet."""
        return self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Its exit code (negative: the signal that ended it), or None while it runs."""
        return self._process.poll()

    def log_tail(self, lines: int = _LOG_TAIL_LINES) -> str:
        """The last lines of its log."""
        text = self.log_file.read_text(errors="replace") if self.log_file.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def wait_ready(self, probe: Callable[[], bool], *, within_s: float) -> None:
        """Wait until `probe` says the child answers.

        Raises:
            ProcessError: `process-ended` if it ended first, `process-not-ready` at the deadline.
        """
        until(lambda: not self.running or probe(), within_s=within_s)
        if not self.running:
            raise ProcessError(
                "process-ended",
                f"{self.name} ended with code {self.exit_code} before it was ready.",
                f"read {self.log_file}",
                log_tail=self.log_tail(),
            )
        if not probe():
            tail = self.log_tail()
            self.stop()
            raise ProcessError(
                "process-not-ready",
                f"{self.name} did not answer within {within_s:.0f} s.",
                f"read {self.log_file}; on a busy machine, try again",
                log_tail=tail,
            )

    def stop(self, *, grace_s: float = 10) -> None:
        """End it: SIGTERM, and SIGKILL when it is still there after `grace_s` seconds."""
        self.terminate()
        self.wait(grace_s=grace_s)

    def terminate(self) -> None:
        """Send SIGTERM and return at once."""
        if self.running:
            self._process.terminate()

    def kill(self) -> None:
        """Send SIGKILL and wait until it is gone."""
        if self.running:
            self._process.kill()
        self._process.wait()

    def wait(self, *, grace_s: float) -> None:
        """Wait `grace_s` seconds for its end, then kill it."""
        try:
            self._process.wait(timeout=grace_s)
        except subprocess.TimeoutExpired:
            self.kill()


def spawn(
    command: Sequence[str | Path],
    *,
    name: str,
    log_file: Path,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
    stdin: int = subprocess.DEVNULL,
) -> Child:
    """Start a child in a session of its own, its output appended to `log_file`.

    Its own session keeps the terminal's Ctrl-C away from it: the parent stops it in order.

    Args:
        command: Program and arguments.
        name: What messages call it.
        log_file: Made with mode 0600 when it does not exist.
        environment: Added to the few inherited variables.
        directory: Working directory.
        stdin: As in `subprocess.Popen`; nothing to read by default.

    Raises:
        ProcessError: `program-missing` when the program cannot be started.
    """
    log_file.parent.mkdir(parents=True, exist_ok=True)
    env = {key: os.environ[key] for key in _INHERITED if key in os.environ}
    env |= {"PYTHONUNBUFFERED": "1", **(environment or {})}
    parent = os.getpid()

    def die_with_parent() -> None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it was gone before the line above
            os._exit(1)

    descriptor = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        process = subprocess.Popen(  # noqa: S603 - our own programs with our own arguments
            [str(part) for part in command],
            stdin=stdin,
            stdout=descriptor,
            stderr=descriptor,
            env=env,
            cwd=directory,
            start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - only prctl and getppid run there
        )
    except FileNotFoundError as error:
        raise ProcessError(
            "program-missing",
            f"{name} needs the program {command[0]}, which is not there.",
            "install it, or run `make venv` again",
        ) from error
    finally:
        os.close(descriptor)
    return Child(name, process, log_file)


def stop_all(children: Iterable[Child], *, grace_s: float = 10) -> None:
    """Stop children together: SIGTERM to all, then wait, SIGKILL for the stubborn."""
    stopping = list(children)
    for child in stopping:
        child.terminate()
    deadline = time.monotonic() + grace_s
    for child in stopping:
        child.wait(grace_s=max(0.0, deadline - time.monotonic()))
