"""A loop that works when it is woken, and looks by itself in between; a failure does not end it."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

log = structlog.get_logger("rabta.bridge.working")

# After a failure, so that a broken database is not hammered.
PAUSE_AFTER_FAILURE = 2.0


class Worker:
    """Calls `work` until stopped.

    Args:
        name: For the log.
        work: Does what there is to do; True when there may be more at once, a number of seconds
            when it wants to look again sooner or later than usual.
        interval: Seconds between two looks without being woken.
    """

    def __init__(
        self, name: str, work: Callable[[], Awaitable[bool | float]], interval: float
    ) -> None:
        self.name = name
        self._work = work
        self._interval = interval
        self._wake = asyncio.Event()
        self._stopping = False

    def wake(self) -> None:
        """Let it look now."""
        self._wake.set()

    def stop(self) -> None:
        """Let it end after the work in hand."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Work until `stop`."""
        while not self._stopping:
            self._wake.clear()
            try:
                answer = await self._work()
                if answer is True:
                    continue
                wait = answer or self._interval
            except Exception as error:  # noqa: BLE001 - a worker outlives whatever fails in it
                log.error(  # noqa: TRY400 - the trace would quote words that hold content
                    "worker-failed",
                    worker=self.name,
                    error=type(error).__name__,
                    where=_where(error),
                )
                wait = PAUSE_AFTER_FAILURE
            if self._stopping:
                return
            try:
                async with asyncio.timeout(wait):
                    await self._wake.wait()
            except TimeoutError:
                continue


def _where(error: BaseException) -> str:
    """The innermost place of the failure, without its words, which may hold content."""
    trace = error.__traceback__
    place = ""
    while trace is not None:
        code = trace.tb_frame.f_code
        place = f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
