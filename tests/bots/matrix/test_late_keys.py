"""Events whose key is late: kept, read when it comes, void once their sender was told."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from rabta_bots.matrix import tables

Make = Callable[..., Any]
ROOM = "!room:itt.gov.test"


def _sync(token: str, *, letters: Any = (), events: Any = ()) -> dict[str, Any]:
    return {
        "next_batch": token,
        "to_device": {"events": list(letters)},
        "rooms": {"join": {ROOM: {"timeline": {"events": list(events)}}}},
    }


@pytest.fixture
async def late(parts: Make, phone: Make) -> tuple[Any, Any, Any]:
    """Ours, an event without its key, and the letter that brings the key."""
    ours, person = await parts(), phone()
    with ours.state.transaction():
        account = ours.state.machine.account
        account.generate_one_time_keys(1)
        ours.state.machine.save_account()
    (one_time_key,) = account.one_time_keys["curve25519"].values()
    letter = person.letter(ours, one_time_key, "m.room_key", person.room_key(ROOM))
    event = person.message(ROOM, "$1", "approve")
    await ours.receiving.apply(_sync("s1", events=[event]), {})
    return ours, event, letter


async def test_it_is_kept_and_read_when_its_key_comes(late: Any, clock: Any) -> None:
    ours, _, letter = late
    (kept,) = ours.inbox.undecryptable(timedelta(0))
    assert (kept.event_id, kept.reason) == ("$1", "no-session")
    assert ours.inbox.undecryptable(timedelta(minutes=5)) == []
    clock.forward(timedelta(minutes=5))
    assert [one.event_id for one in ours.inbox.undecryptable(timedelta(minutes=5))] == ["$1"]
    await ours.receiving.apply(_sync("s2", letters=[letter]), {})
    await ours.upkeep.refresh()
    assert [one.content["body"] for one in ours.inbox.received(10)] == ["approve"]
    assert ours.inbox.undecryptable(timedelta(0)) == []


async def test_once_its_sender_was_told_it_is_void_and_so_is_every_copy_of_it(late: Any) -> None:
    ours, event, letter = late
    with ours.engine.begin() as connection:
        ours.inbox.give_up("$1", connection)
    assert ours.inbox.undecryptable(timedelta(0)) == []
    await ours.receiving.apply(_sync("s2", letters=[letter]), {})
    await ours.receiving.apply(_sync("s3", events=[{**event, "event_id": "$copy"}]), {})
    assert ours.rows(tables.received) == []
    assert [(one.event_id, one.reason) for one in ours.inbox.undecryptable(timedelta(0))] == [
        ("$copy", "replayed")
    ]
