"""On a real Synapse: rooms are born with their class, stay encrypted, and keep their label."""

from typing import Any

import pytest
from network import Network, Person

from rabta_deploy.jsonhttp import request

pytestmark = pytest.mark.network

MEGOLM = "m.megolm.v1.aes-sha2"
LABEL = "org.rabta.room.class"
RECORD = "org.rabta.room.record"
DOOR = {"archiver": "@archive:itt.gov.test", "archived_classes": ["restricted"]}
TEXT = {"msgtype": "m.text", "body": "x"}
OVERRIDES = {
    "room_list_publication_rules": [{"action": "allow"}],
    "max_event_delay_duration": "1h",
}


@pytest.fixture(scope="module")
def amna(network: Network) -> Person:
    network.issue()
    network.start()
    return network.person("amna")


@pytest.fixture(params=["11", "12"])
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True)
async def _in_force(network: Network, eventually: Any, amna: Person) -> None:
    await eventually(lambda: amna.user_id and network.in_force())


async def test_a_room_is_born_with_what_its_class_asks(amna: Person, version: str) -> None:
    room_id = amna.room(room_version=version)
    assert amna.state(room_id, "m.room.encryption") == {"algorithm": MEGOLM}
    assert amna.state(room_id, LABEL) == {"class": "restricted", "owner": "ITT"}
    assert amna.state(room_id, "m.room.create")[LABEL] == {"class": "restricted", "owner": "ITT"}
    assert amna.state(room_id, "m.room.server_acl") == {
        "allow": ["fin.gov.test", "itt.gov.test"],
        "deny": [],
        "allow_ip_literals": False,
    }
    assert amna.state(room_id, "m.room.guest_access") == {"guest_access": "forbidden"}
    levels = amna.state(room_id, "m.room.power_levels")["events"]
    for guarded in (LABEL, "m.room.encryption", "m.room.server_acl", "m.room.power_levels"):
        assert levels[guarded] == 100


async def test_a_class_that_does_not_federate_is_made_so_for_ever(
    amna: Person, version: str
) -> None:
    label = {"type": LABEL, "state_key": "", "content": {"class": "confidential"}}
    room_id = amna.room(room_version=version, initial_state=[label])
    assert amna.state(room_id, "m.room.create")["m.federate"] is False
    assert amna.state(room_id, "m.room.history_visibility") == {"history_visibility": "invited"}
    assert amna.state(room_id, "m.room.server_acl")["allow"] == ["itt.gov.test"]
    assert amna.invite(room_id, "@x:fin.gov.test").reason == "class-does-not-federate"


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"preset": "public_chat"}, "join-rule-looser-than-class"),
        ({"visibility": "public", "preset": "private_chat"}, "class-not-published"),
        ({"invite": ["@x:war.gov.test"]}, "no-permit"),
        ({"invite": ["@x:nobody.test"]}, "server-unknown"),
        (
            {"initial_state": [{"type": LABEL, "content": {"class": "secret"}}]},
            "class-unknown",
        ),
        (
            {"initial_state": [{"type": "m.room.encryption", "content": {"algorithm": "rot13"}}]},
            "encryption-algorithm",
        ),
        (
            {
                "initial_state": [
                    {
                        "type": "m.room.history_visibility",
                        "content": {"history_visibility": "world_readable"},
                    }
                ]
            },
            "history-looser-than-class",
        ),
        (
            {"creation_content": {"additional_creators": ["@x:fin.gov.test"]}},
            "foreign-creator",
        ),
        (
            {
                "power_level_content_override": {
                    "users": {"@amna:itt.gov.test": 100, "@x:fin.gov.test": 100}
                }
            },
            "foreign-power",
        ),
        (
            {
                "invite_3pid": [
                    {
                        "medium": "email",
                        "address": "a@b.test",
                        "id_server": "id.test",
                        "id_access_token": "t",
                    }
                ]
            },
            "address-not-a-server",
        ),
    ],
)
async def test_a_creation_beyond_its_class_is_refused_before_anything_is_made(
    amna: Person, config: dict[str, Any], reason: str
) -> None:
    before = amna.call("GET", "/joined_rooms").body
    refused = amna.create_room(**config)
    assert (refused.status, refused.reason) == (403, reason)
    assert amna.call("GET", "/joined_rooms").body == before


async def test_a_server_administrator_is_judged_like_everybody(network: Network) -> None:
    admin = network.person("chief", admin=True)
    room_id = admin.room()
    assert admin.invite(room_id, "@x:war.gov.test").reason == "no-permit"
    assert admin.invite(room_id, "@x:fin.gov.test").status == 200
    assert admin.create_room(invite=["@x:war.gov.test"]).reason == "no-permit"
    assert admin.send(room_id, "m.room.message", TEXT).reason == "plain-content"
    looser = {"history_visibility": "world_readable"}
    refused = admin.set_state(room_id, "m.room.history_visibility", looser)
    assert refused.reason == "history-looser-than-class"


