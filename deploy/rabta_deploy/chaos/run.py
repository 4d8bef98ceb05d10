"""One run from its seed to its last line."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from sqlalchemy import create_engine, select

from rabta_bots.store.tables import cards, events, outbox
from rabta_deploy.chaos import ledger, tally
from rabta_deploy.chaos.desk import Desk
from rabta_deploy.chaos.havoc import Havoc
from rabta_deploy.chaos.house import House
from rabta_deploy.chaos.load import Goal, Load
from rabta_deploy.chaos.steps import MOMENTS, Moment
from rabta_deploy.chaos.tally import Tally
from rabta_deploy.officer import Officer, OfficerError

_PROGRESS_S = 10.0
# After everything was healed: as long as something still comes, it is waited for.
_QUIET_S = 120.0
_LOOK_S = 1.0
_UNSHOWN = (
    select(events.c.event_id, cards.c.post_id)
    .join(cards, cards.c.event_row == events.c.row)
    .join(outbox, outbox.c.card_id == cards.c.card_id)
    .where(outbox.c.state == "moot", outbox.c.reason == "closed-before-shown")
)
_HELD_BACK = select(events.c.event_id, events.c.addressees).where(events.c.state == "unbridged")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the run is to be.

    Attributes:
        events: That e-Office tells, at least.
        decisions: That officers confirm, at least.
        files: That go round.
        moments: Killed in turn.
        by_chance: Whether anything else is killed, cut and skewed.
        seed: Of the dice.
    """

    events: int
    decisions: int
    files: int
    moments: tuple[Moment, ...]
    by_chance: bool
    seed: int


