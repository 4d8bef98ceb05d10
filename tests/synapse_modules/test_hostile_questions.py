"""A hostile homeserver asks about rooms and people, and listens to what we tell of ourselves."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from network import Network, Person

pytestmark = [pytest.mark.network, pytest.mark.hostile]

V1 = "/_matrix/federation/v1"
OVERRIDES = {
    "presence": {"enabled": True},
    "allow_public_rooms_over_federation": True,
    "room_list_publication_rules": [{"action": "allow"}],
    "user_directory": {"search_all_users": False},
}
OPEN = {
    "preset": "public_chat",
    "initial_state": [{"type": "org.rabta.room.class", "content": {"class": "unclassified"}}],
}
CIPHER = {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "x"}


@pytest.fixture(scope="module")
def amna(network: Network) -> Person:
    network.issue()
    network.start()
    return network.person("amna")


@pytest.fixture(autouse=True)
async def _in_force(network: Network, eventually: Any, amna: Person) -> None:
    await eventually(lambda: amna.user_id and network.in_force())


async def policy(network: Network, eventually: Any, **options: Any) -> None:
    network.issue(**options)
    await eventually(network.in_force)


def settle(network: Network, amna: Person) -> str:
    """A room of ours that FIN's spy is in."""
    room_id = amna.room(**OPEN)
    joined = network.send_join("FIN", room_id, network.make_join("FIN", room_id))
    assert joined.status == 200, joined
    return room_id


async def test_strangers_cannot_exhaust_one_time_keys(
    network: Network, amna: Person, eventually: Any
) -> None:
    bilal = network.person("bilal")
    device = bilal.call("GET", "/account/whoami").body["device_id"]
    keys = {f"signed_curve25519:{n}": {"key": f"{n}", "signatures": {}} for n in range(5)}
    assert bilal.call("POST", "/keys/upload", {"one_time_keys": keys}).status == 200

    def left() -> int:
        counts = bilal.call("POST", "/keys/upload", {}).body["one_time_key_counts"]
        return int(counts["signed_curve25519"])

    def claim(origin: str) -> dict[str, Any]:
        wanted = {"one_time_keys": {bilal.user_id: {device: "signed_curve25519"}}}
        answer = network.federation(origin, f"{V1}/user/keys/claim", wanted, "POST")
        return dict(answer.body.get("one_time_keys", {}))

    for _ in range(4):
        assert [claim(origin) for origin in ("FIN", "WAR")] == [{}, {}]
    assert left() == 5
    bilal.room(invite=[network.hostiles["FIN"].user("spy")])
    await eventually(lambda: claim("FIN"))
    # Among workers the one that counts hears of it a moment later.
    await eventually(lambda: left() == 4)
    assert amna.user_id not in claim("FIN")


async def test_an_alias_leads_only_those_to_a_room_who_could_come_in(
    network: Network, amna: Person
) -> None:
    room_id = amna.room(**OPEN, room_alias_name="open")
    label = {"type": "org.rabta.room.class", "content": {"class": "confidential"}}
    amna.room(initial_state=[label], room_alias_name="closed")

    def ask(origin: str, name: str) -> tuple[int, Any]:
        alias = quote(f"#{name}:itt.gov.test", safe="")
        answer = network.federation(origin, f"{V1}/query/directory?room_alias={alias}")
        return answer.status, answer.body.get("room_id")

    assert ask("FIN", "open") == (200, room_id)
    assert ask("FIN", "closed") == (403, None)
    assert ask("WAR", "open") == (403, None)
    assert ask("LAW", "open") == (403, None)