async def test_plain_content_is_refused_with_words_and_encrypted_content_passes(
    amna: Person, version: str
) -> None:
    room_id = amna.room(room_version=version)
    refused = amna.send(room_id, "m.room.message", TEXT)
    assert (refused.status, refused.reason) == (403, "plain-content")
    assert "encryption" in refused.body["error"]
    for plain in ("m.sticker", "m.call.invite"):
        assert amna.send(room_id, plain, {"body": "x"}).reason == "plain-content"
    sent = amna.send(room_id, "m.room.encrypted", {"algorithm": MEGOLM, "ciphertext": "x"})
    assert sent.status == 200
    relation = {"rel_type": "m.annotation", "event_id": sent.body["event_id"], "key": "+"}
    reaction = {"m.relates_to": relation}
    assert amna.send(room_id, "m.reaction", reaction).status == 200


async def test_an_event_that_was_to_be_sent_later_is_judged_when_it_is_sent(
    network: Network, amna: Person, eventually: Any
) -> None:
    """MSC4140, which calls use: the homeserver sends it, when nobody asks any more."""
    room_id = amna.room()

    def later(event_type: str, content: dict[str, Any], *, state: bool = False) -> None:
        where = f"state/{event_type}/" if state else f"send/{event_type}/t{event_type}"
        path = f"/rooms/{room_id}/{where}?org.matrix.msc4140.delay=10"
        assert "delay_id" in amna.call("PUT", path, content).body

    later("m.room.message", TEXT)
    later("m.room.join_rules", {"join_rule": "public"}, state=True)
    later("m.room.encrypted", {"algorithm": MEGOLM, "ciphertext": "later"})

    def judged() -> bool:
        lines = [line for line in network.audited() if line.get("room") == room_id]
        refused = {reason for line in lines for reason in line.get("reasons", ())}
        types = [event["type"] for event in amna.messages(room_id)]
        wanted = {"plain-content", "join-rule-looser-than-class"}
        return refused >= wanted and "m.room.encrypted" in types

    await eventually(judged)
    assert "m.room.message" not in [event["type"] for event in amna.messages(room_id)]
    assert amna.state(room_id, "m.room.join_rules") == {"join_rule": "invite"}


async def test_encryption_cannot_be_changed_emptied_or_redacted(amna: Person, version: str) -> None:
    room_id = amna.room(room_version=version)
    for content in ({}, {"algorithm": "rot13"}, {"algorithm": MEGOLM, "rotation_period_ms": 1}):
        refused = amna.set_state(room_id, "m.room.encryption", content)
        assert (refused.status, refused.reason) == (403, "encryption-fixed")
    state = amna.call("GET", f"/rooms/{room_id}/state").body
    for guarded in ("m.room.encryption", "m.room.server_acl", LABEL):
        (event_id,) = [event["event_id"] for event in state if event["type"] == guarded]
        refused = amna.call("PUT", f"/rooms/{room_id}/redact/{event_id}/t{guarded}", {})
        assert (refused.status, refused.reason) == (403, "redaction-of-guard")
    assert amna.state(room_id, "m.room.encryption") == {"algorithm": MEGOLM}


async def test_a_label_can_be_raised_and_never_lowered(amna: Person, version: str) -> None:
    label = {"type": LABEL, "state_key": "", "content": {"class": "unclassified"}}
    room_id = amna.room(room_version=version, initial_state=[label])
    assert amna.set_state(room_id, LABEL, {"class": "restricted"}).status == 200
    refused = amna.set_state(room_id, LABEL, {"class": "unclassified"})
    assert (refused.status, refused.reason) == (403, "label-lowered")
    assert amna.set_state(room_id, LABEL, {}).reason == "class-unknown"
    assert amna.set_state(room_id, LABEL, {"class": "Restricted"}).reason == "class-unknown"
    assert amna.state(room_id, LABEL) == {"class": "restricted"}


async def test_a_record_category_is_lengthened_and_never_shortened(
    amna: Person, version: str
) -> None:
    room_id = amna.room(room_version=version)
    assert amna.set_state(room_id, RECORD, {"category": "D"}).status == 200
    assert amna.set_state(room_id, RECORD, {"category": "B"}).status == 200
    refused = amna.set_state(room_id, RECORD, {"category": "C"})
    assert (refused.status, refused.reason) == (403, "category-shortened")
    assert amna.set_state(room_id, RECORD, {"category": "b"}).reason == "category-unknown"
    assert amna.set_state(room_id, RECORD, {}).reason == "category-unknown"
    assert amna.state(room_id, RECORD) == {"category": "B"}
    assert amna.state(room_id, "m.room.power_levels")["events"][RECORD] == 100
    # By this event another server would destroy, and clients hide.
    refused = amna.set_state(room_id, "m.room.retention", {"max_lifetime": 1})
    assert (refused.status, refused.reason) == (403, "lifetime-by-category")


