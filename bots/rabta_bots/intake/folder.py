"""Reads deliveries that were dropped into a folder as files; an `EventSource`.

For an e-Office that no network reaches.

A file is a delivery's HTTP request (`rabta_contract.envelope`), signed as the webhook is. Its
writer renames it into `incoming` when it is whole; names that begin with a dot or end in `.part`
are looked over until then. What is stored moves to `processed`; what is refused moves to
`refused`, with a `.reason` file beside it. A repeat after a crash is known by its ids.
"""

import asyncio
import json
import os
import stat
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import structlog
from aiohttp import web

from rabta_bots.clock import Clock
from rabta_bots.intake.accepting import RefusedError, Stored
from rabta_bots.intake.door import events_of
from rabta_bots.intake.source import Delivery, SourceError
from rabta_bots.intake.taking import Intake
from rabta_bots.metrics import Metrics
from rabta_bots.settings import Intake as Limits
from rabta_contract.answers import EventReason
from rabta_contract.envelope import opened
from rabta_contract.faults import ContractError
from rabta_contract.secrets_file import SigningSecrets
from rabta_contract.signature import SignatureError, verify

log = structlog.get_logger("rabta.bridge.folder")

INCOMING, PROCESSED, REFUSED = "incoming", "processed", "refused"

HEAD_BYTES = 8192
# So many in one turn, so that a full folder lets the other work through.
TURN = 50

# The file stays where it is: the same file may be taken later.
PASSING = frozenset({EventReason.BUSY, EventReason.UNAVAILABLE})


class DroppedFiles:
    """The folder as a source.

    Args:
        folder: Holds `incoming`, `processed` and `refused`; they are made when missing.
        limits: As for the webhook; a file that names an unknown post waits as long as a gap.
        secrets: Gives every live secret of the sender.
        interval: Seconds between two looks.

    Raises:
        OSError: The folders cannot be made.
    """

    via = "drop"

    def __init__(
        self,
        folder: Path,
        *,
        clock: Clock,
        limits: Limits,
        secrets: Callable[[], SigningSecrets],
        intake: Intake,
        metrics: Metrics,
        interval: float,
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._limits = limits
        self._secrets = secrets
        self._intake = intake
        self._metrics = metrics
        self._interval = interval
        self._first_seen: dict[str, datetime] = {}
        for name in (INCOMING, PROCESSED, REFUSED):
            (folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)

    def routes(self) -> Sequence[web.RouteDef]:
        """None: it looks."""
        return ()

    async def fill(self, source: str, since: datetime) -> None:  # noqa: ARG002 - the signature of every source
        """It cannot know whether a file is still under way."""
        raise SourceError("folder-may-get-more")

    async def collect(self) -> bool | float:
        """Take what lies there, by the order of the names."""
        waiting = await asyncio.to_thread(self._waiting)
        self._first_seen = {
            path.name: self._first_seen.get(path.name, self._clock()) for path in waiting
        }
        for path in waiting[:TURN]:
            await self._settle(path)
        return True if len(waiting) > TURN else self._interval

    def _waiting(self) -> list[Path]:
        found = sorted((self._folder / INCOMING).iterdir())
        return [path for path in found if path.name[0] != "." and path.suffix != ".part"]

    async def _settle(self, path: Path) -> None:
        try:
            stored = await self._take(path)
        except RefusedError as refused:
            if self._stays(path.name, refused.reason):
                log.info("file-waits", reason=refused.reason)
                return
            self._metrics.deliveries.labels(answer=refused.reason).inc()
            log.warning("file-refused", reason=refused.reason)
            await asyncio.to_thread(self._refuse, path, refused)
            return
        self._metrics.deliveries.labels(answer="stored" if stored.events else "duplicate").inc()
        await asyncio.to_thread(self._move, path, PROCESSED)

    def _stays(self, name: str, reason: str) -> bool:
        """Whether the file may still be taken: for want of room, or of a file before it."""
        if reason in PASSING:
            return True
        waited = (self._clock() - self._first_seen[name]).total_seconds()
        return reason == EventReason.UNKNOWN_POST and waited < self._limits.gap_wait_seconds

    async def _take(self, path: Path) -> Stored:
        raw = await asyncio.to_thread(self._read, path)
        try:
            headers, body = opened(raw)
        except ContractError as error:
            raise RefusedError(error.reason, error.detail) from error
        try:
            # A file may be days on its way; what it repeats is known by its ids.
            delivery_id = verify(headers, body, self._secrets(), self._clock(), window=None)
        except SignatureError as error:
            raise RefusedError(error.reason, error.detail) from error
        media_type = headers.get("content-type", "").partition(";")[0].strip()
        events = events_of(media_type, body, self._limits.max_batch)
        return await self._intake.take(Delivery(delivery_id, events, self.via))

    def _read(self, path: Path) -> bytes:
        """The file's bytes; a link or a device is no file, and a large one is not read."""
        limit = self._limits.max_body_bytes + HEAD_BYTES
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            raise RefusedError("unreadable-file", type(error).__name__) from error
        with os.fdopen(handle, "rb") as file:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise RefusedError("unreadable-file", "not a regular file")
            if status.st_size > limit:
                raise RefusedError(EventReason.TOO_LARGE, f"the limit is {limit} bytes")
            return file.read(limit)

    def _refuse(self, path: Path, refused: RefusedError) -> None:
        """Say why before the file is moved, so that no refused file ever lies there unexplained."""
        told = json.dumps({"reason": refused.reason, "detail": refused.detail})
        goal = _free(self._folder / REFUSED, path.name)
        half = goal.with_name(f".{goal.name}.reason.part")
        half.write_text(f"{told}\n", encoding="utf-8")
        half.replace(goal.with_name(f"{goal.name}.reason"))
        path.replace(goal)

    def _move(self, path: Path, to: str) -> None:
        path.replace(_free(self._folder / to, path.name))


def _free(folder: Path, name: str) -> Path:
    """A name in the folder that no file has: what was settled before is never overwritten."""
    goal, number = folder / name, 0
    while os.path.lexists(goal):
        number += 1
        goal = folder / f"{name}.{number}"
    return goal
