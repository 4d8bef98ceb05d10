"""A hostile homeserver tries every way into a room, and our users try every way out."""

from typing import Any
from urllib.parse import quote

import pytest
from hostile import Answer, HostileRoom, event_id_of
from network import Network, Person
from synapse.api.room_versions import KNOWN_ROOM_VERSIONS

from rabta_audit import chains, read_lines, verify

pytestmark = [pytest.mark.network, pytest.mark.hostile]

LABEL = "org.rabta.room.class"
OPEN = {
    "preset": "public_chat",
    "initial_state": [{"type": LABEL, "content": {"class": "unclassified"}}],
}


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


async def test_a_permitted_ministry_joins_an_open_room(
    network: Network, amna: Person, version: str
) -> None:
    room_id = amna.room(**OPEN, room_version=version)
    made = network.make_join("FIN", room_id)
    assert made.status == 200, made
    joined = network.send_join("FIN", room_id, made)
    assert joined.status == 200, joined
    assert amna.members(room_id)["@spy:fin.gov.test"] == "join"


async def test_make_join_without_a_right_is_refused_with_the_reason(
    network: Network, amna: Person, version: str
) -> None:
    room_id = amna.room(**OPEN, room_version=version)
    # WAR is in the federation but may not deal with ITT; the room's ACL says so first.
    assert network.make_join("WAR", room_id).status == 403
    # LAW is not in the federation yet: it is not even listened to.
    refused = network.make_join("LAW", room_id)
    assert (refused.status, refused.body["errcode"]) == (403, "M_FORBIDDEN")


CLOSED = ((403, "no-permit"), (403, "Server is banned from room"))


async def test_a_withdrawn_right_closes_join_by_make_join_and_by_send_join_alone(
    network: Network, amna: Person, eventually: Any, version: str
) -> None:
    """What refuses is the door, until the room's ACL has followed and refuses before it."""
    room_id = amna.room(**OPEN, room_version=version)
    made = network.make_join("FIN", room_id, "late")
    assert made.status == 200
    network.issue(withdrawn=("FIN",))
    await eventually(network.in_force)
    refused = network.make_join("FIN", room_id, "later")
    assert (refused.status, refused.reason or refused.body["error"]) in CLOSED
    refused = network.send_join("FIN", room_id, made)
    assert (refused.status, refused.reason or refused.body["error"]) in CLOSED
    assert "state" not in refused.body
    assert "@late:fin.gov.test" not in amna.members(room_id)
    network.issue()
    await eventually(network.in_force)
    # Not asked before the ACL is back: Synapse may keep the one it reads while it changes.
    await eventually(
        lambda: "fin.gov.test" in amna.state(room_id, "m.room.server_acl")["allow"], within_s=20
    )
    # Nothing was stored emptied: the very same event is taken once right and ACL are back.
    await eventually(lambda: network.send_join("FIN", room_id, made).status == 200)
    await eventually(lambda: amna.members(room_id).get("@late:fin.gov.test") == "join")


async def test_a_join_relayed_by_a_permitted_ministry_is_refused(
    network: Network, amna: Person, version: str
) -> None:
    """FIN, which is in the room, lets WAR in by itself and hands the finished join to us."""
    room_id = amna.room(**OPEN, room_version=version)
    made = network.make_join("FIN", room_id)
    assert network.send_join("FIN", room_id, made).status == 200
    made = network.make_join("FIN", room_id, "second")
    war, fin = network.hostiles["WAR"], network.hostiles["FIN"]
    relayed = made.body["event"] | {
        "sender": war.user("relayed"),
        "state_key": war.user("relayed"),
        "origin_server_ts": war.now_ms(),
    }
    pdu = war.sign_event(relayed, KNOWN_ROOM_VERSIONS[version])
    body = {"origin": fin.server_name, "origin_server_ts": fin.now_ms(), "pdus": [pdu]}
    path = f"/_matrix/federation/v1/send/relay{version}"
    answer = network.federation("FIN", path, body, "PUT")
    assert answer.status == 200
    (result,) = answer.body["pdus"].values()
    assert "error" in result
    assert war.user("relayed") not in amna.members(room_id)
    refused = [line for line in network.audited() if line["path"] == "relayed_join"]
    assert refused[-1]["actor"] == war.user("relayed")


async def test_a_knock_without_a_right_is_refused(network: Network, amna: Person) -> None:
    knocking = {"type": "m.room.join_rules", "content": {"join_rule": "knock"}}
    room_id = amna.room(initial_state=[*OPEN["initial_state"], knocking])
    for origin, status in (("FIN", 200), ("WAR", 403)):
        user_id = network.hostiles[origin].user("knocker")
        path = f"/_matrix/federation/v1/make_knock/{quote(room_id)}/{quote(user_id)}?ver=11"
        assert network.federation(origin, path).status == status