class Run:
    """Plays one run.

    Args:
        wanted: How much of everything.
        house: Not yet up.
        say: Takes the lines.
    """

    def __init__(self, wanted: Wanted, house: House, say: Callable[[str], None]) -> None:
        self._wanted = wanted
        self._house = house
        self._say = say
        self._goal = Goal(wanted.events, wanted.decisions, wanted.files)
        self._havoc = Havoc(house, wanted.seed, wanted.moments, by_chance=wanted.by_chance)

    async def play(self, stack: AsyncExitStack) -> bool:
        """Play it; True when everything came once and in order."""
        self._say("starting PostgreSQL, a homeserver and e-Office")
        await self._house.up()
        self._say("the bridge's first start, killed at every step of it")
        await self._havoc.first_starts()
        desks = {
            person: Desk(person, await self._signed_in(person, stack), self._house.bot_user_id)
            for person in self._house.size.persons
        }
        reading = [asyncio.create_task(desk.read_for_ever()) for desk in desks.values()]
        telling = asyncio.create_task(self._tell())
        havoc = asyncio.create_task(self._havoc.run())
        load = Load(self._house, desks, self._goal, self._wanted.seed)
        working = asyncio.create_task(load.run(enough=lambda: self._havoc.done))
        try:
            await asyncio.wait({havoc, working}, return_when=asyncio.FIRST_COMPLETED)
            if havoc.done():
                await havoc
            await working
            self._say("the load is done: healing, and waiting for what is still on its way")
            telling.cancel()
            havoc.cancel()
            await asyncio.wait({havoc})
            counted = await self._settled(desks)
        finally:
            for task in (*reading, telling, havoc, working):
                task.cancel()
            await asyncio.gather(*reading, telling, havoc, working, return_exceptions=True)
            for cable in self._house.cables.values():
                await cable.stop()
        return self._conclude(*counted)

    async def _signed_in(self, person: str, stack: AsyncExitStack) -> Officer:
        log = self._house.home / f"officer-{person}.log"
        officer = await stack.enter_async_context(Officer(log_file=log))
        await self._house.accounts[person].sign_in(officer)
        return officer

    async def _tell(self) -> None:
        goal, havoc, told = self._goal, self._havoc, 0
        while True:
            await asyncio.sleep(_PROGRESS_S)
            for one in goal.stuck[told:]:
                self._say(f"stuck: {one}")
            told = len(goal.stuck)
            self._say(
                f"events {goal.told}/{goal.events}, decisions {goal.confirmed}/{goal.decisions}, "
                f"kills {havoc.kills}, moments {len(havoc.reached)}/{havoc.wanted}, "
                f"cuts {havoc.cuts}, skews {havoc.skews}, stuck {len(goal.stuck)}"
            )

    async def _settled(self, desks: dict[str, Desk]) -> tuple[Tally, int, int]:
        """Count until all is there, or nothing more has come for a while."""
        loop = asyncio.get_running_loop()
        deadline, before, told = loop.time() + _QUIET_S, -1, loop.time()
        while True:
            counted = await self._count(desks)
            status = await asyncio.to_thread(self._house.status)
            idle = status is not None and not (
                status["waiting"] or status["messages_without_reader"] or status["commands_queued"]
            )
            if counted[0].whole and idle:
                return counted
            if loop.time() > told + _PROGRESS_S:
                told = loop.time()
                self._say(f"still: {counted[0].line}, such as {counted[0].faults[:1]}; {status}")
            here = counted[0].shown + counted[0].documents
            if here != before:
                deadline, before = loop.time() + _QUIET_S, here
            if loop.time() > deadline:
                self._say(f"the bridge says: {status}")
                return counted
            await asyncio.sleep(_LOOK_S)

    async def _count(self, desks: dict[str, Desk]) -> tuple[Tally, int, int]:
        feed = await asyncio.to_thread(self._house.feed)
        seen, unreadable = [], []
        for desk in desks.values():
            try:
                found, closed = await desk.everything()
            except OfficerError as error:
                unreadable.append(f"{desk.person} could not read: {error.text}")
                continue
            seen += found
            unreadable += [f"{desk.person}, {one}" for one in closed]
        counted = tally.count(
            ledger.told(feed),
            seen,
            closed_unshown=await asyncio.to_thread(self._closed_unshown),
            unreadable=unreadable,
        )
        files = await asyncio.to_thread(self._files)
        decided = tally.decisions(files, self._goal.asked, counted)
        return counted, len(feed), decided

    def _files(self) -> list[dict[str, object]]:
        clerk = self._house.clerk(next(iter(self._house.size.persons)))
        return [clerk.file(file_id) for file_id in self._goal.file_ids]

    def _closed_unshown(self) -> set[tuple[str, str]]:
        engine = create_engine(self._house.store_url)
        try:
            with engine.connect() as connection:
                closed = {(row.event_id, row.post_id) for row in connection.execute(_UNSHOWN)}
                held_back = {
                    (row.event_id, post_id)
                    for row in connection.execute(_HELD_BACK)
                    for post_id in row.addressees
                }
                return closed | held_back
        finally:
            engine.dispose()

    def _conclude(self, counted: Tally, told: int, decided: int) -> bool:
        havoc, goal = self._havoc, self._goal
        for fault in (*(f"stuck: {one}" for one in goal.stuck), *counted.faults):
            self._say(fault)
        missed = [str(one) for one in MOMENTS if str(one) not in havoc.reached]
        self._say(
            f"cards={counted.shown} documents={counted.documents} "
            f"overtaken={counted.overtaken} ledger={decided} "
            f"refused={dict(goal.refusals)} killed={self._house.kills} "
            f"moments={len(havoc.reached)}/{havoc.wanted} cuts={havoc.cuts} skews={havoc.skews}"
        )
        if missed and havoc.wanted == len(MOMENTS):
            self._say(f"moments that never came: {', '.join(missed)}")
        if goal.stuck or not counted.whole:
            self._say(f"seed={self._wanted.seed} logs={self._house.home}")
        self._say(f"events={told} decisions={goal.confirmed} kills={havoc.kills} {counted.line}")
        return counted.whole
