"""A phone that signs in while a card is written reads it, on a real Synapse."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from rabta_bots.matrix import MatrixClient, MatrixSettings, tables
from rabta_bots.matrix.pruning import OWED

pytestmark = pytest.mark.network

Make = Callable[..., Any]


@pytest.fixture
def reads(eventually: Make) -> Make:
    """Sync a device until it reads these texts of a room."""

    async def ask(device: Any, room_id: str, *texts: str) -> None:
        async def there() -> bool:
            await device.sync()
            return bool(device.bodies(room_id) == list(texts))

        await eventually(there, what=f"reading {texts}")

    return ask


@pytest.fixture
def owed(engine: Engine) -> Callable[[], set[str]]:
    """The devices that are owed a key."""

    def ask() -> set[str]:
        with engine.begin() as connection:
            return {row.device_id for row in connection.execute(tables.owed_key.select())}

    return ask


async def test_a_phone_reads_what_was_withheld_before_its_owner_signed_it(
    *,
    settings: MatrixSettings,
    engine: Engine,
    run: Make,
    officer: Make,
    meet: Make,
    reads: Make,
    owed: Make,
    eventually: Make,
    text: Make,
    clock: Any,
) -> None:
    """From the message on that was withheld, whatever keys the room has had since."""
    person, leaver = await officer(), await officer()
    bridge: MatrixClient = (await run(settings, engine)).client
    room_id = await meet(bridge, person, leaver)
    other_room, _ = await meet(bridge, leaver), await meet(bridge, leaver)
    await bridge.send(room_id, text("before"), txn_id="rb-0")
    phone, injected = await officer(of=person), await officer(of=person)
    unsigned = await officer(of=leaver)
    clock.forward(timedelta(seconds=2))
    await bridge.send(room_id, text("one"), txn_id="rb-1")
    await bridge.send(room_id, text("two"), txn_id="rb-2")
    await bridge.kick(room_id, leaver.user_id, "transferred")
    await bridge.send(room_id, text("three"), txn_id="rb-3")
    await bridge.send(other_room, text("elsewhere"), txn_id="rb-4")
    await bridge.kick(other_room, leaver.user_id, "transferred")
    await phone.sync()
    assert (phone.bodies(), {one["code"] for one in phone.withheld}) == ([], {"m.unverified"})
    assert owed() == {phone.device_id, injected.device_id, unsigned.device_id}

    await person.sign_device(phone)
    await reads(phone, room_id, "one", "two", "three")
    # Its own room key of now is among what it got, so nothing is to be shared before the next.
    await bridge.send(room_id, text("four"), txn_id="rb-5")
    await reads(phone, room_id, "one", "two", "three", "four")
    shared = [one["session_id"] for one in phone.room_key_contents]
    assert sorted(shared) == sorted(set(shared))
    # Who is out of a room is owed nothing of it any more.
    await leaver.sign_device(unsigned)
    await eventually(lambda: owed() == {injected.device_id})
    await unsigned.sync()
    await injected.sync()
    assert (injected.room_keys, unsigned.room_keys) == ({}, {})


async def test_a_phone_without_a_one_time_key_reads_the_card_when_it_has_one_again(
    *,
    settings: MatrixSettings,
    engine: Engine,
    run: Make,
    officer: Make,
    meet: Make,
    reads: Make,
    text: Make,
    clock: Any,
) -> None:
    person = await officer()
    bridge: MatrixClient = (await run(settings, engine)).client
    room_id = await meet(bridge, person)
    phone = await officer(of=person, keys=0)
    await person.sign_device(phone)
    await bridge.send(room_id, text("one"), txn_id="rb-1")
    await phone.sync()
    assert [one["code"] for one in phone.withheld] == ["m.no_olm"]
    await phone.upload_keys(5)
    clock.forward(timedelta(hours=1))
    await person.write(room_id, "something that ends a sync", to=bridge.user_id)
    await reads(phone, room_id, "one")


async def test_what_is_owed_is_sealed_and_forgotten_after_a_week(
    *,
    settings: MatrixSettings,
    engine: Engine,
    run: Make,
    officer: Make,
    meet: Make,
    eventually: Make,
    owed: Make,
    text: Make,
    clock: Any,
) -> None:
    person = await officer()
    bridge: MatrixClient = (await run(settings, engine)).client
    room_id = await meet(bridge, person)
    await officer(of=person)
    clock.forward(timedelta(seconds=2))
    await bridge.send(room_id, text("one"), txn_id="rb-1")
    await person.sync()
    (key,) = person.room_key_contents
    with engine.begin() as connection:
        row = connection.execute(tables.owed_key.select()).one()
    assert (row.room_id, row.session_id, row.at_index) == (room_id, key["session_id"], 0)
    assert key["session_key"][:40].encode() not in row.sealed
    clock.forward(OWED + timedelta(hours=1))
    await person.write(room_id, "something that ends a sync", to=bridge.user_id)
    await eventually(lambda: not owed())


async def test_a_phone_that_signs_in_while_the_key_is_on_its_way_reads_the_card(
    *,
    settings: MatrixSettings,
    engine: Engine,
    run: Make,
    officer: Make,
    meet: Make,
    text: Make,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What came to the stand-in device that it takes over has come too late then, and is lost."""
    person = await officer()
    bridge: MatrixClient = (await run(settings, engine)).client
    room_id = await meet(bridge, person)
    bridge._started.syncing.stop()
    phones: list[Any] = []
    send = bridge._wire.call

    async def call(method: str, *path: str, **further: Any) -> Any:
        if "sendToDevice" in path and not phones:
            phones.append(await officer(of=person))
            await person.sign_device(phones[0])
        return await send(method, *path, **further)

    monkeypatch.setattr(bridge._wire, "call", call)
    await bridge.send(room_id, text("one"), txn_id="rb-1")
    (phone,) = phones
    await phone.sync()
    await phone.sync()
    assert phone.bodies() == ["one"]
