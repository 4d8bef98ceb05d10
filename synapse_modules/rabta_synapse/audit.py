"""The one seam through which the door writes its audit: a line per denial and per crossing grant.

It never sees content: it takes identifiers and codes. A line that cannot be kept is an error, and
the callback it belongs to is answered as closed.
"""

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

from rabta_audit import Journal, Record

logger = logging.getLogger("rabta.audit")

_LONGEST = 255


class AuditTrail(Protocol):
    """Where records go: a chained journal, the log alone, or a recorder in tests."""

    def append(self, record: Record) -> None:
        """Keep one record. Raises OSError when it cannot be kept."""

    def sync(self) -> None:
        """Make what was kept survive a power cut."""


class LogTrail:
    """Records to the log `rabta.audit` alone; for a trial without an audit directory."""

    def append(self, record: Record) -> None:
        """See `AuditTrail.append`."""
        logger.info("%s", record.model_dump_json(exclude_defaults=True))

    def sync(self) -> None:
        """See `AuditTrail.sync`; the log handler decides."""


class Audit:
    """Writes records with the time.

    Args:
        trail: `rabta_audit.Journal`, or another `AuditTrail`.
        clock: The time, with its zone.
    """

    def __init__(self, trail: AuditTrail | Journal, clock: Callable[[], datetime]) -> None:
        self._trail = trail
        self._clock = clock

    def note(self, *, path: str, action: str, verdict: str, serial: int, **fields: Any) -> None:
        """Keep one line; `fields` as in `rabta_audit.Record`, names cut at Matrix's longest."""
        said = {"path": path, "action": action, "verdict": verdict} | fields
        cut = {key: v[:_LONGEST] if isinstance(v, str) else v for key, v in said.items()}
        self._trail.append(Record.model_validate({"time": self._clock(), "serial": serial} | cut))

    def sync(self) -> None:
        """Make what was written survive a power cut; called on the timer."""
        self._trail.sync()
