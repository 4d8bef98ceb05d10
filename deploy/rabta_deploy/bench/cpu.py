"""CPU seconds of a process and all its threads, to the nanosecond.

The kernel's ticks of a hundredth of a second are as long as two messages; its scheduler counts
finer (proc(5), `/proc/pid/schedstat`).
"""

from collections.abc import Callable
from pathlib import Path

from rabta_deploy.process import until

_NANO = 1e-9
_QUIET_SHARE, _QUIET_WITHIN_S, _LOOK_EVERY_S = 0.02, 10, 0.1


def cpu_seconds(pid: int, work: Callable[[], None]) -> float:
    """The CPU seconds a process spends on some work, until it is quiet again.

    Args:
        pid: Of the process.
        work: Gives it the work, and returns when all of it is answered.

    Raises:
        FileNotFoundError: The process is not there, or this kernel does not count so finely.
    """
    before = _by_thread(pid)
    work()
    last = [_by_thread(pid)]

    def quiet() -> bool:
        # What is left to be done after the last answer belongs to it: pushes, caches, metrics.
        now = _by_thread(pid)
        idle = sum(now.values()) - sum(last[0].values()) < _QUIET_SHARE * _LOOK_EVERY_S / _NANO
        last[0] = now
        return idle

    until(quiet, within_s=_QUIET_WITHIN_S, every_s=_LOOK_EVERY_S)
    return sum(spent - before.get(task, 0) for task, spent in last[0].items()) * _NANO


def _by_thread(pid: int) -> dict[str, int]:
    return {
        task.name: int((task / "schedstat").read_text().split()[0])
        for task in Path(f"/proc/{pid}/task").iterdir()
    }
