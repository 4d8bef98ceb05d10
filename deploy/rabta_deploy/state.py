"""The directory a network lives in between two starts: locked while it runs, ports remembered."""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rabta_deploy.fault import YardError
from rabta_deploy.ports import free_port


class StateError(YardError):
    """The state directory cannot be used."""


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Make the directory (mode 0700) and hold it alone, as long as the context lasts.

    Raises:
        StateError: `state-unusable` or `state-in-use`.
    """
    cure = "give another directory with --state"
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StateError(
            "state-unusable", f"{directory} cannot hold the state: {error.strerror}.", cure
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise StateError(
            "state-in-use",
            f"Another demo is running on {directory}.",
            f"stop it with Ctrl-C, or {cure}",
        ) from error
    try:
        yield
    finally:
        os.close(descriptor)


def remembered_ports(
    file: Path, uses: Sequence[str], *, given: Mapping[str, int] | None = None
) -> dict[str, int]:
    """A port for every use: the given one, else the one of last time, else a free one.

    Args:
        file: Where they are remembered, as a JSON object.
        uses: What each port is for, for example `itt.gov.test client`.
        given: Use -> port; wins over the file.

    Raises:
        StateError: `state-unreadable` when the file is not ours; `unknown-port-use`.
    """
    known = _read(file)
    if strange := sorted(set(given or {}) - set(uses)):
        raise StateError(
            "unknown-port-use",
            f"No part of the network listens for: {', '.join(strange)}.",
            f"use one of: {', '.join(uses)}",
        )
    chosen = {use: port for use, port in known.items() if use in uses} | dict(given or {})
    for use in uses:
        if use not in chosen:
            chosen[use] = free_port(taken=chosen.values())
    if chosen != known:
        file.write_text(json.dumps(chosen, indent=2) + "\n", encoding="utf-8")
    return chosen


def _read(file: Path) -> dict[str, int]:
    if not file.exists():
        return {}
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
        return {str(use): int(port) for use, port in known.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise StateError(
            "state-unreadable",
            f"{file} is not a list of ports.",
            "remove it; new ports are chosen",
        ) from error
