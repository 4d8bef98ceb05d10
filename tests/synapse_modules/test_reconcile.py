"""Rooms follow the policy: who lost the right is put out, and the ACL names who has it."""

from typing import Any

import pytest
from hostile import HostileRoom
from network import Network, Person

from rabta_deploy.switchboard import Delivery

pytestmark = [pytest.mark.network, pytest.mark.hostile]

LABEL = "org.rabta.room.class"
OPEN = {
    "preset": "public_chat",
    "initial_state": [{"type": LABEL, "content": {"class": "unclassified"}}],
}
CIPHER = {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "x"}


@pytest.fixture(scope="module")
def amna(network: Network) -> Person:
    network.issue()
    network.start()
    return network.person("amna")


@pytest.mark.parametrize("version", ["11", "12"])
async def test_a_withdrawn_ministry_is_out_of_the_room_and_returns_with_its_right(
    network: Network, amna: Person, eventually: Any, version: str
) -> None:
    network.issue()
    await eventually(network.in_force)
    room_id = amna.room(**OPEN, room_version=version)
    made = network.make_join("FIN", room_id)
    assert network.send_join("FIN", room_id, made).status == 200
    spy = network.hostiles["FIN"].user("spy")
    assert amna.members(room_id)[spy] == "join"

    network.issue(withdrawn=("FIN",))
    await eventually(lambda: amna.members(room_id).get(spy) == "leave", within_s=30)
    await eventually(lambda: amna.state(room_id, "m.room.server_acl")["allow"] == ["itt.gov.test"])
    # Nothing more is delivered to it.
    before = len(network.board.sent)
    assert amna.send(room_id, "m.room.encrypted", CIPHER).status == 200
    sent = [d for d in network.board.sent[before:] if d.destination == "fin.gov.test"]
    types = [pdu["type"] for delivery in sent for pdu in (delivery.body or {}).get("pdus", [])]
    assert "m.room.encrypted" not in types

    network.issue(open_to_law=True)
    await eventually(
        lambda: (
            amna.state(room_id, "m.room.server_acl")["allow"]
            == ["fin.gov.test", "itt.gov.test", "law.gov.test"]
        ),
        what="the ACL with FIN and LAW",
    )
    made = network.make_join("FIN", room_id)
    assert network.send_join("FIN", room_id, made).status == 200
    assert amna.members(room_id)[spy] == "join"


async def test_a_raised_label_puts_out_whom_the_new_class_does_not_admit(
    network: Network, amna: Person, eventually: Any
) -> None:
    network.issue()
    await eventually(network.in_force)
    room_id = amna.room(**OPEN)
    made = network.make_join("FIN", room_id)
    assert network.send_join("FIN", room_id, made).status == 200
    spy = network.hostiles["FIN"].user("spy")
    assert amna.set_state(room_id, LABEL, {"class": "confidential"}).status == 200
    await eventually(lambda: amna.members(room_id).get(spy) == "leave")
    await eventually(lambda: amna.state(room_id, "m.room.server_acl")["allow"] == ["itt.gov.test"])
    assert amna.members(room_id)[amna.user_id] == "join"
    # What the old class allowed and the new one does not is tightened with it.
    assert amna.state(room_id, "m.room.join_rules") == {"join_rule": "invite"}
    assert amna.state(room_id, "m.room.history_visibility") == {"history_visibility": "invited"}


async def test_our_people_leave_a_room_of_a_ministry_that_lost_its_right(
    network: Network, amna: Person, eventually: Any
) -> None:
    network.issue()
    await eventually(network.in_force)
    room = HostileRoom(network.hostiles["FIN"], "11", join_rule="invite")
    assert network.offer_invite(room, amna.user_id).status == 200
    assert amna.join(room.room_id).status == 200
    network.issue(withdrawn=("FIN",))
    await eventually(
        lambda: room.room_id not in amna.call("GET", "/joined_rooms").body["joined_rooms"],
        within_s=30,
    )

    def cut() -> list[str]:
        return [
            line["action"]
            for line in network.audited()
            if line.get("room") == room.room_id and line["path"] == "reconcile"
        ]

    assert await eventually(cut) == ["leave"]


class SilentRoom(HostileRoom):
    """Whoever joins is promised the other members for later, and they never come."""

    def answer(self, delivery: Delivery) -> tuple[int, Any]:
        status, body = super().answer(delivery)
        if "/send_join/" in delivery.path:
            body |= {"members_omitted": True, "servers_in_room": [self.server.server_name]}
        return status, body


async def test_a_room_whose_members_never_come_is_left_and_holds_up_no_other(
    network: Network, amna: Person, eventually: Any
) -> None:
    network.issue()
    await eventually(network.in_force)
    silent = SilentRoom(network.hostiles["FIN"], "11", join_rule="invite")
    assert network.offer_invite(silent, amna.user_id).status == 200
    assert amna.join(silent.room_id).status == 200
    rooms = [amna.room(**OPEN) for _ in range(3)]
    for room_id in rooms:
        made = network.make_join("FIN", room_id)
        assert network.send_join("FIN", room_id, made).status == 200
    spy = network.hostiles["FIN"].user("spy")

    network.issue(withdrawn=("FIN",))
    await eventually(
        lambda: all(amna.members(room_id).get(spy) == "leave" for room_id in rooms), within_s=30
    )
    await eventually(
        lambda: silent.room_id not in amna.call("GET", "/joined_rooms").body["joined_rooms"],
        within_s=30,
    )


async def test_a_room_that_was_changed_is_looked_at_again_and_then_done(
    network: Network, amna: Person, eventually: Any
) -> None:
    network.issue()
    await eventually(network.in_force)
    room_id = amna.room(**OPEN)
    network.issue(withdrawn=("FIN",))
    await eventually(lambda: amna.state(room_id, "m.room.server_acl")["allow"] == ["itt.gov.test"])
    assert network.metric("rabta_door_reconcile_rooms_changed_total") >= 1
    pending = "rabta_door_reconcile_rooms_pending"
    await eventually(lambda: network.metric(pending) == 0, within_s=60, what="nothing pending")
    assert network.metric("rabta_door_reconcile_rooms_left") == 0