async def test_the_records_officer_sets_a_category_without_coming_in(
    network: Network, amna: Person, version: str
) -> None:
    room_id = amna.room(room_version=version)
    url = f"{amna.homeserver.client_url}/_synapse/client/rabta/room_record"
    body = {"room": room_id, "category": "B", "order": "1-5/2026(R)"}
    refused = request("POST", url, json_body=body, token=amna.token)
    assert (refused.status, refused.body["org.rabta.reason"]) == (403, "not-an-administrator")
    officer = amna.homeserver.admin_token
    answer = request("POST", url, json_body=body, token=officer)
    assert answer == (200, {"room_id": room_id, "before": None})
    assert amna.state(room_id, RECORD) == {"category": "B"}
    assert set(amna.members(room_id)) <= {amna.user_id, "@archive:itt.gov.test"}
    answer = request("POST", url, json_body={**body, "category": "D"}, token=officer)
    assert answer.body["org.rabta.reason"] == "category-shortened"
    noted = [r for r in network.audited() if r["action"] == "set-category"]
    assert noted[-1]["ref"] == "1-5/2026(R)"


async def test_state_looser_than_the_class_is_refused(amna: Person, version: str) -> None:
    room_id = amna.room(room_version=version)
    table = [
        ("m.room.join_rules", {"join_rule": "public"}, "join-rule-looser-than-class"),
        ("m.room.join_rules", {"join_rule": "knock"}, "join-rule-looser-than-class"),
        ("m.room.guest_access", {"guest_access": "can_join"}, "guests-looser-than-class"),
        (
            "m.room.server_acl",
            {"allow": ["*"], "deny": [], "allow_ip_literals": False},
            "acl-wider-than-policy",
        ),
        (
            "m.room.server_acl",
            {"allow": ["itt.gov.test", "war.gov.test"], "allow_ip_literals": False},
            "acl-wider-than-policy",
        ),
    ]
    for event_type, content, reason in table:
        refused = amna.set_state(room_id, event_type, content)
        assert (event_type, refused.status, refused.reason) == (event_type, 403, reason)
    levels = amna.state(room_id, "m.room.power_levels")
    for weak in (
        {**levels, "events": {**levels["events"], LABEL: 50}},
        {**levels, "events": {**levels["events"], "m.room.join_rules": 50}},
        {**levels, "redact": 50},
    ):
        assert amna.set_state(room_id, "m.room.power_levels", weak).reason == "guard-weakened"
    foreign = {**levels, "users": {**levels["users"], "@x:fin.gov.test": 100}}
    assert amna.set_state(room_id, "m.room.power_levels", foreign).reason == "foreign-power"
    moderator = {**levels, "users": {**levels["users"], "@x:fin.gov.test": 50}}
    assert amna.set_state(room_id, "m.room.power_levels", moderator).status == 200


@pytest.mark.parametrize(("old", "new"), [("11", "11"), ("11", "12"), ("12", "12")])
@pytest.mark.parametrize("room_class", ["unclassified", "restricted", "confidential"])
async def test_an_upgraded_room_keeps_its_class(
    amna: Person, eventually: Any, old: str, new: str, room_class: str
) -> None:
    label = {"type": LABEL, "state_key": "", "content": {"class": room_class}}
    record = {"type": RECORD, "state_key": "", "content": {"category": "B"}}
    room_id = amna.room(room_version=old, initial_state=[label, record])
    upgraded = amna.call("POST", f"/rooms/{room_id}/upgrade", {"new_version": new})
    assert upgraded.status == 200, upgraded
    room_id = upgraded.body["replacement_room"]
    assert amna.state(room_id, "m.room.create")[LABEL]["class"] == room_class
    await eventually(lambda: amna.state(room_id, LABEL), what="the visible label")
    assert amna.state(room_id, LABEL) == {"class": room_class, "owner": "ITT"}
    await eventually(lambda: amna.state(room_id, RECORD), what="the visible record category")
    assert amna.state(room_id, RECORD) == {"category": "B"}
    assert amna.state(room_id, "m.room.create")[RECORD] == {"category": "B"}
    assert amna.state(room_id, "m.room.encryption") == {"algorithm": MEGOLM}
    federates = amna.state(room_id, "m.room.create").get("m.federate", True)
    assert federates is (room_class != "confidential")


