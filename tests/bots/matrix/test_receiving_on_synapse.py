"""Reading, against a real Synapse: nothing lost, nothing twice, no stranger believed."""

import asyncio
import secrets
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from rabta_bots.matrix import MatrixSettings, SenderTrust, tables

pytestmark = pytest.mark.network

Make = Callable[..., Any]


async def test_thirty_commands_sent_while_it_was_down_are_all_received_in_order(
    *,
    settings: MatrixSettings,
    engine: Engine,
    run: Make,
    officer: Make,
    meet: Make,
    eventually: Make,
    texts: Make,
) -> None:
    """B11: the timeline of the first sync holds ten of them."""
    person = await officer()
    first = await run(settings, engine)
    room_id = await meet(first.client, person)
    await person.share_key(room_id, first.client.user_id)
    await first.stop()
    wanted = [f"command {number}" for number in range(30)]
    for body in wanted:
        await person.write(room_id, body)
    second = (await run(settings, engine)).client
    await eventually(lambda: len(texts(second)) >= 30)
    assert texts(second) == wanted
    assert {one.device for one in second.received(50)} == {SenderTrust.SIGNED}


async def test_malformed_to_device_events_from_a_stranger_do_not_stop_it(
    *,
    settings: MatrixSettings,
    engine: Engine,
    run: Make,
    officer: Make,
    meet: Make,
    eventually: Make,
    texts: Make,
) -> None:
    person, stranger = await officer(), await officer()
    bridge = (await run(settings, engine)).client
    room_id = await meet(bridge, person)
    answer = await stranger.call("POST", "keys/query", {"device_keys": {bridge.user_id: []}})
    ((device_id, device),) = answer["device_keys"][bridge.user_id].items()
    curve = device["keys"][f"curve25519:{device_id}"]
    for body in ("AAAA", "", "\u0000", "A" * 5000):
        for number in (0, 1, "0", None):
            content = {
                "algorithm": "m.olm.v1.curve25519-aes-sha2",
                "sender_key": "A" * 43,
                "ciphertext": {curve: {"type": number, "body": body}},
            }
            await stranger.call(
                "PUT",
                f"sendToDevice/m.room.encrypted/{secrets.token_hex(8)}",
                {"messages": {bridge.user_id: {device_id: content}}},
            )
    await person.write(room_id, "still there?", to=bridge.user_id)
    await eventually(lambda: texts(bridge) == ["still there?"])


async def test_with_its_one_time_keys_drained_it_is_still_reached_and_recovers(
    *,
    settings: MatrixSettings,
    engine: Engine,
    run: Make,
    officer: Make,
    meet: Make,
    eventually: Make,
    texts: Make,
) -> None:
    person, thief = await officer(), await officer()
    first = await run(settings, engine)
    room_id = await meet(first.client, person)
    await first.stop()
    answer = await thief.call("POST", "keys/query", {"device_keys": {settings.user_id: []}})
    (device_id,) = answer["device_keys"][settings.user_id]
    wanted = {"one_time_keys": {settings.user_id: {device_id: "signed_curve25519"}}}

    async def claim() -> dict[str, Any]:
        claimed = await thief.call("POST", "keys/claim", wanted)
        ((_, key),) = claimed["one_time_keys"][settings.user_id][device_id].items()
        return dict(key)

    drained = [await claim() for _ in range(51)]
    assert [key.get("fallback", False) for key in drained] == [False] * 50 + [True]
    # The officer, too, gets the fallback key, and is read.
    await person.write(room_id, "by the fallback key", to=settings.user_id)
    second = (await run(settings, engine)).client
    await eventually(lambda: texts(second) == ["by the fallback key"])

    async def fresh() -> bool:
        return not (await claim()).get("fallback", False)

    await eventually(fresh, what="a fresh one-time key")


async def test_a_command_whose_key_comes_late_is_kept_and_read_when_it_comes(
    *,
    settings: MatrixSettings,
    engine: Engine,
    run: Make,
    officer: Make,
    meet: Make,
    eventually: Make,
    texts: Make,
) -> None:
    person = await officer()
    running = await run(settings, engine)
    bridge = running.client
    room_id = await meet(bridge, person)
    late = person.late_key(room_id)
    event_id = await person.write(room_id, "approve")
    (kept,) = await eventually(bridge.undecryptable)
    assert (kept.event_id, kept.reason, bridge.received()) == (event_id, "no-session", [])
    assert bridge.condition().undecryptable == 1
    await running.stop()
    again = (await run(settings, engine)).client
    await person.share_key(room_id, bridge.user_id, session_key=late)
    await eventually(lambda: texts(again) == ["approve"])
    assert again.undecryptable() == []
    assert again.condition().undecryptable == 0


