"""ITT and LAW may not meet, FIN may meet both: nothing of ITT reaches LAW through FIN."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest

from rabta_deploy.jsonhttp import request
from rabta_deploy.process import until

pytestmark = [pytest.mark.network, pytest.mark.timeout(600)]
ITT, FIN, LAW = "itt.gov.test", "fin.gov.test", "law.gov.test"
APART = (ITT, LAW)
KNOCKABLE = "knockable"
"""A room that FIN made for whoever knocks, and that ITT named."""
SECRET = "what-ITT-wrote"


@dataclass
class Scene:
    """Amna of ITT and Bilal of FIN share rooms; Rehana of LAW shares another one with Bilal.

    Attributes:
        rooms: The two rooms of ITT and FIN, by the server that made each.
        events: An event of Amna in each of them.
        other: The room of FIN and LAW.
    """

    amna: Any
    bilal: Any
    rehana: Any
    rooms: dict[str, str]
    events: dict[str, str]
    other: str
    alias: str
    media_id: str


@pytest.fixture(scope="module")
def scene(ministries: Any) -> Scene:
    ministries.follow(apart=[APART])
    # People of their own: in other tests of this network ITT and LAW do meet.
    amna = ministries.person(ITT, "amna.apart")
    bilal = ministries.person(FIN, "bilal.apart")
    rehana = ministries.person(LAW, "rehana.apart")
    amna.ask("PUT", f"profile/{amna.user_id}/displayname", {"displayname": "Amna-of-ITT"})
    alias = "room-of-the-two"
    rooms = {
        ITT: amna.create_room(name="Named-by-ITT"),
        FIN: bilal.create_room(name="Named-by-FIN", room_alias_name=alias),
        KNOCKABLE: bilal.create_room(
            initial_state=[
                {"type": "org.rabta.room.class", "content": {"class": "unclassified"}},
                {"type": "m.room.join_rules", "content": {"join_rule": "knock"}},
            ],
            power_level_content_override={"users": {bilal.user_id: 100, amna.user_id: 50}},
        ),
    }
    bilal.comes(rooms[ITT], by=amna)
    for home in (FIN, KNOCKABLE):
        amna.comes(rooms[home], by=bilal)
    named = amna.ask(
        "PUT", f"rooms/{quote(rooms[KNOCKABLE])}/state/m.room.name", {"name": "Named-by-ITT"}
    )
    assert named.status == 200, named.body
    uploaded = request(
        "POST",
        f"{amna.client_url}/_matrix/media/v3/upload",
        json_body={"file": SECRET},
        token=amna._token,
    )
    media_id = str(uploaded.body["content_uri"]).rpartition("/")[2]
    fetched = f"{bilal.client_url}/_matrix/client/v1/media/download/{ITT}/{media_id}"
    assert request("GET", fetched, token=bilal._token).body == {"file": SECRET}
    other = bilal.create_room(name="With-LAW")
    rehana.comes(other, by=bilal)
    events = {home: amna.say(room, f"{SECRET}-{home}") for home, room in rooms.items()}
    for home, room in rooms.items():
        assert bilal.hears(room, f"{SECRET}-{home}")
        bilal.say(room, f"FIN-to-ITT-{home}")
        assert amna.hears(room, f"FIN-to-ITT-{home}")
    # Whatever FIN would pass on comes after this, and in order.
    bilal.say(other, "FIN-to-LAW")
    assert rehana.hears(other, "FIN-to-LAW")
    rehana.say(other, "LAW-to-FIN")
    assert bilal.hears(other, "LAW-to-FIN")
    return Scene(amna, bilal, rehana, rooms, events, other, f"#{alias}:{FIN}", media_id)


# The name itt.gov.test is no secret: the signed policy names every server, and so do the ACLs.
def test_the_database_of_the_third_holds_nothing_of_the_first(
    ministries: Any, scene: Scene
) -> None:
    needles = [
        SECRET,
        scene.amna.user_id,
        "Amna-of-ITT",
        "Named-by-ITT",
        *scene.rooms.values(),
    ]
    assert {needle: ministries.stored(LAW, needle) for needle in needles} == {
        needle: [] for needle in needles
    }
    # The search finds what is there: FIN holds all of it, and LAW what FIN said to it.
    assert all(ministries.stored(FIN, needle) for needle in needles)
    assert ministries.stored(LAW, "FIN-to-LAW")


def test_the_one_between_cannot_bring_the_two_together(scene: Scene) -> None:
    for home, reason in ((ITT, "owner-has-no-right"), (FIN, "no-permit")):
        refused = scene.bilal.invite(scene.rooms[home], scene.rehana.user_id)
        assert (refused.status, refused.body.get("org.rabta.reason")) == (403, reason)
    refused = scene.bilal.invite(scene.other, scene.amna.user_id)
    assert (refused.status, refused.body.get("org.rabta.reason")) == (403, "no-permit")
    both = {"preset": "private_chat", "invite": [scene.amna.user_id, scene.rehana.user_id]}
    refused = scene.bilal.ask("POST", "createRoom", both)
    assert (refused.status, refused.body.get("org.rabta.reason")) == (403, "no-permit")


def test_of_two_who_may_not_meet_only_one_is_invited_to_a_room(scene: Scene) -> None:
    room = scene.bilal.create_room(name="For-one-of-them")
    assert scene.bilal.invite(room, scene.amna.user_id).status == 200
    refused = scene.bilal.invite(room, scene.rehana.user_id)
    assert (refused.status, refused.body.get("org.rabta.reason")) == (403, "no-permit")


def asked_about(scene: Scene, home: str) -> list[tuple[str, str, Any]]:
    """Everything the specification lets a server ask about a room and the people in it."""
    room, event, user = (
        quote(text, safe="") for text in (scene.rooms[home], scene.events[home], scene.amna.user_id)
    )
    fed = "/_matrix/federation"
    latest = {"latest_events": [scene.events[home]], "earliest_events": [], "limit": 10}
    spy = quote(scene.rehana.user_id, safe="")
    versions = "ver=10&ver=11&ver=12"
    return [
        ("GET", f"{fed}/v1/state/{room}?event_id={event}", None),
        ("GET", f"{fed}/v1/state_ids/{room}?event_id={event}", None),
        ("GET", f"{fed}/v1/backfill/{room}?v={event}&limit=50", None),
        ("POST", f"{fed}/v1/get_missing_events/{room}", latest),
        ("GET", f"{fed}/v1/event/{event}", None),
        ("GET", f"{fed}/v1/event_auth/{room}/{event}", None),
        ("GET", f"{fed}/v1/timestamp_to_event/{room}?ts=0&dir=f", None),
        ("GET", f"{fed}/v1/make_join/{room}/{spy}?{versions}", None),
        ("GET", f"{fed}/v1/make_knock/{room}/{spy}?{versions}", None),
        ("GET", f"{fed}/v1/hierarchy/{room}", None),
        ("GET", f"{fed}/v1/query/directory?room_alias={quote(scene.alias)}", None),
        ("GET", f"{fed}/v1/query/profile?user_id={user}", None),
        ("GET", f"{fed}/v1/user/devices/{user}", None),
        ("POST", f"{fed}/v1/user/keys/query", {"device_keys": {scene.amna.user_id: []}}),
        (
            "POST",
            f"{fed}/v1/user/keys/claim",
            {"one_time_keys": {scene.amna.user_id: {"A": "signed_curve25519"}}},
        ),
        ("GET", f"{fed}/v1/publicRooms", None),
        ("GET", f"{fed}/v1/media/download/{scene.media_id}", None),
        ("GET", f"{fed}/v1/media/thumbnail/{scene.media_id}?width=9&height=9", None),
    ]


@pytest.mark.parametrize("home", [ITT, FIN, KNOCKABLE])
@pytest.mark.parametrize("number", range(18))
def test_signed_requests_of_the_third_learn_nothing(
    ministries: Any, scene: Scene, home: str, number: int
) -> None:
    method, path, content = asked_about(scene, home)[number]
    for asked in (FIN, ITT):
        status, answer = ministries.signed(LAW, asked, method, path, content)
        # What was sent is no news.
        for sent in (scene.rooms[home], scene.events[home], scene.amna.user_id, scene.alias):
            answer = answer.replace(sent, "")
        needles = [SECRET, "Amna-of-ITT", "Named-by", ITT]
        if asked == FIN:
            needles.append("ITT")  # nor by a refusal that says who is in the room
        told = [needle for needle in needles if needle in answer]
        assert (asked, status, told, answer if told else "") == (asked, status, [], "")
        assert "curve25519" not in answer
        if "keys" not in path:  # asked for several people at once, they answer with none
            assert status >= 400, (asked, answer)


def test_the_third_does_not_come_to_what_was_said_before_it_came(scene: Scene) -> None:
    room = scene.bilal.create_room(name="After-ITT")
    scene.amna.comes(room, by=scene.bilal)
    scene.amna.say(room, f"{SECRET}-and-left")
    assert scene.bilal.hears(room, f"{SECRET}-and-left")
    assert scene.amna.leave(room).status == 200
    assert until(lambda: scene.bilal.members(room)[scene.amna.user_id] == "leave", within_s=20)
    refused = scene.bilal.invite(room, scene.rehana.user_id)
    assert (refused.status, refused.body.get("org.rabta.reason")) == (403, "history-of-others")
    fresh = scene.bilal.create_room(name="Without-ITT")
    assert scene.bilal.invite(fresh, scene.rehana.user_id).status == 200


def test_a_knock_of_the_third_is_not_heard_by_the_first(scene: Scene) -> None:
    room = scene.rooms[KNOCKABLE]
    knocked = scene.rehana.ask("POST", f"knock/{quote(room)}?via={FIN}", {"reason": "From-LAW"})
    assert knocked.status >= 400
    assert scene.rehana.user_id not in scene.bilal.members(room)


@pytest.mark.parametrize("home", [ITT, FIN, KNOCKABLE])
def test_the_third_does_not_come_in_through_the_one_between(scene: Scene, home: str) -> None:
    room = scene.rooms[home]
    refused = scene.bilal.invite(room, scene.rehana.user_id)
    assert refused.status == 403
    for via in (FIN, ITT, ""):
        assert scene.rehana.join(room, via).status >= 400
    if home == FIN:
        assert scene.rehana.ask("GET", f"directory/room/{quote(scene.alias)}").status >= 400
        assert scene.rehana.join(scene.alias, FIN).status >= 400
    assert room not in scene.rehana.rooms()
    assert scene.rehana.user_id not in scene.bilal.members(room)
    assert scene.rehana.user_id not in scene.amna.members(room)


def test_a_transaction_of_the_third_about_their_room_changes_nothing(
    ministries: Any, scene: Scene
) -> None:
    for home, room in scene.rooms.items():
        typing = {"room_id": room, "user_id": scene.rehana.user_id, "typing": True}
        message = {
            "type": "m.room.message",
            "sender": scene.rehana.user_id,
            "room_id": room,
            "content": {"body": "let me in"},
            "origin_server_ts": 1,
            "depth": 100,
            "prev_events": [scene.events[home]],
            "auth_events": [],
            "hashes": {"sha256": "x"},
            "signatures": {},
        }
        body = {
            "origin": LAW,
            "origin_server_ts": 1,
            "pdus": [message],
            "edus": [{"edu_type": "m.typing", "content": typing}],
        }
        for asked in (FIN, ITT):
            txn = f"{home}-{asked}"
            path = f"/_matrix/federation/v1/send/{txn}"
            ministries.signed(LAW, asked, "PUT", path, body)
            assert ministries.stored(asked, "let me in") == []


def test_at_the_end_the_database_of_the_third_holds_nothing_that_the_first_wrote(
    ministries: Any, scene: Scene
) -> None:
    scene.bilal.say(scene.other, "FIN-to-LAW-at-the-end")
    assert scene.rehana.hears(scene.other, "FIN-to-LAW-at-the-end")
    needles = [SECRET, scene.amna.user_id, "Amna-of-ITT", "Named-by-ITT"]
    assert {needle: ministries.stored(LAW, needle) for needle in needles} == {
        needle: [] for needle in needles
    }
