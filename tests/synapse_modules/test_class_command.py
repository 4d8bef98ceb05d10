"""On a real Synapse: the ministry's bot raises a class for officers who may, and no other."""

from typing import Any

import pytest
from hostile import Answer
from network import Network, Person

from rabta_deploy.jsonhttp import request

pytestmark = pytest.mark.network

BOT = "@rabta:itt.gov.test"
DOOR = {"ministry_bot": BOT}
LABEL = "org.rabta.room.class"
LOWEST = [{"type": LABEL, "state_key": "", "content": {"class": "unclassified"}}]


@pytest.fixture(scope="module")
def bot(network: Network) -> Person:
    network.issue()
    network.start()
    return network.person("rabta")


@pytest.fixture(scope="module")
def amna(network: Network, bot: Person) -> Person:
    assert bot.user_id == BOT
    return network.person("amna")


@pytest.fixture(scope="module")
def bilal(network: Network, bot: Person) -> Person:
    assert bot.user_id == BOT
    return network.person("bilal")


@pytest.fixture(autouse=True)
async def _in_force(network: Network, eventually: Any, amna: Person) -> None:
    await eventually(lambda: amna.user_id and network.in_force())


def ask(who: Person, *, token: str | None = None, **body: object) -> Answer:
    """Ask the door for a class, as somebody, or with another token than theirs."""
    url = f"{who.homeserver.client_url}/_synapse/client/rabta/room_class"
    token = who.token if token is None else token
    return Answer(*request("POST", url, json_body=body, token=token))


def label(who: Person, room_id: str) -> tuple[str, str, dict[str, Any]]:
    """Id, sender and content of the label's state event, as the room shows it."""
    found: list[dict[str, Any]] = who.call("GET", f"/rooms/{room_id}/state").body
    event = next(event for event in found if event["type"] == LABEL)
    return event["event_id"], event["sender"], event["content"]


@pytest.mark.parametrize("version", ["11", "12"])
async def test_the_bot_raises_a_class_in_the_name_of_an_officer_who_may_and_stays_outside(
    bot: Person, amna: Person, network: Network, eventually: Any, version: str
) -> None:
    alias = f"raised{version}"
    room_id = amna.room(room_version=version, initial_state=LOWEST, room_alias_name=alias)
    before = amna.members(room_id)

    raised = ask(bot, officer=amna.user_id, room=room_id, **{"class": "restricted"})
    assert raised == (200, {"room_id": room_id, "class": "restricted", "before": "unclassified"})
    assert label(amna, room_id)[1:] == (amna.user_id, {"class": "restricted", "owner": "ITT"})

    name = f"#{alias}:itt.gov.test"
    raised = ask(bot, officer=amna.user_id, room=name, **{"class": "confidential"})
    assert raised.body["before"] == "restricted"
    # What the class asks follows, as after any raised label; who is in does not change here.
    await eventually(
        lambda: (
            (amna.state(room_id, "m.room.history_visibility") or {}).get("history_visibility")
            == "invited"
        )
    )
    await eventually(
        lambda: (amna.state(room_id, "m.room.topic") or {}).get("topic") == "[Confidential]"
    )
    assert amna.members(room_id) == before == {amna.user_id: "join"}
    told = [line for line in network.audited() if line["path"] == "class_command"]
    assert {line["room_class"] for line in told if line.get("room") == room_id} == {
        "restricted",
        "confidential",
    }


@pytest.mark.parametrize("version", ["11", "12"])
async def test_the_bot_raises_nothing_for_an_officer_who_may_not(
    bot: Person, amna: Person, bilal: Person, version: str
) -> None:
    room_id = amna.room(room_version=version, invite=[bilal.user_id])
    assert bilal.join(room_id).status == 200
    elsewhere = bilal.room(room_version=version)
    born = label(amna, room_id)
    table = [
        (bilal.user_id, room_id, "confidential", "no-power-to-raise"),
        (bot.user_id, room_id, "confidential", "not-in-room"),
        ("@farah:fin.gov.test", room_id, "confidential", "not-in-room"),
        (amna.user_id, elsewhere, "confidential", "not-in-room"),
        (amna.user_id, "!nowhere:itt.gov.test", "confidential", "not-in-room"),
        (amna.user_id, "#nowhere:itt.gov.test", "confidential", "not-in-room"),
        (amna.user_id, "#budget:fin.gov.test", "confidential", "not-in-room"),
        (amna.user_id, "budget", "confidential", "not-in-room"),
        (amna.user_id, room_id, "unclassified", "label-lowered"),
        (amna.user_id, room_id, "secret", "class-unknown"),
    ]
    for officer, room, room_class, reason in table:
        refused = ask(bot, officer=officer, room=room, **{"class": room_class})
        assert (refused.status, refused.reason) == (403, reason), (officer, room, room_class)
    assert label(amna, room_id) == born

    levels = amna.state(room_id, "m.room.power_levels")
    assert levels is not None
    levels["users"] = {**levels.get("users", {}), bilal.user_id: 100}
    assert amna.set_state(room_id, "m.room.power_levels", levels).status == 200
    assert ask(bot, officer=bilal.user_id, room=room_id, **{"class": "confidential"}).status == 200


async def test_nobody_but_the_bot_may_ask(bot: Person, amna: Person, network: Network) -> None:
    room_id = amna.room()
    body = {"officer": amna.user_id, "room": room_id, "class": "confidential"}
    born = label(amna, room_id)
    for who in (amna, network.person("chief", admin=True)):
        refused = ask(who, **body)
        assert (refused.status, refused.reason) == (403, "not-the-bot")
    assert ask(bot, token="", **body).status == 401
    assert ask(bot, token="syt_forged", **body).status == 401
    assert label(amna, room_id) == born
    assert ask(bot, **{**body, "class": 7}).status == 400
    assert ask(bot, officer=amna.user_id, room=room_id).status == 400
