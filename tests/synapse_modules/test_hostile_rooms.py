"""A hostile homeserver in and around our rooms: what it sends, and what it reads when cut off."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from hostile import Answer, event_id_of
from network import Network, Person
from synapse.api.room_versions import KNOWN_ROOM_VERSIONS

pytestmark = [pytest.mark.network, pytest.mark.hostile]

V1 = "/_matrix/federation/v1"
OPEN = {
    "preset": "public_chat",
    "initial_state": [{"type": "org.rabta.room.class", "content": {"class": "unclassified"}}],
}
CIPHER = {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "x"}
ASK = f"{V1}/query/directory?room_alias=%23none%3Aitt.gov.test"
HEARD, CLOSED = 404, 403
"""An alias nobody has: 404 to whoever is listened to."""


@pytest.fixture(scope="module")
def amna(network: Network) -> Person:
    network.issue()
    network.start()
    return network.person("amna")


@pytest.fixture(autouse=True)
async def _in_force(network: Network, eventually: Any, amna: Person) -> None:
    await eventually(lambda: amna.user_id and network.in_force())


@pytest.fixture(params=["11", "12"])
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def policy(network: Network, eventually: Any, **options: Any) -> None:
    network.issue(**options)
    await eventually(network.in_force)


def settle(network: Network, amna: Person, version: str) -> tuple[str, Answer]:
    """A room of ours that FIN's spy is in; what FIN was told as it came in."""
    room_id = amna.room(**OPEN, room_version=version)
    joined = network.send_join("FIN", room_id, network.make_join("FIN", room_id))
    assert joined.status == 200, joined
    return room_id, joined


def as_another(made: Answer, user_id: str) -> Answer:
    """The template of a join, used for somebody it was not made for."""
    event = made.body["event"] | {"sender": user_id, "state_key": user_id}
    return Answer(made.status, made.body | {"event": event})


def offer(network: Network, origin: str, pdu: dict[str, Any]) -> dict[str, Any]:
    """Send one event in a transaction; the result for it."""
    peer = network.hostiles[origin]
    body = {"origin": peer.server_name, "origin_server_ts": peer.now_ms(), "pdus": [pdu]}
    path = f"{V1}/send/{origin}{peer.now_ms()}"
    answer = network.federation(origin, path, body, "PUT")
    assert answer.status == 200, answer
    (result,) = answer.body["pdus"].values()
    return dict(result)


def message(
    network: Network, origin: str, template: Answer, joined: Answer, words: str
) -> dict[str, Any]:
    """A message signed by a server, after the newest event that the template of a join names."""
    content = {**CIPHER, "ciphertext": words}
    return event(network, origin, template, joined, type="m.room.encrypted", content=content)


def event(
    network: Network, origin: str, template: Answer, joined: Answer, **fields: Any
) -> dict[str, Any]:
    """Any event of a server's spy, signed, after the newest that the template of a join names."""
    peer = network.hostiles[origin]
    version = KNOWN_ROOM_VERSIONS[template.body["room_version"]]
    known = [*joined.body["state"], joined.body["event"]]
    wanted = {"m.room.power_levels", "m.room.member"}
    if not version.msc4291_room_ids_as_hashes:
        wanted.add("m.room.create")
    auth = [
        event_id_of(dict(held), version)
        for held in known
        if held["type"] in wanted and held["state_key"] in ("", "@spy:fin.gov.test")
    ]
    made = template.body["event"] | {
        "sender": peer.user("spy"),
        "auth_events": auth,
        "origin_server_ts": peer.now_ms(),
    }
    del made["state_key"]
    return peer.sign_event(made | fields, version)


def heard(amna: Person, room_id: str) -> list[str]:
    found = [e for e in amna.messages(room_id) if e["type"] == "m.room.encrypted"]
    return [event["content"].get("ciphertext", "") for event in found]


async def test_a_join_needs_the_right_and_not_make_join(
    network: Network, amna: Person, version: str
) -> None:
    room_id, _ = settle(network, amna, version)
    made = network.make_join("FIN", room_id, "asked")
    war, fin = network.hostiles["WAR"], network.hostiles["FIN"]
    refused = network.send_join("WAR", room_id, as_another(made, war.user("sudden")))
    assert refused.status == 403, refused
    assert war.user("sudden") not in amna.members(room_id)
    taken = network.send_join("FIN", room_id, as_another(made, fin.user("sudden")))
    assert taken.status == 200, taken
    assert amna.members(room_id)[fin.user("sudden")] == "join"


async def test_send_join_is_refused_while_the_rooms_acl_denies_it(
    network: Network, amna: Person, version: str
) -> None:
    room_id = amna.room(**OPEN, room_version=version)
    made = network.make_join("FIN", room_id)
    acl = {"allow": ["itt.gov.test"], "deny": [], "allow_ip_literals": False}
    assert amna.set_state(room_id, "m.room.server_acl", acl).status == 200
    assert network.send_join("FIN", room_id, made).status == 403
    assert "@spy:fin.gov.test" not in amna.members(room_id)
    acl["allow"] = ["fin.gov.test", "itt.gov.test"]
    assert amna.set_state(room_id, "m.room.server_acl", acl).status == 200
    assert network.send_join("FIN", room_id, made).status == 200


