"""The story, against real processes: put up, carded, approved, confirmed, recorded once, edited."""

import http.client
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rabta_deploy.eoffice_person import Clerk
from rabta_deploy.homeserver import Homeserver
from rabta_deploy.network import Network
from rabta_deploy.story import (
    BUDGET_OFFICER,
    DEPUTY_SECRETARY,
    SECTION_OFFICER,
    decide,
    find_card,
    hears,
    signed_in,
)

pytestmark = pytest.mark.network

WITHIN_S = 60


def stored_event(homeserver: Homeserver, event_id: str) -> dict[str, Any]:
    """An event as the homeserver's own database holds it."""
    with closing(
        sqlite3.connect(f"file:{homeserver.files.database}?mode=ro", uri=True)
    ) as database:
        row = database.execute("SELECT json FROM event_json WHERE event_id = ?", [event_id])
        stored: dict[str, Any] = json.loads(row.fetchone()[0])
    return stored


def everything_of(network: Network) -> Iterator[tuple[str, bytes]]:
    """Every file and every metric of the homeservers and their gateways."""
    for name, ministry in network.ministries.items():
        for path in sorted((network.home / name).rglob("*")):
            if path.is_file():
                yield str(path), path.read_bytes()
        for url in (ministry.homeserver.metrics_url, ministry.gateway_metrics_url):
            assert url is not None
            yield url, page(url)


def page(url: str) -> bytes:
    host, _, path = url.removeprefix("http://").partition("/")
    with closing(http.client.HTTPConnection(host)) as connection:
        connection.request("GET", f"/{path}")
        return connection.getresponse().read()


async def test_a_file_put_up_is_approved_from_one_encrypted_card_and_recorded_once(
    network: Network, put_up: Callable[..., Any], clerk: Callable[[str], Clerk]
) -> None:
    bot = network.bot_user_id
    file = put_up("ITT-DS-ADMN")

    async with signed_in(network.accounts[DEPUTY_SECRETARY]) as officer:
        room, card = await find_card(officer, bot, file.number, within_s=WITHIN_S)
        members = await officer.members(room)
        await decide(officer, bot, room, card, "approve")
        state = await clerk(SECTION_OFFICER).wait_file(
            file.file_id, decided="approved", within_s=WITHIN_S
        )
        edited = await officer.wait_message(
            room, event_id=card["event_id"], edited=True, contains="Approved", within_s=WITHIN_S
        )
        cards = [
            message
            for message in await officer.messages(room, limit=200)
            if message["sender"] == bot and file.subject in (message["body"] or "")
        ]

    assert file.subject in card["body"]
    assert (card["encrypted"], card["shield"]) == (True, "none")
    inside = {user for user, membership in members.items() if membership in {"join", "invite"}}
    assert inside == {bot, network.accounts[DEPUTY_SECRETARY].user_id}
    (decision,) = state["decisions"]
    assert decision["outcome"] == "approved"
    assert decision["channel"] == "chat"
    assert decision["matrix_user"] == network.accounts[DEPUTY_SECRETARY].user_id
    assert decision["post_id"] == "ITT-DS-ADMN"
    assert [message["event_id"] for message in cards] == [card["event_id"]]
    assert file.number in edited["body"]


async def test_the_homeserver_stores_ciphertext_and_holds_the_subject_nowhere(
    network: Network, put_up: Callable[..., Any]
) -> None:
    file = put_up("ITT-DS-ADMN")

    async with signed_in(network.accounts[DEPUTY_SECRETARY]) as officer:
        room, card = await find_card(officer, network.bot_user_id, file.number, within_s=WITHIN_S)
        await officer.send(room, f"I shall read about {file.subject} tomorrow")

    stored = stored_event(network.home_ministry.homeserver, card["event_id"])
    assert stored["type"] == "m.room.encrypted"
    assert stored["content"]["algorithm"] == "m.megolm.v1.aes-sha2"
    assert {"body", "msgtype"} & set(stored["content"]) == set()
    assert stored["content"]["ciphertext"]
    places = dict(everything_of(network))
    database = str(network.home_ministry.homeserver.files.database)
    assert card["event_id"].encode() in places[database] + places.get(f"{database}-wal", b"")
    for secret in (file.subject, file.number):
        assert [place for place, raw in places.items() if secret.encode() in raw] == []


@pytest.mark.parametrize("room_version", ["11", "12"])
async def test_officers_of_two_ministries_share_an_encrypted_room_across_federation(
    network: Network, room_version: str
) -> None:
    ours, theirs = network.accounts[DEPUTY_SECRETARY], network.accounts[BUDGET_OFFICER]
    words = "The-budget-of-kites-is-agreed"

    async with signed_in(ours) as officer, signed_in(theirs) as guest:
        room = await officer.create_room(
            name="Budget", invite=[theirs.user_id], room_version=room_version
        )
        await guest.wait_room(room=room, inviter=ours.user_id, within_s=WITHIN_S)
        await guest.join(room, within_s=WITHIN_S)
        heard = await hears(officer, guest, room, words)
        back = await hears(guest, officer, room, f"{words}, agreed")

    assert (heard["body"], heard["encrypted"], heard["shield"]) == (words, True, "none")
    assert (back["body"], back["shield"]) == (f"{words}, agreed", "none")
    for account in (ours, theirs):
        assert stored_event(account.homeserver, heard["event_id"])["type"] == "m.room.encrypted"
    assert [place for place, raw in everything_of(network) if words.encode() in raw] == []


async def test_what_is_confidential_comes_as_a_card_without_subject_and_takes_no_decision(
    network: Network, put_up: Callable[..., Any], clerk: Callable[[str], Clerk]
) -> None:
    bot = network.bot_user_id
    file = put_up("ITT-DS-ADMN", classification="CONFIDENTIAL")

    async with signed_in(network.accounts[DEPUTY_SECRETARY]) as officer:
        room, card = await find_card(officer, bot, file.number, within_s=WITHIN_S)
        said = await officer.send(room, "approve", reply_to=card["event_id"])
        answer = await officer.wait_message(room, sender=bot, after=said, within_s=WITHIN_S)

    assert file.subject not in card["body"]
    assert "[grade-not-from-chat]" in answer["body"]
    assert clerk(SECTION_OFFICER).file(file.file_id)["decisions"] == []
    stores: list[Path] = [path for path in (network.home / "bridge").rglob("*") if path.is_file()]
    assert [path for path in stores if file.subject.encode() in path.read_bytes()] == []
