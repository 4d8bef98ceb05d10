"""The staff service's journal: joins, transfers, leaves, and what was refused to whom."""

from collections.abc import Callable
from contextvars import ContextVar
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock

from rabta_audit import Journal, Record
from rabta_staff.notes import Note

CLIENT: ContextVar[str | None] = ContextVar("client", default=None)
"""Who asks: the name of a token."""
_STRANGERS_EVERY = timedelta(seconds=1)
"""Strangers are many: what they try is counted, and told once a second at most."""


class Audit:
    """The journal of one ministry's staff; only this process writes it.

    Args:
        directory: Of the journal.
        server_name: The ministry's.
        clock: Gives the time.
    """

    def __init__(self, directory: Path, server_name: str, clock: Callable[[], datetime]) -> None:
        self._journal = Journal(directory, "staff")
        self._server_name = server_name
        self._clock = clock
        self._lock = Lock()
        self._stranger_told: datetime | None = None

    def done(self, notes: list[Note]) -> None:
        """Write down what an operation does, on disk when this returns."""
        with self._lock:
            for note in notes:
                about = tuple(one for one in (note.person, note.post) if one is not None)
                self._journal.append(self._record(note.act, "noted", ref=note.order, events=about))
            self._journal.sync()

    def refused(self, action: str, *reasons: str) -> None:
        """Write down that a request was refused."""
        now = self._clock()
        with self._lock:
            if CLIENT.get() is None:
                last = self._stranger_told
                if last is not None and now < last + _STRANGERS_EVERY:
                    return
                self._stranger_told = now
            self._journal.append(self._record(action, "denied", reasons=reasons))
            self._journal.sync()

    def close(self) -> None:
        """Close the journal."""
        self._journal.close()

    def _record(
        self,
        action: str,
        verdict: str,
        *,
        ref: str | None = None,
        events: tuple[str, ...] = (),
        reasons: tuple[str, ...] = (),
    ) -> Record:
        return Record.model_validate(
            {
                "time": self._clock(),
                "serial": 0,
                "path": "staff",
                "action": action,
                "verdict": verdict,
                "origin": self._server_name,
                "actor": CLIENT.get(),
                "ref": ref,
                "events": events,
                "reasons": reasons,
            }
        )
