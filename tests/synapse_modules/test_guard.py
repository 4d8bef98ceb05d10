"""What a server in the federation may learn about people it shares no room with: nothing."""

from typing import Any
from urllib.parse import quote

import pytest
from hostile import HostileRoom
from network import Network, Person

from rabta_deploy.jsonhttp import request

pytestmark = [pytest.mark.network, pytest.mark.hostile]

V1 = "/_matrix/federation/v1"
OVERRIDES = {"presence": {"enabled": True}}


@pytest.fixture(scope="module")
def amna(network: Network) -> Person:
    network.issue()
    network.start()
    return signed_in(network, "amna")


def signed_in(network: Network, name: str) -> Person:
    """An account with a device, one-time keys, a display name."""
    person = network.person(name)
    device = person.call("GET", "/account/whoami").body["device_id"]
    keys = {f"ed25519:{device}": "x", f"curve25519:{device}": "x"}
    body = {
        "device_keys": {
            "user_id": person.user_id,
            "device_id": device,
            "algorithms": ["m.megolm.v1.aes-sha2"],
            "keys": keys,
            "signatures": {person.user_id: {f"ed25519:{device}": "x"}},
        },
        "one_time_keys": {"signed_curve25519:AAA": {"key": "x", "signatures": {}}},
    }
    assert person.call("POST", "/keys/upload", body).status == 200
    return person


def asked(network: Network, origin: str, person: Person) -> dict[str, Any]:
    """Everything the enumerating server asks about a person: what it learns by each way."""
    user_id = quote(person.user_id)
    keys = network.federation(
        origin, f"{V1}/user/keys/query", {"device_keys": {person.user_id: []}}, "POST"
    )
    profile = network.federation(origin, f"{V1}/query/profile?user_id={user_id}")
    devices = network.federation(origin, f"{V1}/user/devices/{user_id}")
    return {
        "keys": bool(keys.body.get("device_keys", {}).get(person.user_id)),
        "profile": (profile.status, profile.reason),
        "devices": (devices.status, devices.reason),
    }


def claim(network: Network, origin: str, person: Person) -> dict[str, Any]:
    device = person.call("GET", "/account/whoami").body["device_id"]
    wanted = {person.user_id: {device: "signed_curve25519"}}
    answer = network.federation(origin, f"{V1}/user/keys/claim", {"one_time_keys": wanted}, "POST")
    return dict(answer.body.get("one_time_keys", {}))


def whisper(network: Network, origin: str, person: Person, text: str) -> None:
    """A to-device message out of the blue."""
    peer = network.hostiles[origin]
    edu = {
        "edu_type": "m.direct_to_device",
        "content": {
            "sender": peer.user("spy"),
            "type": "m.test",
            "message_id": text,
            "messages": {person.user_id: {"*": {"text": text}}},
        },
    }
    body = {"origin": peer.server_name, "origin_server_ts": peer.now_ms(), "edus": [edu]}
    sent = network.federation(origin, f"{V1}/send/{text}", {**body, "pdus": []}, "PUT")
    assert sent.status == 200, sent


def heard(person: Person) -> list[str]:
    events = person.sync().get("to_device", {}).get("events", [])
    return [event["content"]["text"] for event in events]


async def test_a_person_is_known_to_those_who_share_a_room_and_to_nobody_else(
    network: Network, amna: Person, eventually: Any
) -> None:
    await eventually(network.in_force)
    nothing = {
        "keys": False,
        "profile": (403, "no-shared-room"),
        "devices": (403, "no-shared-room"),
    }
    assert asked(network, "FIN", amna) == nothing
    assert asked(network, "WAR", amna) == {
        "keys": False,
        "profile": (403, "no-permit"),
        "devices": (403, "no-permit"),
    }
    for origin in ("FIN", "WAR"):
        assert claim(network, origin, amna) == {}
        whisper(network, origin, amna, f"stranger-{origin}")
    assert heard(amna) == []

    # An invite out is enough, and nobody else gains by it.
    amna.room(invite=[network.hostiles["FIN"].user("spy")])
    await eventually(
        lambda: (
            asked(network, "FIN", amna)
            == {"keys": True, "profile": (200, ""), "devices": (200, "")}
        ),
        what="keys, profile and devices for a guest",
    )
    assert asked(network, "WAR", amna)["keys"] is False
    whisper(network, "FIN", amna, "guest")
    assert await eventually(lambda: heard(amna)) == ["guest"]
    # The one-time key was not burnt by those who were refused.
    assert amna.user_id in claim(network, "FIN", amna)


