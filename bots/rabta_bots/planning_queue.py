"""Plans events one by one in the order of their source, and waits where a number is missing."""

from collections.abc import Callable, Mapping
from typing import Any

import structlog
from sqlalchemy import Connection, Engine, Row

from rabta_bots.clock import Clock
from rabta_bots.intake.catching_up import CatchingUp
from rabta_bots.intake.feed import FeedError
from rabta_bots.planning import Planner
from rabta_bots.settings import Intake
from rabta_bots.store.events import closed_mark, next_new
from rabta_bots.store.opening import in_store

log = structlog.get_logger("rabta.bridge.planning")


class PlanningQueue:
    """The unplanned events of every source.

    Args:
        catching_up: By source; fills a gap before anything after it is planned.
        planner: Gives a planner under the policy of now.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        clock: Clock,
        catching_up: Mapping[str, CatchingUp],
        planner: Callable[[], Planner],
        limits: Intake,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._catching_up = catching_up
        self._planner = planner
        self._limits = limits

    async def plan_next(self) -> bool:
        """Plan the next event of each source; True when there was one."""
        busy = False
        for source, catching_up in self._catching_up.items():
            busy = await self._plan_next(source, catching_up) or busy
        return busy

    async def _plan_next(self, source: str, catching_up: CatchingUp) -> bool:
        start_after = self._limits.start_after

        def gather(connection: Connection) -> tuple[Row[Any] | None, int]:
            return next_new(connection, source), closed_mark(connection, source, start_after)

        row, closed = await in_store(self._engine, gather)
        if row is None:
            return False
        if row.sequence > closed and not await self._gap_settled(row, catching_up):
            return False
        planner, now = self._planner(), self._clock()

        def plan(connection: Connection) -> None:
            # The feed may have brought an earlier one meanwhile: that one comes first.
            first = next_new(connection, source)
            if first is not None:
                planner.plan(connection, first, now)

        await in_store(self._engine, plan)
        return True

    async def _gap_settled(self, row: Row[Any], catching_up: CatchingUp) -> bool:
        """Whether nothing can come before the event any more, or it has waited long enough."""
        try:
            await catching_up.read_to_end(since=row.received_at)
        except FeedError as error:
            waited = (self._clock() - row.received_at).total_seconds()
            if waited < self._limits.gap_wait_seconds:
                log.warning("gap-waits", reason=error.reason, sequence=row.sequence)
                return False
        return True
