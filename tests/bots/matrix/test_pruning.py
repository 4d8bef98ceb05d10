"""What was dealt with is dropped after a while; a copy of it is a replay for ever."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import create_engine

from rabta_bots.matrix import metadata, tables
from rabta_bots.matrix.pruning import Pruning

Make = Callable[..., Any]
ROOM = "!room:itt.gov.test"


def _sync(token: str, events: Any, letters: Any = ()) -> dict[str, Any]:
    return {
        "next_batch": token,
        "to_device": {"events": list(letters)},
        "rooms": {"join": {ROOM: {"timeline": {"events": list(events)}}}},
    }


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
async def test_old_events_go_and_their_ciphertexts_can_not_be_used_again(
    parts: Make, phone: Make, clock: Any, database: str, request: pytest.FixtureRequest
) -> None:
    if database == "postgresql":
        url = request.getfixturevalue("postgres")("pruning")
        engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
        metadata.create_all(engine)
        ours = await parts(engine)
    else:
        ours = await parts()
    person = phone()
    with ours.state.transaction():
        account = ours.state.machine.account
        account.generate_one_time_keys(1)
        ours.state.machine.save_account()
    (one_time_key,) = account.one_time_keys["curve25519"].values()
    letter = person.letter(ours, one_time_key, "m.room_key", person.room_key(ROOM))
    events = [person.message(ROOM, f"${number}", f"command {number}") for number in range(4)]
    clear = {"type": "m.room.message", "event_id": "$clear", "sender": person.user_id}
    clear["content"] = {"body": "in clear"}
    await ours.receiving.apply(_sync("s1", [*events[:3], clear], [letter]), {})
    for event_id in ("$0", "$2", "$clear"):
        ours.inbox.done(event_id, None)
    pruning = Pruning(ours.store)
    pruning.prune()
    assert len(ours.rows(tables.received)) == 4

    clock.forward(timedelta(days=31))
    pruning.prune()
    # What nobody has dealt with stays, however old it is.
    assert [row.event_id for row in ours.rows(tables.received)] == ["$1"]
    assert ours.rows(tables.message_index) == []
    assert [tuple(row) for row in ours.rows(tables.replay_floor)] == [(person.group.session_id, 2)]
    copies = [{**one, "event_id": f"$copy{number}"} for number, one in enumerate(events[:3])]
    await ours.receiving.apply(_sync("s2", [*copies, events[3]]), {})
    assert [row.event_id for row in ours.rows(tables.received)] == ["$1", "$3"]
    kept = ours.inbox.undecryptable(timedelta(0))
    assert [(one.event_id, one.reason) for one in kept] == [
        (f"$copy{number}", "replayed") for number in range(3)
    ]

    ours.inbox.done("$3", None)
    with ours.engine.begin() as connection:
        ours.inbox.give_up("$copy0", connection)
    clock.forward(timedelta(days=31))
    pruning.prune()
    assert [row.event_id for row in ours.rows(tables.undecryptable)] == ["$copy1", "$copy2"]
    assert [tuple(row) for row in ours.rows(tables.replay_floor)] == [(person.group.session_id, 3)]
    if database == "postgresql":
        ours.engine.dispose()


async def test_it_looks_once_an_hour(parts: Make, clock: Any) -> None:
    ours = await parts()
    pruning = Pruning(ours.store)
    pruning.prune()
    row = {"txn_id": "rb-1", "room_id": ROOM, "ciphertext": "x", "event_id": "$1", "stored_ms": 0}
    with ours.engine.begin() as connection:
        connection.execute(tables.outgoing.insert().values(**row))
    clock.forward(timedelta(minutes=59))
    pruning.prune()
    assert len(ours.rows(tables.outgoing)) == 1
    clock.forward(timedelta(minutes=1))
    pruning.prune()
    assert ours.rows(tables.outgoing) == []
