"""Polls the feed, of every CloudEvents source that is served; an `EventSource`."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import structlog
from aiohttp import web

from rabta_bots.intake.catching_up import CatchingUp
from rabta_bots.intake.source import SourceError

log = structlog.get_logger("rabta.bridge.feed")

AGAIN_SECONDS = 1.0


class PolledFeed:
    """The feed as a source.

    Args:
        catching_up: By CloudEvents source.
        interval: Seconds between two readings.
    """

    via = "feed"

    def __init__(self, catching_up: Mapping[str, CatchingUp], interval: float) -> None:
        self._catching_up = catching_up
        self._interval = interval

    def routes(self) -> Sequence[web.RouteDef]:
        """None: it fetches."""
        return ()

    async def collect(self) -> bool | float:
        """Read every source to its end."""
        for source, catching_up in self._catching_up.items():
            try:
                await catching_up.read_to_end()
            except SourceError as error:
                log.warning("feed-not-read", source=source, reason=error.reason)
                if catching_up.complete_since is None:
                    # Without the charges of the past nobody holds anything: try soon again.
                    return AGAIN_SECONDS
        return self._interval

    async def fill(self, source: str, since: datetime) -> None:
        """Read on unless a complete reading began after `since`."""
        await self._catching_up[source].read_to_end(since=since)