async def test_a_trusted_private_chat_hands_no_power_to_another_ministry(
    amna: Person, version: str
) -> None:
    room_id = amna.room(
        room_version=version, preset="trusted_private_chat", invite=["@x:fin.gov.test"]
    )
    create = amna.state(room_id, "m.room.create")
    assert "additional_creators" not in create
    assert "@x:fin.gov.test" not in amna.state(room_id, "m.room.power_levels")["users"]
    # Among people of one ministry it stays what it is.
    ours = amna.room(
        room_version=version, preset="trusted_private_chat", invite=["@chief:itt.gov.test"]
    )
    create, levels = amna.state(ours, "m.room.create"), amna.state(ours, "m.room.power_levels")
    shared = create.get("additional_creators") if version == "12" else levels["users"]
    assert "@chief:itt.gov.test" in shared
    refused = amna.call(
        "POST",
        f"/rooms/{room_id}/upgrade",
        {"new_version": "12", "additional_creators": ["@x:fin.gov.test"]},
    )
    assert (refused.status, refused.reason) == (403, "foreign-creator")


async def test_an_address_cannot_be_invited(amna: Person) -> None:
    room_id = amna.room()
    address = {
        "medium": "email",
        "address": "a@b.test",
        "id_server": "id.test",
        "id_access_token": "t",
    }
    assert amna.call("POST", f"/rooms/{room_id}/invite", address).status == 403
    invite = {"display_name": "a", "key_validity_url": "x", "public_key": "x"}
    refused = amna.set_state(room_id, "m.room.third_party_invite", invite, "token")
    assert refused.reason == "address-not-a-server"


async def test_only_a_class_that_publishes_stands_in_the_directory(amna: Person) -> None:
    room_id = amna.room()
    path = f"/directory/list/room/{room_id}"
    refused = amna.call("PUT", path, {"visibility": "public"})
    assert (refused.status, refused.reason) == (403, "class-not-published")
    label = {"type": LABEL, "state_key": "", "content": {"class": "unclassified"}}
    open_room = amna.room(initial_state=[label], visibility="public", preset="public_chat")
    assert amna.call("GET", f"/directory/list/room/{open_room}").body == {"visibility": "public"}


async def test_a_space_is_labelled_and_holds_no_messages(amna: Person) -> None:
    room_id = amna.room(creation_content={"type": "m.space"})
    assert amna.state(room_id, LABEL) == {"class": "restricted", "owner": "ITT"}
    assert amna.send(room_id, "m.room.message", TEXT).reason == "plain-content"


async def test_people_see_the_class_in_the_topic_whoever_changes_it(
    amna: Person, eventually: Any, version: str
) -> None:
    label = {"type": LABEL, "state_key": "", "content": {"class": "unclassified"}}
    topic = {"type": "m.room.topic", "state_key": "", "content": {"topic": "[Restricted] Budget"}}

    def said(room_id: str) -> str:
        found = amna.state(room_id, "m.room.topic")
        return found["topic"] if found else ""

    assert said(amna.room(room_version=version)) == "[Restricted]"
    assert said(amna.room(room_version=version, topic="Budget")) == "[Restricted] Budget"
    room_id = amna.room(room_version=version, initial_state=[label, topic])
    assert said(room_id) == "[Unclassified] Budget"
    assert amna.set_state(room_id, "m.room.topic", {"topic": "Roads"}).status == 200
    await eventually(lambda: said(room_id) == "[Unclassified] Roads")
    assert amna.set_state(room_id, LABEL, {"class": "confidential"}).status == 200
    await eventually(lambda: said(room_id) == "[Confidential] Roads")


@pytest.fixture(scope="module")
def archive(network: Network, amna: Person) -> Person:
    assert amna.user_id
    return network.person("archive")


async def test_a_new_room_of_an_archived_class_invites_the_archiver_for_all_to_see(
    amna: Person, archive: Person, version: str
) -> None:
    room_id = amna.room(room_version=version)
    assert amna.members(room_id) == {amna.user_id: "join", archive.user_id: "invite"}
    for spared in ({"is_direct": True}, {"creation_content": {"type": "m.space"}}):
        assert amna.members(amna.room(room_version=version, **spared)) == {amna.user_id: "join"}
    label = {"type": LABEL, "state_key": "", "content": {"class": "unclassified"}}
    elsewhere = amna.room(room_version=version, initial_state=[label])
    assert amna.members(elsewhere) == {amna.user_id: "join"}

    url = f"{amna.homeserver.client_url}/_synapse/client/rabta/room_record"
    body = {"room": elsewhere, "archiver": True, "order": "1-6/2026(R)"}
    refused = request("POST", url, json_body=body, token=amna.token)
    assert refused.body["org.rabta.reason"] == "not-an-administrator"
    for _ in range(2):
        answer = request("POST", url, json_body=body, token=amna.homeserver.admin_token)
        assert answer == (200, {"room_id": elsewhere, "archiver": archive.user_id})
    assert amna.members(elsewhere) == {amna.user_id: "join", archive.user_id: "invite"}