async def test_a_join_of_a_permitted_ministry_may_be_relayed(
    network: Network, amna: Person, eventually: Any, version: str
) -> None:
    await policy(network, eventually, open_to_law=True)
    room_id, _ = settle(network, amna, version)
    made = network.make_join("FIN", room_id, "second")
    law = network.hostiles["LAW"]
    relayed = as_another(made, law.user("relayed")).body["event"]
    pdu = law.sign_event(relayed | {"origin_server_ts": law.now_ms()}, KNOWN_ROOM_VERSIONS[version])
    assert "error" not in offer(network, "FIN", pdu)
    await eventually(lambda: amna.members(room_id).get(law.user("relayed")) == "join")
    await policy(network, eventually)
    await eventually(lambda: amna.members(room_id).get(law.user("relayed")) == "leave")


async def test_a_message_is_taken_from_a_resident_and_from_nobody_else(
    network: Network, amna: Person, eventually: Any, version: str
) -> None:
    room_id, joined = settle(network, amna, version)
    template = network.make_join("FIN", room_id, "second")
    assert "error" in offer(network, "WAR", message(network, "WAR", template, joined, "war"))
    assert "error" not in offer(network, "FIN", message(network, "FIN", template, joined, "fin"))
    await eventually(lambda: "fin" in heard(amna, room_id))
    assert "war" not in heard(amna, room_id)


LOOSER = {
    "m.room.join_rules": {"join_rule": "knock"},
    "m.room.guest_access": {"guest_access": "can_join"},
    "m.room.history_visibility": {"history_visibility": "world_readable"},
    "m.room.encryption": {},
    "m.room.server_acl": {"allow": ["*"]},
    "m.room.power_levels": {"users": {"@spy:fin.gov.test": 100}},
    "org.rabta.room.class": {"class": "unclassified"},
    "m.room.tombstone": {"body": "x", "replacement_room": "!x:fin.gov.test"},
}


def powerful(
    network: Network, amna: Person, version: str
) -> tuple[str, Callable[..., dict[str, Any]]]:
    """A room of ours in which FIN's spy has all the power that another ministry may have.

    Returns:
        The room, and how FIN offers an event of that spy, whose result it gives.
    """
    users = {"@spy:fin.gov.test": 99} | ({amna.user_id: 100} if version == "11" else {})
    room_id = amna.room(**OPEN, room_version=version, power_level_content_override={"users": users})
    made = network.make_join("FIN", room_id)
    joined = network.send_join("FIN", room_id, made)
    assert joined.status == 200, joined

    def act(**fields: Any) -> dict[str, Any]:
        newest = amna.messages(room_id)[0]
        after = {"prev_events": [newest["event_id"]], "depth": made.body["event"]["depth"] + 50}
        template = Answer(200, made.body | {"event": made.body["event"] | after})
        return offer(network, "FIN", event(network, "FIN", template, joined, **fields))

    return room_id, act


async def test_a_peer_with_all_the_power_it_may_have_cannot_loosen_a_room(
    network: Network, amna: Person, eventually: Any, version: str
) -> None:
    room_id, act = powerful(network, amna, version)
    before = {kind: amna.state(room_id, kind) for kind in LOOSER}
    for kind, content in LOOSER.items():
        act(type=kind, state_key="", content=content)
    # It had the power, and its last word is in: what came before would be too.
    assert "error" not in act(type="m.room.name", state_key="", content={"name": "by FIN"})
    await eventually(lambda: amna.state(room_id, "m.room.name") == {"name": "by FIN"})
    assert {kind: amna.state(room_id, kind) for kind in LOOSER} == before


async def test_a_moderator_of_another_ministry_can_empty_nothing_that_guards_the_room(
    network: Network, amna: Person, eventually: Any, version: str
) -> None:
    room_id, act = powerful(network, amna, version)
    raised = {"class": "restricted"}
    assert amna.set_state(room_id, "org.rabta.room.class", raised).status == 200
    guards = (
        "m.room.create",
        "m.room.encryption",
        "m.room.server_acl",
        "m.room.history_visibility",
        "org.rabta.room.class",
    )
    state = {
        held["type"]: held
        for held in amna.call("GET", f"/rooms/{quote(room_id)}/state").body
        if held["state_key"] == ""
    }
    cipher = {"type": "m.room.encrypted", "content": {**CIPHER, "ciphertext": "to be gone"}}
    assert "error" not in act(**cipher)
    await eventually(lambda: "to be gone" in heard(amna, room_id))
    said = amna.messages(room_id)[0]["event_id"]
    ours = amna.send(room_id, "m.room.encrypted", {**CIPHER, "ciphertext": "ours"}).body

    def redact(event_id: str) -> dict[str, Any]:
        return act(type="m.room.redaction", content={"redacts": event_id})

    refused = [redact(state[kind]["event_id"]) for kind in guards]
    redact(ours["event_id"])
    assert "error" not in redact(said)
    await eventually(lambda: "to be gone" not in heard(amna, room_id), what="its own redaction")
    assert "ours" in heard(amna, room_id)
    after = {kind: amna.state(room_id, kind) for kind in guards}
    assert after == {kind: state[kind]["content"] for kind in guards}
    assert all("error" in result for result in refused), refused


