"""Pieces of work that wait for the store at the same time share a transaction, and no fate."""

import asyncio
from collections.abc import Callable

import pytest
from ministry import Hands, Ministry
from sqlalchemy import Connection, Engine, event

from rabta_bots.store.marks import mark, raise_mark
from rabta_bots.store.opening import in_store, open_store


def opened(ministry: Ministry, hands: Hands) -> Engine:
    return open_store(ministry.settings().database.full_url(), hands)


def raising(name: str) -> Callable[[Connection], str]:
    def work(connection: Connection) -> str:
        raise_mark(connection, name, 1)
        return name

    return work


def failing(connection: Connection) -> None:
    raise_mark(connection, "of the failing one", 1)
    raise LookupError("on purpose")


async def test_what_waits_together_shares_a_commit_and_each_gets_its_own_result(
    any_ministry: Ministry, hands: Hands
) -> None:
    engine = opened(any_ministry, hands)
    commits: list[Connection] = []
    event.listen(engine, "commit", commits.append)
    names = [f"number {number}" for number in range(10)]
    results = await asyncio.gather(*(in_store(engine, raising(name)) for name in names))
    assert results == names
    assert len(commits) == 1
    engine.dispose()


async def test_one_that_fails_takes_nothing_of_the_others_with_it_and_leaves_nothing(
    any_ministry: Ministry, hands: Hands
) -> None:
    engine = opened(any_ministry, hands)
    works = (raising("before"), failing, raising("after"))
    results = await asyncio.gather(
        *(in_store(engine, work) for work in works), return_exceptions=True
    )
    assert results[0] == "before"
    assert isinstance(results[1], LookupError)
    assert results[2] == "after"
    with engine.begin() as connection:
        found = [mark(connection, name) for name in ("before", "of the failing one", "after")]
    assert found == [1, 0, 1]
    engine.dispose()


async def test_without_a_commit_nobody_is_told_that_his_work_is_done(
    any_ministry: Ministry, hands: Hands
) -> None:
    engine = opened(any_ministry, hands)

    def refused(_: Connection) -> None:
        raise OSError("the disk is full")

    event.listen(engine, "commit", refused)
    works = (raising("one"), raising("two"))
    results = await asyncio.gather(
        *(in_store(engine, work) for work in works), return_exceptions=True
    )
    assert [type(result) for result in results] == [OSError, OSError]
    event.remove(engine, "commit", refused)
    with engine.begin() as connection:
        assert [mark(connection, name) for name in ("one", "two")] == [0, 0]
    engine.dispose()


async def test_a_work_alone_that_fails_is_told_so(ministry: Ministry, hands: Hands) -> None:
    engine = opened(ministry, hands)
    with pytest.raises(LookupError):
        await in_store(engine, failing)
    with engine.begin() as connection:
        assert mark(connection, "of the failing one") == 0
    engine.dispose()
