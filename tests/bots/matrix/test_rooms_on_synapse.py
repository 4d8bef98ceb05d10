"""Against a real Synapse, with an officer whose client is libolm."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine

from rabta_bots.matrix import MatrixSettings, SenderTrust

pytestmark = pytest.mark.network

Make = Callable[..., Any]


async def _meet(bridge: Any, person: Any) -> str:
    """A room of the bridge that the person has joined."""
    room_id: str = await bridge.create_room(
        name="Post", topic="Inbox", invite=[person.user_id], room_class="restricted"
    )
    await person.sync()
    await person.sync()
    return room_id


async def test_a_card_is_read_by_libolm_and_its_answer_is_known_as_signed(
    settings: MatrixSettings,
    engine: Engine,
    run: Make,
    officer: Make,
    eventually: Make,
    texts: Make,
    text: Make,
) -> None:
    person = await officer()
    bridge = (await run(settings, engine)).client
    room_id = await _meet(bridge, person)
    await bridge.send(room_id, text("File ITT-1"), txn_id="rb-1")
    await person.sync()
    assert person.bodies() == ["File ITT-1"]
    event_id = await person.write(room_id, "approve", to=bridge.user_id)
    (answer,) = await eventually(bridge.received)
    assert (answer.event_id, answer.sender, answer.encrypted) == (event_id, person.user_id, True)
    assert (answer.type, answer.content["body"]) == ("m.room.message", "approve")
    assert (answer.device, answer.device_id) == (SenderTrust.SIGNED, person.device_id)
    bridge.done(event_id)
    assert bridge.received() == []
