"""Plans events one by one in the order of their source, and waits where a number is missing."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import Connection, Engine, Row

from rabta_bots.clock import Clock
from rabta_bots.intake.accepting import CHARGES
from rabta_bots.intake.source import SourceError
from rabta_bots.planning import Planner
from rabta_bots.settings import Intake
from rabta_bots.store.events import closed_mark, next_new, pass_gap, passed_mark
from rabta_bots.store.opening import in_store
from rabta_bots.store.papers import wipe_traces

log = structlog.get_logger("rabta.bridge.planning")

MOST = 20
"""Events planned in one transaction."""


class PlanningQueue:
    """The unplanned events of every source.

    Args:
        sources: The CloudEvents sources served.
        fill: Fills a gap of a source before anything after it is planned.
        planner: Gives a planner under the policy of now.
        charge_planned: Called when a post's holder may have changed.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        clock: Clock,
        sources: Sequence[str],
        fill: Callable[[str, datetime], Awaitable[None]],
        planner: Callable[[], Planner],
        limits: Intake,
        charge_planned: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._sources = sources
        self._fill = fill
        self._planner = planner
        self._limits = limits
        self._charge_planned = charge_planned
        self._most = MOST

    async def plan_next(self) -> bool:
        """Plan the next event of each source; True when there was one."""
        busy = False
        for source in self._sources:
            busy = await self._plan_next(source) or busy
        return busy

    async def _plan_next(self, source: str) -> bool:
        start_after = self._limits.start_after

        def gather(connection: Connection) -> tuple[Sequence[Row[Any]], int]:
            before = max(
                closed_mark(connection, source, start_after), passed_mark(connection, source) + 1
            )
            return next_new(connection, source, 1), before

        found, before = await in_store(self._engine, gather)
        if not found:
            return False
        row = found[0]
        if row.sequence > before and not await self._gap_settled(row):
            return False
        planner, now, most = self._planner(), self._clock(), self._most

        def plan(connection: Connection) -> tuple[bool, bool]:
            # The feed may have brought an earlier one meanwhile: that one comes first.
            closed = closed_mark(connection, source, start_after)
            charged = stripped = False
            for number, event in enumerate(next_new(connection, source, most)):
                if event.sequence > closed:
                    if number:
                        break  # its gap is looked into first
                    # Waited for once: what follows without another gap need not wait again.
                    pass_gap(connection, source, event.sequence)
                stripped = planner.plan(connection, event, now).stripped or stripped
                charged = charged or event.type in CHARGES
            return charged, stripped

        # One that cannot be planned takes nothing of those before it with it.
        self._most = 1
        charged, stripped = await in_store(self._engine, plan)
        self._most = MOST
        if charged:
            self._charge_planned()
        if stripped:
            await asyncio.to_thread(wipe_traces, self._engine)
        return True

    async def _gap_settled(self, row: Row[Any]) -> bool:
        """Whether nothing can come before the event any more, or it has waited long enough."""
        try:
            await self._fill(row.source, row.received_at)
        except SourceError as error:
            waited = (self._clock() - row.received_at).total_seconds()
            if waited < self._limits.gap_wait_seconds:
                log.warning("gap-waits", reason=error.reason, sequence=row.sequence)
                return False
            log.warning("gap-passed", reason=error.reason, sequence=row.sequence)
        return True
