"""The chained audit: a line per refusal and per grant that crosses organisations.

Holds who asked for what and which rule answered; never a query, a body, a header or a key.
A grant that cannot be written is not given.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal, Protocol

import structlog

from rabta_audit import Record
from rabta_gateway.crossing import Crossing
from rabta_gateway.rate import RateLimiter
from rabta_gateway.refusals import Refusal, RefusedError
from rabta_policy import Grant

_log = structlog.get_logger("rabta.gateway.audit")
_LONGEST = 255


class Journal(Protocol):
    """Where records go: `rabta_audit.Journal`, or nowhere."""

    def append(self, record: Record) -> None:
        """Keep one record. Raises OSError when it cannot be kept."""

    def sync(self) -> None:
        """Make what was kept survive a power cut."""

    def close(self) -> None:
        """Sync and close."""


class NoJournal:
    """Keeps nothing: the log lines on standard error are then the only audit."""

    def append(self, record: Record) -> None:
        """See `Journal.append`."""

    def sync(self) -> None:
        """See `Journal.sync`."""

    def close(self) -> None:
        """See `Journal.close`."""


class Trail:
    """Writes records of crossings.

    Args:
        journal: Where they go.
        clock: Gives the time, timezone-aware.
        strangers: Bounds the lines about callers that have not shown who they are, so that
            a flood of them does not fill the disk; metrics count every one.
    """

    def __init__(
        self, journal: Journal, *, clock: Callable[[], datetime], strangers: RateLimiter
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._strangers = strangers

    def granted(self, crossing: Crossing, grant: Grant, *, serial: int) -> None:
        """Write that the judge granted an action across organisations.

        Raises:
            RefusedError: `audit-unwritable`.
        """
        try:
            self._write(
                crossing, "allowed", serial=serial, rules=(grant.rule,), ref=grant.ref[:_LONGEST]
            )
        except OSError as error:
            raise RefusedError("audit-unwritable") from error

    def tells_of(self, crossing: Crossing) -> bool:
        """Whether a refusal is told at all; asked once for each."""
        return crossing.verified or self._strangers.admits("strangers")

    def denied(self, crossing: Crossing, refusal: Refusal, *, serial: int) -> None:
        """Write that a request was refused; what cannot be written is logged as an error."""
        rules = (refusal.rule,) if refusal.rule else ()
        try:
            self._write(crossing, "denied", serial=serial, rules=rules, reasons=(refusal.reason,))
        except OSError as error:
            _log.error("audit-unwritable", detail=str(error))

    def _write(
        self,
        crossing: Crossing,
        verdict: Literal["allowed", "denied"],
        *,
        serial: int,
        **further: Any,
    ) -> None:
        self._journal.append(
            Record(
                time=self._clock(),
                serial=serial,
                path=f"gateway-{crossing.direction}/{crossing.endpoint}",
                action=crossing.action,
                verdict=verdict,
                origin=crossing.origin[:_LONGEST] or None,
                destination=crossing.destination[:_LONGEST] or None,
                actor=crossing.parameters.get("user_id"),
                room=crossing.parameters.get("room_id"),
                **further,
            )
        )
