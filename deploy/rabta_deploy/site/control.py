"""Restarts and signals single parts of a site that runs, from another process than its runner.

What ends is started again: by the runner of `rabta site run`, or by systemd. So a restart is an
end in order, and a wait until the part answers again.
"""

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from rabta_deploy.fault import YardError
from rabta_deploy.process import until
from rabta_deploy.site.layout import SYSTEM, Layout
from rabta_deploy.site.ready import ready
from rabta_deploy.site.workload import Workload

_SLACK_S = 10
"""Beside a part's own time to start: the runner waits a second, a busy machine a little more."""


class Control(Protocol):
    """Who started the parts, and starts again what ends."""

    def restart(self, part: Workload) -> None:
        """End it in order and wait until it answers again.

        Raises:
            YardError: `part-not-ready`, `site-not-running`.
        """

    def signal(self, part: Workload, name: str) -> None:
        """Send `HUP` or another signal to its main process.

        Raises:
            YardError: `site-not-running`.
        """

    def renew(self, parts: Iterable[Workload]) -> None:
        """Start parts by these commands from their next restart on."""


class Runner:
    """The parts of `rabta site run`.

    Attributes:
        file: Where the runner notes process ids.
        commands: Where it is told new command lines.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self.file = layout.state / "running.json"
        self.commands = layout.state / "commands.json"

    def note(self, pids: Mapping[str, int]) -> None:
        """Called by the runner, whenever it has started or stopped a part."""
        if pids:
            _write(self.file, {"runner": os.getpid(), "parts": dict(pids)})
        else:
            for file in (self.file, self.commands):
                file.unlink(missing_ok=True)

    def renew(self, parts: Iterable[Workload]) -> None:
        """Tell the runner; it starts nothing by itself."""
        told = {one.name: [list(one.command), dict(one.environment)] for one in parts}
        _write(self.commands, told)

    def renewed(self, name: str) -> tuple[tuple[str, ...], Mapping[str, str]] | None:
        """Command and environment that an upgrade told of a part; None: as they were."""
        try:
            command, environment = json.loads(self.commands.read_bytes())[name]
        except (FileNotFoundError, KeyError):
            return None
        return tuple(command), environment

    def pid(self, name: str) -> int | None:
        """Of a part's process that runs now; None while it is away."""
        try:
            told = json.loads(self.file.read_bytes())
        except FileNotFoundError:
            told = {"runner": 0, "parts": {}}
        if not told["runner"] or not Path(f"/proc/{told['runner']}").exists():
            raise YardError(
                "site-not-running",
                f"No runner keeps the parts of {self._layout.state}.",
                "start it: rabta site run; or leave out --root on a machine with systemd",
            )
        found = told["parts"].get(name)
        # An id that another program got since is nobody to signal.
        return found if found and _parent(found) == told["runner"] else None

    def signal(self, part: Workload, name: str) -> None:
        """Send it; a part that is away reads everything anew when it comes."""
        pid = self.pid(part.name)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, getattr(signal, f"SIG{name}"))

    def restart(self, part: Workload) -> None:
        """End it, by force where it does not go in order, and wait for the next one."""
        before = self.pid(part.name)
        self.signal(part, part.stop)

        def gone() -> bool:
            return self.pid(part.name) != before

        if before is not None and not until(gone, within_s=part.stop_s + _SLACK_S, every_s=0.1):
            self.signal(part, "KILL")

        def back() -> bool:
            return self.pid(part.name) not in {None, before} and ready(part.probe.url)

        if not until(back, within_s=part.probe.within_s + _SLACK_S, every_s=0.1):
            raise not_ready(part, f"read {self._layout.state / 'log' / part.name}.log")


class Systemd:
    """The units that `rabta site render` writes; their start waits until the part answers."""

    def restart(self, part: Workload) -> None:
        """`systemctl restart`."""
        self._ask(part, "restart")

    def signal(self, part: Workload, name: str) -> None:
        """`systemctl kill`, the main process alone."""
        self._ask(part, "kill", f"--signal={name}", "--kill-whom=main")

    def renew(self, parts: Iterable[Workload]) -> None:  # noqa: ARG002 - the units name them
        """Read the units again; the operator has put them in place."""
        subprocess.run(["/usr/bin/systemctl", "daemon-reload"], check=True)

    def _ask(self, part: Workload, *verb: str) -> None:
        unit = f"rabta-{part.name}.service"
        try:
            done = subprocess.run(["/usr/bin/systemctl", *verb, unit], check=False)  # noqa: S603
        except FileNotFoundError as error:
            raise YardError(
                "site-not-running", "This machine has no systemd.", "give --root of the runner"
            ) from error
        if done.returncode != 0:
            raise not_ready(part, f"journalctl -u {unit}")


def control_of(layout: Layout) -> Control:
    """Systemd for the machine's own directories, the runner for a site below one directory."""
    return Systemd() if layout == SYSTEM else Runner(layout)


def not_ready(part: Workload, cure: str) -> YardError:
    """A part did not come back."""
    return YardError("part-not-ready", f"{part.name} does not answer after its restart.", cure)


def _parent(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0
    # A zombie is away: it waits for its runner to look.
    if "\nState:\tZ" in status:
        return 0
    return int(status.partition("\nPPid:")[2].split()[0])


def _write(file: Path, document: Mapping[str, Any]) -> None:
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps(document) + "\n", encoding="utf-8")
    fresh.replace(file)
