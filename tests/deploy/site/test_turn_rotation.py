"""The TURN secret's rotation; what restarts the homeserver is recorded."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime

from rabta_deploy.fault import YardError
from rabta_deploy.site.layout import Layout
from rabta_deploy.site.workload import Workload

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


class Recorder:
    """Restarts nothing; breaks off at the part that is named."""

    def __init__(self, breaks_at: str = "") -> None:
        self.restarted: list[str] = []
        self._breaks_at = breaks_at

    def restart(self, part: Workload) -> None:
        if part.name == self._breaks_at:
            raise YardError("part-not-ready", "It is away.", "wait")
        self.restarted.append(part.name)

    def signal(self, part: Workload, name: str) -> None:
        raise AssertionError((part.name, name))

    def renew(self, _parts: Iterable[Workload]) -> None:
        raise AssertionError


def known(layout: Layout) -> set[str]:
    with closing(sqlite3.connect(layout.secret("turn.db"))) as database:
        return {value for (value,) in database.execute("SELECT value FROM turn_secret")}
