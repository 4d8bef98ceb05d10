"""Pushes the outbox to the bridge, oldest first, one at a time, until each is taken."""

import asyncio
import contextlib
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn

import aiohttp
import structlog

from rabta_contract import SINGLE_MEDIA_TYPE, SigningSecrets, sign
from rabta_eoffice import outbox
from rabta_eoffice.desk import Desk
from rabta_eoffice.outbox import REFUSED, SENT, WAITING, Waiting
from rabta_eoffice.tables import reading

FIRST_PAUSE_SECONDS = 0.25
_TIMEOUT = aiohttp.ClientTimeout(total=30)
# Sending these again can never help; a wrong secret (401) or a missing page (404) is mended
# by people, so those are tried again and nothing is lost meanwhile.
_PERMANENT = frozenset({400, 409, 413, 415, 422})

LEAST_PAUSE_SECONDS = 0.25

log = structlog.get_logger("eoffice.push")


@dataclass(frozen=True, slots=True)
class Pause:
    """How long to wait, and whether the bridge asked for it (`Retry-After`)."""

    seconds: float
    asked_for: bool


class Push:
    """The one sender of events.

    The order of the source is kept: an event that cannot be delivered now keeps the later
    ones waiting; one that is refused for good is marked so, logged, and stays in the feed.

    Args:
        desk: Gives database and clock.
        url: The bridge's webhook.
        secrets: All of them sign.
        longest_pause: Seconds between attempts at most; the first pause is a quarter second,
            each further one twice as long, unless the bridge asks for another (`Retry-After`).
    """

    def __init__(
        self, desk: Desk, *, url: str, secrets: SigningSecrets, longest_pause: float
    ) -> None:
        self._desk = desk
        self._url = url
        self._secrets = secrets
        self._longest_pause = longest_pause
        self._told = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def poke(self) -> None:
        """Say that there may be something to send; from any thread."""
        with contextlib.suppress(RuntimeError):  # the loop has closed: nobody sends any more
            self._loop.call_soon_threadsafe(self._told.set)

    async def run(self) -> NoReturn:
        """Send until cancelled."""
        failures = 0
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
            while True:
                self._told.clear()
                waiting = await asyncio.to_thread(self._next)
                if waiting is None:
                    await self._told.wait()
                    continue
                pause = await self._attempt(session, waiting, failures)
                failures = 0 if pause is None else failures + 1
                if pause is not None:
                    await self._rest(pause)

    async def _rest(self, pause: Pause) -> None:
        """Wait, but for a bridge that was away no longer than until there is more to send."""
        if pause.asked_for:
            await asyncio.sleep(pause.seconds)
            return
        await asyncio.sleep(min(pause.seconds, LEAST_PAUSE_SECONDS))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._told.wait(), pause.seconds)

    async def _attempt(
        self, session: aiohttp.ClientSession, waiting: Waiting, failures: int
    ) -> Pause | None:
        """Send once. None: go on; else how long to wait before the next attempt."""
        now: datetime = self._desk.clock()
        headers = sign(waiting.event_id, waiting.body, self._secrets, now)
        headers["Content-Type"] = SINGLE_MEDIA_TYPE
        asked: float | None = None
        try:
            async with session.post(
                self._url, data=waiting.body, headers=headers, allow_redirects=False
            ) as response:
                status = response.status
                asked = _retry_after(response.headers.get("Retry-After"))
                answer = str(status)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            status, answer = 0, type(error).__name__
        state = SENT if status in {200, 202} else REFUSED if status in _PERMANENT else WAITING
        await asyncio.to_thread(self._mark, waiting.sequence, state, answer)
        if state == SENT:
            log.debug("event-sent", sequence=waiting.sequence, status=status)
            return None
        if state == REFUSED:
            log.error("event-refused", sequence=waiting.sequence, status=status)
            return None
        pause = min(FIRST_PAUSE_SECONDS * 2 ** min(failures, 12), self._longest_pause)
        pause = (
            pause if asked is None else min(max(asked, FIRST_PAUSE_SECONDS), self._longest_pause)
        )
        log.warning(
            "event-waits",
            sequence=waiting.sequence,
            answer=answer,
            attempts=waiting.attempts + 1,
            pause_seconds=pause,
        )
        return Pause(pause, asked_for=asked is not None)

    def _next(self) -> Waiting | None:
        with reading(self._desk.engine) as connection:
            return outbox.next_waiting(connection)

    def _mark(self, sequence: int, state: str, answer: str) -> None:
        with self._desk.engine.begin() as connection:
            outbox.mark(connection, sequence, state, answer)


def _retry_after(text: str | None) -> float | None:
    """Seconds, where the header gives seconds; a date is not worth reading here."""
    return float(text) if text is not None and text.isascii() and text.isdigit() else None