async def test_a_knock_needs_the_right_and_not_make_knock(
    network: Network, amna: Person, eventually: Any, version: str
) -> None:
    """A template is not needed to make the event, and the answer shows what the room is about."""
    knocking = {"type": "m.room.join_rules", "content": {"join_rule": "knock"}}
    room_id = amna.room(initial_state=[*OPEN["initial_state"], knocking], room_version=version)
    fin, rules = network.hostiles["FIN"], KNOWN_ROOM_VERSIONS[version]
    asked = f"/_matrix/federation/v1/make_knock/{quote(room_id)}/{quote(fin.user('k'))}"
    made = network.federation("FIN", f"{asked}?ver={version}")
    assert made.status == 200

    def knock() -> tuple[dict[str, Any], str]:
        event = {**made.body["event"], "origin_server_ts": fin.now_ms()}
        event = fin.sign_event(event, rules)
        return event, event_id_of(event, rules)

    def send_knock() -> Answer:
        event, event_id = knock()
        path = f"/_matrix/federation/v1/send_knock/{quote(room_id)}/{event_id}"
        return network.federation("FIN", path, event, "PUT")

    # By invitation it may come in, so the room's ACL names it; knock it may not.
    network.issue(but=("knock",))
    await eventually(network.in_force)
    refused = send_knock()
    assert (refused.status, refused.reason) == (403, "no-permit")
    assert "knock_room_state" not in refused.body
    # Nor as an event among others: whoever knocks counts as somebody who shares the room.
    event, event_id = knock()
    body = {"origin": fin.server_name, "origin_server_ts": fin.now_ms(), "pdus": [event]}
    path = f"/_matrix/federation/v1/send/knock{version}"
    answer = network.federation("FIN", path, body, "PUT")
    assert "error" in answer.body["pdus"][event_id]
    assert fin.user("k") not in amna.members(room_id)
    network.issue()
    await eventually(network.in_force)
    assert send_knock().status == 200
    assert amna.members(room_id)[fin.user("k")] == "knock"


async def test_an_invite_is_taken_from_whom_the_policy_lets(
    network: Network, amna: Person, version: str
) -> None:
    room = HostileRoom(network.hostiles["FIN"], version, join_rule="invite")
    assert network.offer_invite(room, amna.user_id).status == 200
    assert amna.join(room.room_id).status == 200
    assert amna.members(room.room_id)[amna.user_id] == "join"


async def test_an_invite_without_a_right_is_refused_whatever_it_claims(
    network: Network, amna: Person, version: str
) -> None:
    war = network.hostiles["WAR"]
    honest = HostileRoom(war, version)
    refused = network.offer_invite(honest, amna.user_id)
    assert (refused.status, refused.reason) == (403, "no-permit")
    # It claims the lowest class, our own ministry as owner, and one of us as the creator.
    forged = [
        {
            "type": "m.room.create",
            "state_key": "",
            "sender": amna.user_id,
            "content": {"room_version": version, LABEL: {"class": "unclassified", "owner": "ITT"}},
        },
        {
            "type": LABEL,
            "state_key": "",
            "sender": amna.user_id,
            "content": {"class": "unclassified", "owner": "ITT"},
        },
    ]
    refused = network.offer_invite(HostileRoom(war, version), amna.user_id, forged)
    assert (refused.status, refused.reason) == (403, "no-permit")


async def test_an_invite_that_admits_a_class_too_high_is_refused(
    network: Network, amna: Person
) -> None:
    label = {"class": "confidential", "owner": "FIN"}
    room = HostileRoom(network.hostiles["FIN"], "11", create={LABEL: label})
    refused = network.offer_invite(room, amna.user_id)
    assert (refused.status, refused.reason) == (403, "class-does-not-federate")


async def test_a_class_hidden_in_the_invite_is_found_after_the_join(
    network: Network, eventually: Any
) -> None:
    bilal = network.person("bilal")
    label = {"class": "confidential", "owner": "FIN"}
    fin = network.hostiles["FIN"]
    room = HostileRoom(fin, "11", state=((LABEL, label),), join_rule="invite")
    forged = [{**room.events[0]}]
    assert network.offer_invite(room, bilal.user_id, forged).status == 200
    assert bilal.join(room.room_id).status == 200
    await eventually(
        lambda: room.room_id not in bilal.call("GET", "/joined_rooms").body["joined_rooms"],
        what="leaving the room",
    )


async def test_a_remote_room_is_joined_by_invitation_only(network: Network, amna: Person) -> None:
    room = HostileRoom(network.hostiles["FIN"], "11")
    refused = amna.join(room.room_id, via="fin.gov.test")
    assert (refused.status, refused.reason) == (403, "room-unknown")


async def test_an_administrator_who_slips_into_a_forbidden_room_is_taken_out(
    network: Network, eventually: Any
) -> None:
    chief = network.person("chief", admin=True)
    room = HostileRoom(network.hostiles["WAR"], "11")
    assert chief.join(room.room_id, via="war.gov.test").status == 200
    await eventually(
        lambda: room.room_id not in chief.call("GET", "/joined_rooms").body["joined_rooms"],
        what="leaving the room",
    )


async def test_every_refusal_and_every_crossing_is_in_an_unbroken_audit(
    network: Network, amna: Person
) -> None:
    room_id = amna.room()
    assert amna.invite(room_id, "@x:war.gov.test").status == 403
    assert amna.invite(room_id, "@x:fin.gov.test").status == 200
    denied, allowed = [line for line in network.audited() if line.get("room") == room_id]
    assert denied["reasons"] == ["no-permit"]
    assert (denied["origin"], denied["destination"]) == ("itt.gov.test", "war.gov.test")
    assert (allowed["verdict"], allowed["ref"]) == ("allowed", "O-ITT-FIN")
    assert allowed["path"] == "check_event_allowed"
    for files in chains(network.audit / "ITT").values():
        _, broken = verify(read_lines(files))
        assert broken == []
