"""Who may do what in a room that the bridge made, as a real Synapse judges it."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine

from rabta_bots.matrix import MatrixSettings

pytestmark = pytest.mark.network

Make = Callable[..., Any]
FORBIDDEN = "M_FORBIDDEN"


async def test_nobody_but_the_bridge_lets_people_in_or_speaks_where_only_it_may(
    *,
    settings: MatrixSettings,
    engine: Engine,
    run: Make,
    officer: Make,
    text: Make,
    eventually: Make,
) -> None:
    person, stranger = await officer(), await officer()
    bridge = (await run(settings, engine)).client
    rooms = {}
    for name, talk in (("post", True), ("announcements", False)):
        rooms[name] = await bridge.create_room(
            name=name, topic=name, invite=[person.user_id], room_class="restricted", talk=talk
        )
        await person.sync()
        await person.sync()
        with pytest.raises(AssertionError, match=FORBIDDEN):
            await person.call("POST", f"rooms/{rooms[name]}/invite", {"user_id": stranger.user_id})

    await person.write(rooms["post"], "seen", to=bridge.user_id)
    await eventually(bridge.received)
    with pytest.raises(AssertionError, match=FORBIDDEN):
        await person.write(rooms["announcements"], "I disagree", to=bridge.user_id)

    await bridge.send(rooms["announcements"], text("The office is closed"), txn_id="rb-1")
    await person.sync()
    assert person.bodies(rooms["announcements"]) == ["The office is closed"]
    await bridge.invite(rooms["announcements"], stranger.user_id)
    await stranger.sync()