async def test_a_question_that_two_readers_read_in_two_ways_is_read_as_synapse_does(
    network: Network, amna: Person, eventually: Any
) -> None:
    """Synapse parts a query at `;` too, and takes a raw `#` for a letter; most parsers do not."""
    await eventually(lambda: amna.user_id and network.in_force())
    known, stranger = network.person("known"), network.person("stranger")
    known.room(invite=[network.hostiles["FIN"].user("spy")])
    profile = f"{V1}/query/profile"
    await eventually(
        lambda: network.federation("FIN", f"{profile}?user_id={known.user_id}").status == 200
    )
    label = {"type": "org.rabta.room.class", "content": {"class": "confidential"}}
    stranger.room(initial_state=[label], room_alias_name="secret")
    for question in (
        f"{profile}?x=1;user_id={stranger.user_id}&user_id={known.user_id}",
        f"{profile}?user_id={stranger.user_id}&user_id={known.user_id}",
        f"{V1}/user/devices/{stranger.user_id}?user_id={known.user_id}",
        f"{V1}/query/directory?x=1;room_alias=%23secret:itt.gov.test&room_alias=%23none:itt.gov.test",
        f"{V1}/query/directory?room_alias=#secret:itt.gov.test",
    ):
        answer = network.federation("FIN", question)
        assert (answer.status, "room_id" in answer.body) == (403, False), (question, answer)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/_matrix/federation/unstable/rooms/{room}/complexity"),
        ("GET", "/_matrix/federation/unstable/org.matrix.msc4370/extremities/{room}"),
        ("POST", "/_matrix/federation/unstable/org.matrix.msc3720/query/account_status"),
        ("POST", "/_matrix/federation/unstable/user/keys/claim"),
        ("PUT", f"{V1}/exchange_third_party_invite/{{room}}"),
        ("GET", f"{V1}/query/client_keys?device_keys=x"),
        ("GET", f"{V1}/openid/userinfo?access_token=x"),
        ("GET", f"{V1}/version"),
        ("POST", f"{V1}/3pid/onbind"),
        ("GET", f"{V1}/anything/new"),
    ],
)
async def test_a_signed_request_that_the_guard_does_not_know_is_refused(
    network: Network, amna: Person, eventually: Any, method: str, path: str
) -> None:
    """A release of Synapse may answer what the one before did not; nothing is open by that."""
    await eventually(lambda: amna.user_id and network.in_force())
    label = {"type": "org.rabta.room.class", "content": {"class": "unclassified"}}
    room_id = amna.room(preset="public_chat", initial_state=[label])
    content = {} if method in ("PUT", "POST") else None
    answer = network.federation("FIN", path.format(room=quote(room_id)), content, method)
    # What Synapse does not have at all it refuses itself.
    assert answer.reason == "closed-endpoint" or answer.body.get("errcode") == "M_UNRECOGNIZED"
    assert answer.status in (403, 404)


async def test_an_open_invite_in_is_enough_too(
    network: Network, amna: Person, eventually: Any
) -> None:
    bilal = signed_in(network, "bilal")
    await eventually(lambda: amna.user_id and network.in_force())
    assert asked(network, "FIN", bilal)["profile"] == (403, "no-shared-room")
    room = HostileRoom(network.hostiles["FIN"], "11", join_rule="invite")
    assert network.offer_invite(room, bilal.user_id).status == 200
    await eventually(lambda: asked(network, "FIN", bilal)["profile"] == (200, ""))
    assert bilal.call("POST", f"/rooms/{quote(room.room_id)}/leave", {}).status == 200
    await eventually(
        lambda: asked(network, "FIN", bilal)["profile"] == (403, "no-shared-room"), within_s=20
    )


async def test_a_file_is_given_to_servers_that_share_a_room_with_its_owner(
    network: Network, amna: Person, eventually: Any
) -> None:
    await eventually(lambda: amna.user_id and network.in_force())
    chanda = network.person("chanda")
    url = chanda.homeserver.client_url
    media = request_upload(url, chanda)
    path = f"{V1}/media/download/{media}"
    assert network.federation("FIN", path).reason == "no-shared-room"
    assert network.federation("WAR", path).reason == "no-permit"
    assert network.federation("FIN", f"{V1}/media/thumbnail/{media}").status == 403
    chanda.room(invite=[network.hostiles["FIN"].user("spy")])
    await eventually(lambda: network.federation("FIN", path).status == 200)


def request_upload(url: str, person: Person) -> str:
    """Upload a file; its media id."""
    answer = request(
        "POST", f"{url}/_matrix/media/v3/upload?filename=a.json", json_body={}, token=person.token
    )
    return str(answer.body["content_uri"]).rpartition("/")[2]


async def test_names_and_lists_of_rooms_need_the_pairs_right(
    network: Network, amna: Person, eventually: Any
) -> None:
    await eventually(lambda: amna.user_id and network.in_force())
    path = f"{V1}/query/directory?room_alias=%23none%3Aitt.gov.test"
    assert network.federation("FIN", path).status == 404
    assert network.federation("WAR", path).reason == "no-permit"
    assert network.federation("WAR", f"{V1}/publicRooms").reason == "no-permit"


async def test_typing_goes_to_servers_with_the_right_alone(
    network: Network, amna: Person, eventually: Any
) -> None:
    label = {"type": "org.rabta.room.class", "content": {"class": "unclassified"}}
    room_id = amna.room(preset="public_chat", initial_state=[label])
    made = network.make_join("FIN", room_id)
    assert network.send_join("FIN", room_id, made).status == 200

    def typing_sent(since: int) -> list[str]:
        bodies = [d.body or {} for d in network.board.sent[since:]]
        edus = [edu["edu_type"] for body in bodies for edu in body.get("edus", [])]
        return [edu for edu in edus if edu in ("m.typing", "m.presence")]

    def pdus_sent(since: int) -> list[str]:
        bodies = [d.body or {} for d in network.board.sent[since:]]
        return [pdu["type"] for body in bodies for pdu in body.get("pdus", [])]

    def type_and_send() -> int:
        since = len(network.board.sent)
        for typing in (True, False):
            body = {"typing": typing, "timeout": 5000} if typing else {"typing": False}
            path = f"/rooms/{quote(room_id)}/typing/{quote(amna.user_id)}"
            assert amna.call("PUT", path, body).status == 200
        cipher = {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "x"}
        assert amna.send(room_id, "m.room.encrypted", cipher).status == 200
        return since

    since = type_and_send()
    await eventually(lambda: "m.typing" in typing_sent(since), what="typing to FIN")
    network.issue(but=("presence",))
    await eventually(network.in_force)
    since = type_and_send()
    await eventually(lambda: "m.room.encrypted" in pdus_sent(since), what="the message to FIN")
    assert typing_sent(since) == []
