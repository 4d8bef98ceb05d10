"""Runs what waits for the store at the same time in one transaction, off the event loop.

A commit waits for the disk, which takes longer than most of what is committed. So pieces of work
that wait for their turn share the next commit. When one of them fails, nothing of any is kept, and
each is run again in a transaction of its own: so a piece of work does nothing but what the
transaction undoes. Nobody hears of his result before it is on disk.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine

T = TypeVar("T")

MOST = 16
"""Pieces of work in one transaction: the Matrix client waits meanwhile for its own turn."""

Work = Callable[[Connection], Any]


async def in_store(engine: Engine, work: Callable[[Connection], T]) -> T:
    """Run `work` whole or not at all, and give what it returns once that is on disk.

    Raises:
        Exception: What `work` raised, and nothing of it is kept; or why there was no commit.
    """
    engines = _QUEUES.setdefault(asyncio.get_running_loop(), WeakKeyDictionary())
    queue = engines.get(engine)
    if queue is None:
        queue = engines[engine] = _Queue(engine)
    result: T = await queue.put(work)
    return result


class _Queue:
    """What waits for one engine on one event loop."""

    def __init__(self, engine: Engine) -> None:
        self._transaction = _transaction(engine)
        self._waiting: deque[tuple[Work, asyncio.Future[Any]]] = deque()
        self._task: asyncio.Task[None] | None = None

    def put(self, work: Work) -> asyncio.Future[Any]:
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((work, future))
        if self._task is None:
            self._task = asyncio.create_task(self._work_off())
        return future

    async def _work_off(self) -> None:
        try:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(MOST, len(self._waiting)))]
                outcomes = await asyncio.to_thread(self._transaction, [work for work, _ in batch])
                for (_, future), (result, error) in zip(batch, outcomes, strict=True):
                    if future.done():
                        continue  # whoever waited was cancelled; the work is done all the same
                    if error is not None:
                        future.set_exception(error)
                    else:
                        future.set_result(result)
        finally:
            self._task = None


_QUEUES: WeakKeyDictionary[asyncio.AbstractEventLoop, WeakKeyDictionary[Engine, _Queue]] = (
    WeakKeyDictionary()
)


def _transaction(
    engine: Engine,
) -> Callable[[list[Work]], list[tuple[Any, Exception | None]]]:
    """A function that runs works in one transaction; for each its result or its failure."""

    def together(works: list[Work]) -> list[tuple[Any, Exception | None]]:
        results: list[tuple[Any, Exception | None]] = []
        done = False
        try:
            with engine.begin() as connection:
                results += [(work(connection), None) for work in works]
                done = True
        except Exception as error:  # noqa: BLE001 - handed to whoever waits for it
            # Once the commit was asked for, nobody knows whether it came about: nothing is run
            # again by us. Nor is what could not begin.
            if done or len(works) == 1:
                return [(None, error) for _ in works]
        else:
            return results
        # One failed and took the others with it, of whom nothing is kept: each for himself.
        return [outcome for work in works for outcome in together([work])]

    return together