async def test_a_replayed_ciphertext_is_received_once_also_after_a_restart(
    *,
    settings: MatrixSettings,
    engine: Engine,
    run: Make,
    officer: Make,
    meet: Make,
    eventually: Make,
    texts: Make,
) -> None:
    person = await officer()
    first = await run(settings, engine)
    room_id = await meet(first.client, person)
    event_id = await person.write(room_id, "approve", to=settings.user_id)
    await eventually(lambda: texts(first.client) == ["approve"])
    first.client.done(event_id)
    await first.stop()
    second = (await run(settings, engine)).client
    await person.sync()
    said = next(one for one in person.timeline if one["event_id"] == event_id)
    path = f"rooms/{room_id}/send/m.room.encrypted/{secrets.token_hex(8)}"
    replay = (await person.call("PUT", path, said["content"]))["event_id"]
    (kept,) = await eventually(second.undecryptable)
    assert (kept.event_id, kept.reason, second.received()) == (replay, "replayed", [])


async def test_what_is_said_in_clear_in_an_encrypted_room_is_marked_so(
    *,
    settings: MatrixSettings,
    engine: Engine,
    run: Make,
    officer: Make,
    meet: Make,
    eventually: Make,
) -> None:
    person = await officer()
    bridge = (await run(settings, engine)).client
    room_id = await meet(bridge, person)
    content = {"msgtype": "m.text", "body": "approve"}
    path = f"rooms/{room_id}/send/m.room.message/{secrets.token_hex(8)}"
    await person.call("PUT", path, content)
    (said,) = await eventually(bridge.received)
    assert (said.encrypted, said.device) == (False, SenderTrust.UNKNOWN)


async def test_a_command_from_a_device_that_its_owner_did_not_sign_is_marked_unsigned(
    *,
    settings: MatrixSettings,
    engine: Engine,
    run: Make,
    officer: Make,
    meet: Make,
    eventually: Make,
) -> None:
    person = await officer()
    bridge = (await run(settings, engine)).client
    room_id = await meet(bridge, person)
    injected = await officer(of=person)
    await injected.write(room_id, "approve", to=bridge.user_id)
    (said,) = await eventually(bridge.received)
    assert (said.encrypted, said.device) == (True, SenderTrust.UNSIGNED)
    assert said.device_id == injected.device_id


async def test_it_joins_where_an_allowed_person_invites_and_nowhere_else(
    settings: MatrixSettings, engine: Engine, run: Make, officer: Make, eventually: Make
) -> None:
    chief, stranger = await officer(), await officer()
    allowed = settings.model_copy(update={"allowed_inviters": (chief.user_id,)})
    bridge = (await run(allowed, engine)).client
    rooms = {}
    for one in (stranger, chief):
        answer = await one.call("POST", "createRoom", {"invite": [bridge.user_id]})
        rooms[one.user_id] = answer["room_id"]

    async def membership(one: Any) -> str:
        path = f"rooms/{rooms[one.user_id]}/state/m.room.member/{bridge.user_id}"
        return str((await one.call("GET", path))["membership"])

    async def settled() -> bool:
        return "invite" not in {await membership(chief), await membership(stranger)}

    await eventually(settled)
    assert (await membership(chief), await membership(stranger)) == ("join", "leave")


_CHILD = """
import asyncio, json, os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from sqlalchemy import create_engine
from rabta_bots.matrix import MatrixClient, MatrixSettings
from rabta_bots.matrix.store import CryptoStore

settings = MatrixSettings.model_validate_json(sys.argv[1])
engine = create_engine("sqlite:///" + sys.argv[2])
step, flush = sys.argv[3], CryptoStore._flush

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def dying_flush(store, connection):
    if store._room_sessions:   # the transaction that brings the room key and the command
        if step == "before-flush":
            die()
        flush(store, connection)
        if step == "before-commit":
            die()
        connection.commit()
        die()
    flush(store, connection)

CryptoStore._flush = dying_flush

async def main():
    client = MatrixClient(settings, engine, clock=lambda: datetime(2026, 11, 23, tzinfo=UTC))
    await client.start()
    await client.sync_forever(lambda: None)

asyncio.run(main())
"""


@pytest.mark.parametrize("step", ["before-flush", "before-commit", "after-commit"])
async def test_killed_at_any_step_of_a_sync_it_has_the_command_exactly_once(
    *,
    settings: MatrixSettings,
    engine: Engine,
    run: Make,
    officer: Make,
    meet: Make,
    eventually: Make,
    texts: Make,
    step: str,
) -> None:
    person = await officer()
    first = await run(settings, engine)
    room_id = await meet(first.client, person)
    await first.stop()
    await person.write(room_id, "approve", to=settings.user_id)
    database = Path(str(engine.url.database))
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _CHILD,
        settings.model_dump_json(),
        str(database),
        step,
        stderr=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
    )
    assert await asyncio.wait_for(child.wait(), 200) == -signal.SIGKILL
    with engine.begin() as connection:
        stored = connection.execute(tables.received.select()).all()
    assert len(stored) == (1 if step == "after-commit" else 0)
    second = (await run(settings, engine)).client
    await eventually(lambda: texts(second) == ["approve"])
    with engine.begin() as connection:
        assert len(connection.execute(tables.received.select()).all()) == 1
