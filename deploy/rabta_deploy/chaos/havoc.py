"""The harm done to the house: kills at every moment in turn and by chance, cuts, a wrong clock."""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Collection
from datetime import timedelta
from functools import partial

from rabta_deploy.chaos.cable import Cut
from rabta_deploy.chaos.chance import chance
from rabta_deploy.chaos.house import House
from rabta_deploy.chaos.steps import MOMENTS, Moment, Part
from rabta_deploy.chaos.victim import Order

# A moment that does not come for so long has no part in this load; its bridge dies anyway.
_MOMENT_S = 25.0
_ALIVE_S = (4.0, 12.0)
_OTHERS_S = (4.0, 11.0)
_CUT_S = (0.5, 5.0)
_DEAD_S = (0.0, 2.0)
_SKEWED_S = (4.0, 10.0)
_WINDOW_S = 300
_REST = 0.4
_LOOK_S = 0.2
_AGAIN_S = 0.5
# So often a moment is waited for, when its process came to another end.
_TRIES = 6
_TARGETS = (Part.HOMESERVER, Part.EOFFICE, Part.DATABASE)


class Havoc:
    """Does harm until stopped, and heals everything at the end.

    Args:
        house: To whom.
        seed: Of the run.
        moments: Which moments are killed in turn.
        by_chance: Whether anything else is killed, cut and skewed.
    """

    def __init__(
        self, house: House, seed: int, moments: Collection[Moment], *, by_chance: bool = True
    ) -> None:
        self.house = house
        self._dice = chance(seed, "havoc")
        self._by_chance = by_chance
        chosen = [one for one in moments if not one.step.first_start]
        self._dice.shuffle(chosen)
        chosen.sort(key=lambda moment: not moment.step.early)
        # The first start has its order: what is past does not come again.
        first = set(moments) - set(chosen)
        chosen = [one for one in MOMENTS if one in first] + chosen
        self._bridge = deque(one for one in chosen if one.step.part is Part.BRIDGE)
        self._eoffice = deque(one for one in chosen if one.step.part is Part.EOFFICE)
        self.wanted = len(chosen)
        self.cuts = 0
        self.skews = 0
        self._skewed = False
        self._tries: Counter[Moment] = Counter()
        self._busy = {part: asyncio.Lock() for part in Part}

    @property
    def reached(self) -> set[str]:
        """The moments at which somebody died."""
        if not self.house.told.exists():
            return set()
        lines = self.house.told.read_text(encoding="utf-8").splitlines()
        return {line.split()[0] for line in lines}

    @property
    def kills(self) -> int:
        """Every SIGKILL so far."""
        at_moments = (
            len(self.house.told.read_text().splitlines()) if self.house.told.exists() else 0
        )
        return at_moments + sum(self.house.kills.values())

    @property
    def done(self) -> bool:
        """Whether every moment had its turn."""
        return not self._bridge and not self._eoffice

    async def run(self) -> None:
        """Until cancelled; then everything runs, whole."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._bridge_lives())
                group.create_task(self._eoffice_lives())
                group.create_task(self._keep(Part.HOMESERVER))
                group.create_task(self._keep(Part.DATABASE))
                if self._by_chance:
                    group.create_task(self._strike())
        finally:
            await asyncio.shield(self._heal())

    async def first_starts(self) -> None:
        """Kill the bridge at every moment of its first start, then let it start."""
        while self._bridge and self._bridge[0].step.first_start:
            moment = self._bridge.popleft()
            await self._one_life([self._order(moment)], _MOMENT_S)

    async def _bridge_lives(self) -> None:
        while True:
            if self._by_chance and (not self._bridge or self._dice.random() < _REST):
                await self._one_life([], self._dice.uniform(*_ALIVE_S))
                continue
            if not self._bridge:
                self.house.start_bridge()
                await self._death(Part.BRIDGE)
                await asyncio.sleep(_AGAIN_S)
                continue
            moment = self._bridge.popleft()
            orders = [self._order(moment)]
            if self._by_chance and self._bridge and self._dice.random() < _REST:
                # Somebody else dies at a moment first; the bridge sees it die and goes on.
                first = self._order(self._bridge[0], str(self._dice.choice(_TARGETS)))
                orders.insert(0, first)
            await self._one_life(orders, _MOMENT_S)
            self._try_again(moment, self._bridge)

    def _try_again(self, moment: Moment, queue: deque[Moment]) -> None:
        """Queue a moment that did not come once more."""
        self._tries[moment] += 1
        if str(moment) not in self.reached and self._tries[moment] < _TRIES:
            queue.append(moment)

    def _order(self, moment: Moment, target: str = "self") -> Order:
        # What did not come in time the first time is met at its first turn.
        late = moment.step.first_start or self._tries[moment]
        turn = 1 if late else self._dice.randint(1, moment.step.often)
        return Order(moment.step.name, moment.edge, turn, target)

    async def _one_life(self, orders: list[Order], lasts_s: float) -> None:
        await asyncio.sleep(_AGAIN_S)
        self.house.start_bridge(orders)
        await self._ended(Part.BRIDGE, lasts_s)
        self.house.kill(Part.BRIDGE)

    async def _ended(self, part: Part, within_s: float) -> None:
        """Wait until a part has ended, or `within_s` after it was ready."""
        child = self.house.children[part]
        loop = asyncio.get_running_loop()
        ready, deadline = False, loop.time() + _MOMENT_S * 2
        while child.running and loop.time() < deadline:
            await asyncio.sleep(0.05)
            if not ready and await asyncio.to_thread(self.house.answers, part):
                ready, deadline = True, loop.time() + within_s

    async def _eoffice_lives(self) -> None:
        if self._eoffice and not self._by_chance:
            self.house.kill(Part.EOFFICE)
        moment: Moment | None = None
        while True:
            await self._death(Part.EOFFICE)
            await asyncio.sleep(self._dice.uniform(*_DEAD_S))
            async with self._busy[Part.EOFFICE]:
                if self.house.children[Part.EOFFICE].running:
                    continue
                if moment is not None:
                    self._try_again(moment, self._eoffice)
                moment = self._eoffice.popleft() if self._eoffice else None
                self.house.start_eoffice([self._order(moment)] if moment else [])

    async def _death(self, part: Part) -> None:
        # A child is asked: nobody tells us of its end.
        while self.house.children[part].running:  # noqa: ASYNC110
            await asyncio.sleep(0.1)

    async def _keep(self, part: Part) -> None:
        while True:
            await self._death(part)
            await asyncio.sleep(self._dice.uniform(*_DEAD_S))
            await self.house.bring_back(part)

    async def _strike(self) -> None:
        blows: tuple[tuple[Callable[[], Awaitable[None]], int], ...] = (
            (partial(self._kill, Part.HOMESERVER), 3),
            (partial(self._kill, Part.EOFFICE), 4),
            (partial(self._kill, Part.DATABASE), 2),
            (self._kill_backend, 1),
            (self._cut, 6),
            (self._skew, 2),
        )
        while True:
            # On a slow machine too, something gets done between two blows.
            await self._recovered()
            await asyncio.sleep(self._dice.uniform(*_OTHERS_S))
            (blow,) = self._dice.choices([one for one, _ in blows], [often for _, often in blows])
            await blow()

    async def _recovered(self) -> None:
        for part in _TARGETS:
            # A part is asked: nobody tells us that it is back.
            while not await asyncio.to_thread(self.house.answers, part):  # noqa: ASYNC110
                await asyncio.sleep(_LOOK_S)

    async def _kill(self, part: Part) -> None:
        self.house.kill(part)

    async def _kill_backend(self) -> None:
        self.house.kill_backend()

    async def _cut(self) -> None:
        cable = self.house.cables[self._dice.choice(sorted(self.house.cables))]
        cable.cut(self._dice.choice(tuple(Cut)))
        self.cuts += 1
        await asyncio.sleep(self._dice.uniform(*_CUT_S))
        cable.mend()

    async def _skew(self) -> None:
        """e-Office comes back with a wrong clock, within the window of signatures or beyond."""
        seconds = self._dice.choice(
            (_WINDOW_S // 2, -_WINDOW_S // 2, 2 * _WINDOW_S, -9 * _WINDOW_S)
        )
        self.skews += 1
        await self._restart_eoffice(timedelta(seconds=seconds))
        await asyncio.sleep(self._dice.uniform(*_SKEWED_S))
        await self._restart_eoffice(timedelta(0))

    async def _restart_eoffice(self, skew: timedelta) -> None:
        async with self._busy[Part.EOFFICE]:
            self.house.kill(Part.EOFFICE)
            self.house.start_eoffice([], skew)

    async def _heal(self) -> None:
        for cable in self.house.cables.values():
            cable.mend()
        for part in (Part.DATABASE, Part.HOMESERVER):
            if not self.house.children[part].running:
                await self.house.bring_back(part)
        for part in (Part.EOFFICE, Part.BRIDGE):
            if part in self.house.children and self.house.children[part].running:
                await asyncio.to_thread(self.house.children[part].stop)
        self.house.start_eoffice([], timedelta(0))
        self.house.start_bridge([])
        await self.house.wait(Part.EOFFICE)
        await self.house.wait(Part.BRIDGE)
