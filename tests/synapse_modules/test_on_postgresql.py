"""The door keeps its serial and its invites in PostgreSQL as it does in SQLite."""

from collections.abc import Callable
from typing import Any

import pytest
from hostile import HostileRoom
from network import Network

pytestmark = pytest.mark.network


async def test_serial_invites_and_shared_rooms_live_in_postgresql(
    network: Network, postgres: Callable[[str], str], eventually: Any
) -> None:
    itt = network.homeservers["ITT"]
    itt.settings = itt.settings.model_copy(update={"database": postgres("door")})
    network.issue()
    network.start()
    amna = network.person("amna")
    await eventually(network.in_force)
    profile = f"/_matrix/federation/v1/query/profile?user_id={amna.user_id}"
    room = HostileRoom(network.hostiles["FIN"], "12", join_rule="invite")
    assert network.federation("FIN", profile).reason == "no-shared-room"
    assert network.offer_invite(room, amna.user_id).status == 200
    await eventually(lambda: network.federation("FIN", profile).status == 200)
    assert amna.join(room.room_id).status == 200
    network.issue(withdrawn=("FIN",))
    await eventually(
        lambda: room.room_id not in amna.call("GET", "/joined_rooms").body["joined_rooms"],
        within_s=30,
    )
    network.issue(serial=1)
    await eventually(lambda: network.log_says("Policy refused (policy-serial-too-low)"))