async def test_a_space_shows_its_rooms_only_to_those_who_could_come_in(
    network: Network, amna: Person, eventually: Any
) -> None:
    knocking = {"type": "m.room.join_rules", "content": {"join_rule": "knock"}}
    rooms = [amna.room(**OPEN), amna.room(initial_state=[*OPEN["initial_state"], knocking])]
    space = amna.room(**OPEN, creation_content={"type": "m.space"})
    for room_id in rooms:
        child = amna.set_state(space, "m.space.child", {"via": ["itt.gov.test"]}, room_id)
        assert child.status == 200, child

    def shown(origin: str, room_id: str) -> list[str]:
        answer = network.federation(origin, f"{V1}/hierarchy/{quote(room_id, safe='')}")
        children = answer.body.get("children", [])
        return [child["room_id"] for child in children] if answer.status == 200 else ["none"]

    assert sorted(shown("FIN", space)) == sorted(rooms)
    assert shown("WAR", space) == ["none"]
    # A right to ask, and none to come in: nothing is shown, though the join rules say public.
    await policy(network, eventually, but=("join", "invite"))
    assert [shown("FIN", room_id) for room_id in (space, *rooms)] == [["none"]] * 3
    await policy(network, eventually)


async def test_the_public_rooms_are_listed_to_those_with_the_right(
    network: Network, amna: Person
) -> None:
    room_id = amna.room(**OPEN, visibility="public")
    listed = network.federation("FIN", f"{V1}/publicRooms")
    assert room_id in [room["room_id"] for room in listed.body["chunk"]]
    assert network.federation("WAR", f"{V1}/publicRooms").reason == "no-permit"


async def test_people_of_another_ministry_are_found_only_with_the_right(
    network: Network, amna: Person, eventually: Any
) -> None:
    settle(network, amna)
    spy = network.hostiles["FIN"].user("spy")

    def found() -> list[str]:
        answer = amna.call("POST", "/user_directory/search", {"search_term": "spy"})
        return [person["user_id"] for person in answer.body["results"]]

    await eventually(lambda: found() == [spy], what="the spy in the user directory")
    await policy(network, eventually, but=("directory",))
    assert found() == []
    await policy(network, eventually)


async def test_presence_is_taken_from_servers_with_the_right_alone(
    network: Network, amna: Person, eventually: Any
) -> None:
    settle(network, amna)
    fin = network.hostiles["FIN"]

    def say(presence: str) -> None:
        push = {"user_id": fin.user("spy"), "presence": presence, "currently_active": False}
        edu = {"edu_type": "m.presence", "content": {"push": [push | {"last_active_ago": 5}]}}
        body = {"origin": fin.server_name, "origin_server_ts": fin.now_ms(), "pdus": []}
        path = f"{V1}/send/{presence}{fin.now_ms()}"
        assert network.federation("FIN", path, {**body, "edus": [edu]}, "PUT").status == 200

    def shown() -> str:
        path = f"/presence/{quote(fin.user('spy'))}/status"
        return str(amna.call("GET", path).body.get("presence"))

    say("online")
    await eventually(lambda: shown() == "online", what="the presence of the spy")
    await policy(network, eventually, but=("presence",))
    say("unavailable")
    assert shown() == "online"
    await policy(network, eventually)
    say("unavailable")
    await eventually(lambda: shown() == "unavailable")


async def test_changes_of_devices_are_told_to_servers_with_the_right_alone(
    network: Network, amna: Person, eventually: Any
) -> None:
    room_id = settle(network, amna)
    device = amna.call("GET", "/account/whoami").body["device_id"]

    def rename(name: str) -> Callable[[], list[str]]:
        """Rename the device, then say something; all that FIN is sent from here on."""
        since = len(network.board.sent)
        path = f"/devices/{quote(device)}"
        assert amna.call("PUT", path, {"display_name": name}).status == 200
        assert amna.send(room_id, "m.room.encrypted", CIPHER).status == 200

        def sent() -> list[str]:
            bodies = [d.body or {} for d in network.board.sent[since:]]
            edus = [edu["edu_type"] for body in bodies for edu in body.get("edus", [])]
            return [*edus, *(pdu["type"] for body in bodies for pdu in body.get("pdus", []))]

        return sent

    sent = rename("one")
    await eventually(lambda: "m.device_list_update" in sent(), what="the change of a device")
    await policy(network, eventually, but=("keys",))
    sent = rename("two")
    await eventually(lambda: "m.room.encrypted" in sent(), what="the message")
    # The next message leaves after whatever was left of the transaction before.
    again = rename("three")
    await eventually(lambda: "m.room.encrypted" in again(), what="the next message")
    assert "m.device_list_update" not in sent()
    await policy(network, eventually)