async def test_an_invite_that_a_peer_makes_in_our_room_beyond_the_policy_is_taken_back(
    network: Network, amna: Person, eventually: Any, version: str
) -> None:
    """Who is expected counts for everybody after: WAR's name there would keep others out."""
    room_id, act = powerful(network, amna, version)
    war, fin = network.hostiles["WAR"].user("called"), network.hostiles["FIN"].user("called")
    for user_id in (fin, war):
        invited = act(type="m.room.member", state_key=user_id, content={"membership": "invite"})
        assert "error" not in invited
    await eventually(lambda: amna.members(room_id).get(war) == "leave", within_s=30)
    assert amna.members(room_id)[fin] == "invite"


async def test_a_ministry_revoked_while_resident_is_neither_heard_nor_told(
    network: Network, amna: Person, eventually: Any, version: str
) -> None:
    room_id, joined = settle(network, amna, version)
    template = network.make_join("FIN", room_id, "second")
    sent = amna.send(room_id, "m.room.encrypted", CIPHER)
    questions = about(room_id, sent.body["event_id"])

    def answers(origin: str) -> list[int]:
        return [network.federation(origin, *question).status for question in questions]

    assert answers("FIN") == [200] * len(questions)
    assert answers("WAR") == [403] * len(questions)

    await policy(network, eventually, withdrawn=("FIN",))
    await eventually(
        lambda: amna.state(room_id, "m.room.server_acl")["allow"] == ["itt.gov.test"], within_s=30
    )
    assert answers("FIN") == [403] * len(questions)
    assert "error" in offer(network, "FIN", message(network, "FIN", template, joined, "late"))
    assert "late" not in heard(amna, room_id)
    await policy(network, eventually)


def about(room_id: str, event_id: str) -> list[tuple[str, dict[str, Any] | None, str]]:
    """Everything a server may ask about a room: path, body, method."""
    room, event = quote(room_id, safe=""), quote(event_id, safe="")
    latest = {"latest_events": [event_id], "earliest_events": [], "limit": 10}
    return [
        (f"{V1}/state/{room}?event_id={event}", None, "GET"),
        (f"{V1}/state_ids/{room}?event_id={event}", None, "GET"),
        (f"{V1}/backfill/{room}?v={event}&limit=10", None, "GET"),
        (f"{V1}/get_missing_events/{room}", latest, "POST"),
        (f"{V1}/event/{event}", None, "GET"),
        (f"{V1}/event_auth/{room}/{event}", None, "GET"),
        (f"{V1}/timestamp_to_event/{room}?ts=0&dir=f", None, "GET"),
    ]


async def test_what_was_tried_is_audited_though_the_peer_never_echoes_an_event_id(
    network: Network, amna: Person, eventually: Any, version: str
) -> None:
    room_id, _ = settle(network, amna, version)
    event_id = amna.send(room_id, "m.room.encrypted", CIPHER).body["event_id"]

    def tried() -> list[dict[str, Any]]:
        lines = [line for line in network.audited() if line["action"] == "deliver"]
        return [line for line in lines if event_id in line["events"]]

    (line, *_) = await eventually(tried)
    assert (line["destination"], line["room"]) == ("fin.gov.test", room_id)
    assert "x" not in line.values()
    assert network.metric("rabta_door_deliveries_total") >= 1


async def test_a_replayed_older_policy_opens_nothing(network: Network, eventually: Any) -> None:
    await policy(network, eventually, open_to_law=True)
    assert network.federation("LAW", ASK).status == HEARD
    older = network.seal.policy_file.read_bytes()
    await policy(network, eventually)
    network.seal.put(older)
    await eventually(lambda: network.log_says("Policy refused (policy-serial-too-low)"))
    assert network.federation("LAW", ASK).status == CLOSED


async def test_an_expired_policy_answers_no_peer(network: Network, eventually: Any) -> None:
    assert network.federation("FIN", ASK).status == HEARD
    soon = timedelta(seconds=1)
    await policy(network, eventually, lasts=soon, grace=soon)
    await eventually(lambda: network.federation("FIN", ASK).status == CLOSED)
    await policy(network, eventually)
    await eventually(lambda: network.federation("FIN", ASK).status == HEARD)
