"""Writing, against a real Synapse: only ciphertext, only for devices their owner signed."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine

from rabta_bots.matrix import Condition, MatrixError, MatrixSettings, SenderTrust, tables
from rabta_deploy.homeserver import Homeserver

pytestmark = pytest.mark.network

Make = Callable[..., Any]


async def _refusal(work: Any) -> MatrixError:
    with pytest.raises(MatrixError) as failed:
        await work
    return failed.value


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
async def test_a_card_is_read_by_libolm_and_its_answer_is_known_as_signed(
    *,
    settings: MatrixSettings,
    engine: Engine,
    run: Make,
    officer: Make,
    meet: Make,
    eventually: Make,
    text: Make,
    database: str,
    request: pytest.FixtureRequest,
) -> None:
    if database == "postgresql":
        url = request.getfixturevalue("postgres")("matrix_room")
        engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    person = await officer()
    first = await run(settings, engine)
    bridge = first.client
    room_id = await meet(bridge, person)
    await bridge.send(room_id, text("File ITT-1"), txn_id="rb-1")
    await person.sync()
    assert person.bodies() == ["File ITT-1"]
    event_id = await person.write(room_id, "approve", to=bridge.user_id)
    (answer,) = await eventually(bridge.received)
    assert (answer.event_id, answer.sender, answer.encrypted) == (event_id, person.user_id, True)
    assert (answer.type, answer.content["body"]) == ("m.room.message", "approve")
    assert (answer.device, answer.device_id) == (SenderTrust.SIGNED, person.device_id)
    with engine.begin() as connection:
        bridge.done(event_id, connection)
    assert bridge.received() == []
    await first.stop()
    # After a restart it goes on where it was, in the same Megolm session.
    again = await run(settings, engine)
    await again.client.send(room_id, text("File ITT-2"), txn_id="rb-2")
    await person.sync()
    assert person.bodies() == ["File ITT-1", "File ITT-2"]
    assert len(person.room_keys) == 1
    await again.stop()
    engine.dispose()


async def test_in_a_room_of_version_12_cards_and_answers_pass_as_well(
    *,
    settings: MatrixSettings,
    engine: Engine,
    run: Make,
    officer: Make,
    eventually: Make,
    text: Make,
) -> None:
    person = await officer()
    allowed = settings.model_copy(update={"allowed_inviters": (":itt.gov.test",)})
    bridge = (await run(allowed, engine)).client
    answer = await person.call(
        "POST",
        "createRoom",
        {
            "room_version": "12",
            "invite": [bridge.user_id],
            "initial_state": [
                {
                    "type": "m.room.encryption",
                    "state_key": "",
                    "content": {"algorithm": "m.megolm.v1.aes-sha2"},
                }
            ],
        },
    )
    room_id = answer["room_id"]
    assert ":" not in room_id

    async def joined() -> bool:
        members = await person.call("GET", f"rooms/{room_id}/joined_members")
        return bridge.user_id in members["joined"]

    await eventually(joined)
    await bridge.send(room_id, text("File ITT-1"), txn_id="rb-1")
    await person.sync()
    assert person.bodies() == ["File ITT-1"]
    await person.write(room_id, "approve", to=bridge.user_id)
    (said,) = await eventually(bridge.received)
    assert said.device is SenderTrust.SIGNED


async def test_a_device_injected_under_an_officers_account_gets_a_refusal_and_no_key(
    *, settings: MatrixSettings, engine: Engine, run: Make, officer: Make, meet: Make, text: Make
) -> None:
    person = await officer()
    bridge = (await run(settings, engine)).client
    room_id = await meet(bridge, person)
    injected = await officer(of=person)
    await injected.sync()
    await bridge.send(room_id, text("File ITT-1"), txn_id="rb-1")
    await injected.sync()
    await person.sync()
    assert (injected.room_keys, person.bodies()) == ({}, ["File ITT-1"])
    (told,) = injected.withheld
    assert (told["code"], told["room_id"]) == ("m.unverified", room_id)


async def test_a_new_signed_phone_reads_the_very_next_card(
    *,
    settings: MatrixSettings,
    engine: Engine,
    run: Make,
    officer: Make,
    meet: Make,
    eventually: Make,
    text: Make,
) -> None:
    person = await officer()
    bridge = (await run(settings, engine)).client
    room_id = await meet(bridge, person)
    await bridge.send(room_id, text("one"), txn_id="rb-1")
    new = await officer(of=person)
    await person.sign_device(new)
    await new.sync()
    # The announcement has come by sync when this has.
    await person.write(room_id, "a mark", to=bridge.user_id)
    await eventually(bridge.received)
    await bridge.send(room_id, text("two"), txn_id="rb-2")
    await new.sync()
    await person.sync()
    assert (person.bodies(), new.bodies()) == (["one", "two"], ["two"])


async def test_a_phone_that_signs_in_between_sync_and_send_reads_the_card(
    *,
    settings: MatrixSettings,
    engine: Engine,
    run: Make,
    officer: Make,
    meet: Make,
    text: Make,
    clock: Any,
) -> None:
    person = await officer()
    bridge = (await run(settings, engine)).client
    room_id = await meet(bridge, person)
    await bridge.send(room_id, text("one"), txn_id="rb-1")
    bridge._started.syncing.stop()
    phone = await officer(of=person)
    await person.sign_device(phone)
    clock.forward(timedelta(seconds=2))
    await bridge.send(room_id, text("two"), txn_id="rb-2")
    await phone.sync()
    assert phone.bodies() == ["two"]


async def test_who_and_what_came_while_it_was_down_reads_the_next_card(
    *,
    settings: MatrixSettings,
    engine: Engine,
    run: Make,
    officer: Make,
    meet: Make,
    text: Make,
) -> None:
    """A sync from the kept token names every change of a device list since; none is asked apart."""
    person, second = await officer(), await officer()
    first = await run(settings, engine)
    room_id = await meet(first.client, person)
    await first.client.send(room_id, text("one"), txn_id="rb-1")
    await first.client.invite(room_id, second.user_id)
    await first.stop()
    phone = await officer(of=person)
    await person.sign_device(phone)
    for _ in range(2):  # the invitation, the room
        await second.sync()
    again = (await run(settings, engine)).client
    await again.send(room_id, text("two"), txn_id="rb-2")
    for one in (person, phone, second):
        await one.sync()
    assert (person.bodies(), phone.bodies()) == (["one", "two"], ["two"])
    assert second.bodies() == ["two"]


async def test_a_new_identity_gets_nothing_until_a_person_acknowledged_it(
    *,
    settings: MatrixSettings,
    engine: Engine,
    run: Make,
    officer: Make,
    meet: Make,
    eventually: Make,
    text: Make,
) -> None:
    person = await officer()
    first = await run(settings, engine)
    bridge = first.client
    room_id = await meet(bridge, person)
    await bridge.send(room_id, text("one"), txn_id="rb-1")
    await person.make_identity()
    await eventually(bridge.changed_identities)
    refused = await _refusal(bridge.send(room_id, text("two"), txn_id="rb-2"))
    assert (refused.reason, refused.permanent) == ("identity-changed", True)
    await person.write(room_id, "approve", to=bridge.user_id)
    (said,) = await eventually(bridge.received)
    assert said.device is SenderTrust.CHANGED_IDENTITY
    await first.stop()
    again = (await run(settings, engine)).client
    assert again.changed_identities() == [person.user_id]
    assert again.condition().changed_identities == 1
    again.acknowledge_identity(person.user_id)
    await again.send(room_id, text("two"), txn_id="rb-2")
    await person.sync()
    assert person.bodies() == ["one", "two"]
    assert [one.device for one in again.received()] == [SenderTrust.SIGNED]


async def test_a_room_without_encryption_gets_nothing(
    *,
    settings: MatrixSettings,
    engine: Engine,
    run: Make,
    officer: Make,
    eventually: Make,
    text: Make,
) -> None:
    person = await officer()
    allowed = settings.model_copy(update={"allowed_inviters": (person.user_id,)})
    bridge = (await run(allowed, engine)).client
    answer = await person.call("POST", "createRoom", {"invite": [bridge.user_id]})
    room_id = answer["room_id"]

    async def refused() -> bool:
        return (
            await _refusal(bridge.send(room_id, text("File"), txn_id="rb-1"))
        ).reason == "room-not-encrypted"

    await eventually(refused)
    await person.sync()
    assert [one for one in person.timeline if one["sender"] == bridge.user_id][1:] == []


async def test_a_card_waits_while_nobody_in_the_room_has_a_signed_device(
    *,
    settings: MatrixSettings,
    engine: Engine,
    run: Make,
    officer: Make,
    meet: Make,
    eventually: Make,
    text: Make,
) -> None:
    person = await officer(signed=False)
    bridge = (await run(settings, engine)).client
    room_id = await meet(bridge, person)
    refused = await _refusal(bridge.send(room_id, text("File"), txn_id="rb-1"))
    assert (refused.reason, refused.permanent) == ("no-reader", False)
    assert bridge.condition() == Condition(unsigned_devices=1)
    await person.make_identity()
    await person.write(room_id, "I am here", to=bridge.user_id)
    await eventually(bridge.received)
    await bridge.send(room_id, text("File"), txn_id="rb-1")
    assert bridge.condition() == Condition()
    await person.sync()
    assert person.bodies() == ["File"]


async def test_a_repeated_transaction_is_one_event_with_one_ciphertext(
    *,
    settings: MatrixSettings,
    engine: Engine,
    run: Make,
    officer: Make,
    meet: Make,
    text: Make,
) -> None:
    person = await officer()
    first = await run(settings, engine)
    room_id = await meet(first.client, person)
    event_id = await first.client.send(room_id, text("File"), txn_id="rb-1")
    await first.stop()
    with engine.begin() as connection:
        # As if the answer had been lost: the bytes are there, the event id is not.
        before = connection.execute(tables.outgoing.select()).one().ciphertext
        connection.execute(tables.outgoing.update().values(event_id=None))
    again = (await run(settings, engine)).client
    assert await again.send(room_id, text("File"), txn_id="rb-1") == event_id
    with engine.begin() as connection:
        assert connection.execute(tables.outgoing.select()).one().ciphertext == before
    await person.sync()
    assert person.bodies() == ["File"]
    other = await meet(again, person)
    assert (await _refusal(again.send(other, text("x"), txn_id="rb-1"))).permanent


@pytest.mark.parametrize(("hours", "found"), [(25, True), (1, False)])
async def test_a_repeat_after_a_day_first_looks_for_its_own_event(
    *,
    settings: MatrixSettings,
    engine: Engine,
    run: Make,
    officer: Make,
    meet: Make,
    text: Make,
    clock: Any,
    hours: int,
    found: bool,
) -> None:
    clock.forward(timedelta(days=-30))  # not ahead of the homeserver's, which is the real one
    person = await officer()
    bridge = (await run(settings, engine)).client
    room_id = await meet(bridge, person)
    first = await bridge.send(room_id, text("File ITT-1"), txn_id="rb-1")
    later = await bridge.send(room_id, text("File ITT-2"), txn_id="rb-2")
    table = tables.outgoing
    with engine.begin() as connection:
        # As when the answer never came and the homeserver has forgotten the transaction id.
        connection.execute(
            table.update().where(table.c.txn_id == "rb-1").values(txn_id="rb-old", event_id=None)
        )
    clock.forward(timedelta(hours=hours))
    again = await bridge.send(room_id, text("File ITT-1"), txn_id="rb-old")
    assert (again == first) is found
    assert again != later
    assert await bridge.send(room_id, text("File ITT-1"), txn_id="rb-old") == again
    await person.sync()
    shown = [one for one in person.timeline if one["type"] == "m.room.encrypted"]
    assert len(shown) == (2 if found else 3)


async def test_a_late_repeat_whose_event_is_nowhere_is_sent(
    *,
    settings: MatrixSettings,
    engine: Engine,
    run: Make,
    officer: Make,
    meet: Make,
    text: Make,
    clock: Any,
) -> None:
    person = await officer()
    bridge = (await run(settings, engine)).client
    room_id = await meet(bridge, person)
    await bridge.send(room_id, text("File ITT-1"), txn_id="rb-1")
    table = tables.outgoing
    with engine.begin() as connection:
        row = connection.execute(table.select()).one()
        lost = json.dumps({**json.loads(row.ciphertext), "ciphertext": "never arrived"})
        connection.execute(table.update().values(txn_id="rb-old", event_id=None, ciphertext=lost))
    clock.forward(timedelta(hours=25))
    assert await bridge.send(room_id, text("File ITT-1"), txn_id="rb-old") != row.event_id


async def test_keys_rotate_as_the_room_asks_and_when_somebody_leaves(
    *,
    settings: MatrixSettings,
    engine: Engine,
    run: Make,
    officer: Make,
    meet: Make,
    eventually: Make,
    text: Make,
) -> None:
    person, other = await officer(), await officer()
    bridge = (await run(settings, engine)).client
    room_id = await meet(bridge, person, other)
    content = {"algorithm": "m.megolm.v1.aes-sha2", "rotation_period_msgs": 2}
    path = f"rooms/{room_id}/state/m.room.encryption"
    owner = bridge._wire
    await owner.call("PUT", *path.split("/"), body=content)
    await person.write(room_id, "a mark", to=bridge.user_id)
    # What was before the mark has come by sync when this has: the wish and who joined.
    await eventually(bridge.received)
    assert (await bridge.members(room_id))[other.user_id] == "join"
    for number in range(5):
        await bridge.send(room_id, text(str(number)), txn_id=f"rb-{number}")
    await person.sync()
    await other.sync()
    assert person.bodies() == other.bodies() == ["0", "1", "2", "3", "4"]
    assert len(person.room_keys) == 3
    await bridge.kick(room_id, other.user_id, "transferred")
    await bridge.send(room_id, text("5"), txn_id="rb-5")
    await person.sync()
    assert (person.bodies()[-1], len(person.room_keys)) == ("5", 4)
    await other.sync()
    assert len(other.room_keys) == 3


async def test_keys_may_be_handed_on_only_where_history_is_shared(
    *,
    settings: MatrixSettings,
    engine: Engine,
    run: Make,
    officer: Make,
    meet: Make,
    eventually: Make,
    text: Make,
) -> None:
    person = await officer()
    bridge = (await run(settings, engine)).client
    room_id = await meet(bridge, person)
    await bridge.send(room_id, text("one"), txn_id="rb-1")
    await bridge._wire.call(
        "PUT",
        *f"rooms/{room_id}/state/m.room.history_visibility".split("/"),
        body={"history_visibility": "joined"},
    )
    await person.write(room_id, "a mark", to=bridge.user_id)
    await eventually(bridge.received)
    await bridge.send(room_id, text("two"), txn_id="rb-2")
    await person.sync()
    flags = [one.get("shared_history") for one in person.room_key_contents]
    assert (person.bodies(), flags) == (["one", "two"], [True, None])


async def test_the_homeserver_stores_ciphertext_only(
    *,
    homeserver: Homeserver,
    settings: MatrixSettings,
    engine: Engine,
    run: Make,
    officer: Make,
    meet: Make,
    text: Make,
) -> None:
    person = await officer()
    bridge = (await run(settings, engine)).client
    room_id = await meet(bridge, person)
    await bridge.send(room_id, text("Grant of quarters"), txn_id="rb-1")
    directory = homeserver.files.directory
    stored = [path for path in directory.rglob("homeserver.*") if path.is_file()]
    assert len(stored) >= 2
    assert not [path for path in stored if b"Grant of quarters" in path.read_bytes()]


async def test_a_room_whose_making_was_not_remembered_is_found_and_not_made_again(
    settings: MatrixSettings, engine: Engine, run: Make, officer: Make
) -> None:
    person = await officer()
    allowed = settings.model_copy(update={"allowed_inviters": (":itt.gov.test",)})
    wanted = {"name": "Post", "topic": "Inbox", "room_class": "restricted"}
    first = await run(allowed, engine)
    room_id = await first.client.create_room(**wanted, invite=[], key="post-1")
    # Somebody else's room that says to have been made for a post is not taken for ours.
    trap = await person.call(
        "POST",
        "createRoom",
        {
            "invite": [first.client.user_id],
            "initial_state": [
                {"type": "org.rabta.room.key", "state_key": "", "content": {"key": "post-2"}}
            ],
        },
    )
    await first.stop()
    # We died, or the homeserver's answer was lost on its way: nothing of the room is known.
    with engine.begin() as connection:
        for table in (tables.made_room, tables.member, tables.room):
            connection.execute(table.delete())
    bridge = (await run(allowed, engine)).client
    await person.sync()
    assert trap["room_id"] in (await _joined(bridge))
    invite = [person.user_id]
    assert await bridge.create_room(**wanted, invite=invite, key="post-1") == room_id
    assert (await bridge.members(room_id))[person.user_id] == "invite"
    other = await bridge.create_room(**wanted, invite=invite, key="post-2")
    assert other not in (room_id, trap["room_id"])
    assert await bridge.create_room(**wanted, invite=invite, key="post-2") == other


async def _joined(bridge: Any) -> list[str]:
    answer = await bridge._wire.call("GET", "joined_rooms")
    return list(answer["joined_rooms"])
