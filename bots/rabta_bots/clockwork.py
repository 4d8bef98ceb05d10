"""Does what is due by the clock: deadlines that come near, and once a day the digests."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

import structlog
from sqlalchemy import Connection, Engine

from rabta_bots.clock import Clock
from rabta_bots.directory import Directory
from rabta_bots.officers import holder_now
from rabta_bots.planning import Planner
from rabta_bots.store import digests
from rabta_bots.store.cards import pending_of_post
from rabta_bots.store.events import event_by_row
from rabta_bots.store.opening import in_store
from rabta_bots.store.turns import take_turn
from rabta_bots.timekeeping import Timekeeper
from rabta_bots.working_days import DAY

log = structlog.get_logger("rabta.bridge.clock")


@dataclass(frozen=True, slots=True)
class Clockwork:
    """What the clock drives.

    Args:
        planner: Gives a planner under the policy of now.
        timekeeper: Keeps the deadlines and the calendar.
        directory: Gives the directory of now.
        digest_hour: At which hour of a working day the digests go out; None: never.
    """

    engine: Engine
    clock: Clock
    planner: Callable[[], Planner]
    timekeeper: Timekeeper
    directory: Callable[[], Directory]
    digest_hour: int | None

    async def turn(self) -> bool:
        """Do what is due; True when there is something to send."""
        now, planner = self.clock(), self.planner()

        def speak(connection: Connection) -> int:
            take_turn(connection, "clock")
            spoken = self.timekeeper.speak(connection, now)
            for row in spoken:
                planner.plan(connection, event_by_row(connection, row), now)
            return len(spoken)

        spoken = await in_store(self.engine, speak)
        if spoken:
            log.info("deadlines-told", count=spoken)
        return await self._digests(now) or bool(spoken)

    async def _digests(self, now: datetime) -> bool:
        local = self.timekeeper.days.local(now)
        day = local.date()
        if self.digest_hour is None:
            return False
        due = local.hour >= self.digest_hour and self.timekeeper.days.is_working(day)

        def open_posts(connection: Connection) -> list[str]:
            # A post that is new here reads its first digest at the next hour for it.
            digests.begin(connection, day if due else day - DAY)
            done = digests.day_of_digest(connection, digests.OF_ALL) >= day.toordinal()
            return list(digests.posts_ever_held(connection)) if due and not done else []

        posts = await in_store(self.engine, open_posts)
        if not posts:
            return False
        made = [await asyncio.to_thread(self._digest, post_id, day, now) for post_id in posts]
        await in_store(
            self.engine, lambda connection: digests.note_day(connection, digests.OF_ALL, day)
        )
        return any(made)

    def _digest(self, post_id: str, day: date, now: datetime) -> bool:
        """Make the post's digest of the day if there is none yet; True when it was made."""
        name = digests.of_post(post_id)
        with self.engine.begin() as connection:
            take_turn(connection, name)
            if digests.day_of_digest(connection, name) >= day.toordinal():
                return False
            if holder_now(connection, self.directory(), post_id, now) is None:
                return False
            digests.note_day(connection, name, day)
            told = pending_of_post(connection, post_id) or digests.has_untold(connection, post_id)
            if told:
                digests.make_digest(connection, post_id, day, now)
            return bool(told)
