"""Two real homeservers, each with its door: what the policy lets through goes through whole."""

from datetime import timedelta
from typing import Any

import pytest
from network import Network, Person

pytestmark = pytest.mark.network

HOMESERVERS = ("ITT", "FIN")
CIPHER = {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "x", "session_id": "s"}


@pytest.fixture(scope="module")
def people(network: Network) -> tuple[Person, Person]:
    network.issue()
    network.start()
    return network.person("amna"), network.person("farah", "FIN")


@pytest.fixture(params=["11", "12"])
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def ciphertexts(person: Person, room_id: str) -> list[str]:
    found = [e for e in person.messages(room_id) if e["type"] == "m.room.encrypted"]
    return [event["content"]["ciphertext"] for event in found]


async def test_two_officers_share_an_encrypted_room(
    network: Network, people: tuple[Person, Person], eventually: Any, version: str
) -> None:
    amna, farah = people
    await eventually(network.in_force)
    room_id = amna.room(room_version=version, invite=[farah.user_id])
    invited = farah.sync()["rooms"]["invite"][room_id]["invite_state"]["events"]
    labels = [e["content"] for e in invited if e["type"] == "org.rabta.room.class"]
    assert labels == [{"class": "restricted", "owner": "ITT"}]
    assert farah.join(room_id).status == 200
    await eventually(lambda: amna.members(room_id).get(farah.user_id) == "join")
    assert amna.send(room_id, "m.room.encrypted", {**CIPHER, "ciphertext": "one"}).status == 200
    await eventually(lambda: "one" in ciphertexts(farah, room_id), what="delivery to FIN")
    assert farah.send(room_id, "m.room.encrypted", {**CIPHER, "ciphertext": "two"}).status == 200
    await eventually(lambda: "two" in ciphertexts(amna, room_id), what="delivery to ITT")
    # The class holds at the guest's server, too.
    text = {"msgtype": "m.text", "body": "x"}
    assert farah.send(room_id, "m.room.message", text).reason == "plain-content"
    # Nobody brings in whom the owner may not meet, not even the guest.
    assert amna.invite(room_id, "@x:war.gov.test").reason == "no-permit"


async def test_a_suspended_ministry_gets_nothing_and_returns_by_invitation(
    network: Network, people: tuple[Person, Person], eventually: Any
) -> None:
    amna, farah = people
    room_id = amna.room(invite=[farah.user_id])
    assert farah.join(room_id).status == 200
    network.issue(without=("FIN",))
    await eventually(network.in_force)
    before = len(network.board.sent)
    assert amna.send(room_id, "m.room.encrypted", {**CIPHER, "ciphertext": "alone"}).status == 200
    assert amna.room(invite=[]) != room_id
    assert amna.create_room(invite=[farah.user_id]).reason == "organisation-suspended"
    assert [d for d in network.board.sent[before:] if d.destination == "fin.gov.test"] == []
    assert "alone" not in ciphertexts(farah, room_id)
    # Both sides see it out of the room, though they cannot tell each other.
    await eventually(lambda: amna.members(room_id).get(farah.user_id) == "leave", within_s=30)
    rooms = "/joined_rooms"
    await eventually(lambda: room_id not in farah.call("GET", rooms).body["joined_rooms"])

    network.issue()
    await eventually(network.in_force)
    await eventually(
        lambda: "fin.gov.test" in amna.state(room_id, "m.room.server_acl")["allow"],
        what="the ACL with FIN",
    )
    assert amna.invite(room_id, farah.user_id).status == 200
    assert farah.join(room_id).status == 200
    assert amna.send(room_id, "m.room.encrypted", {**CIPHER, "ciphertext": "again"}).status == 200
    await eventually(lambda: "again" in ciphertexts(farah, room_id), within_s=20)


async def test_an_expired_policy_leaves_each_server_alone(
    network: Network, people: tuple[Person, Person], eventually: Any
) -> None:
    amna, farah = people
    # In the days of grace existing rooms go on, and nothing new begins across servers.
    network.issue(lasts=timedelta(seconds=1), grace=timedelta(seconds=12))
    await eventually(network.in_force)
    await eventually(
        lambda: amna.create_room(invite=[farah.user_id]).reason == "policy-in-grace",
        what="the days of grace",
    )
    # After them the whitelist holds the server itself alone; at home work goes on.
    await eventually(
        lambda: amna.create_room(invite=[farah.user_id]).reason == "policy-expired",
        within_s=30,
        what="the end of grace",
    )
    room_id = amna.room()
    assert amna.send(room_id, "m.room.encrypted", CIPHER).status == 200
    assert amna.invite(room_id, farah.user_id).reason == "policy-expired"
