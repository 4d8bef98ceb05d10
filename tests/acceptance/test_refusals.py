"""Who may not decide is refused with a reason, and e-Office's ledger stays empty."""

import itertools
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any
from urllib.parse import quote

import pytest

from rabta_deploy.accounts import Account
from rabta_deploy.eoffice_person import Clerk
from rabta_deploy.jsonhttp import Answer, request
from rabta_deploy.network import Network
from rabta_deploy.officer import Message, Officer, OfficerError
from rabta_deploy.story import (
    BUDGET_OFFICER,
    DEPUTY_SECRETARY,
    LOOKING_AFTER,
    SECTION_OFFICER,
    decide,
    find_card,
    signed_in,
)

pytestmark = pytest.mark.network

WITHIN_S = 60


async def answer_to(
    officer: Officer, network: Network, room: str, said: str, reason: str
) -> Message:
    """The bridge's answer after what was said, holding the reason code."""
    return await officer.wait_message(
        room, sender=network.bot_user_id, after=said, contains=f"[{reason}]", within_s=WITHIN_S
    )


def decisions(clerk: Callable[[str], Clerk], file_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = clerk(SECTION_OFFICER).file(file_id)["decisions"]
    return found


async def test_a_look_after_holder_gets_the_card_and_may_not_decide(
    network: Network, put_up: Callable[..., Any], clerk: Callable[[str], Clerk]
) -> None:
    file = put_up("ITT-DS-IT")

    async with signed_in(network.accounts[LOOKING_AFTER]) as officer:
        room, card = await find_card(officer, network.bot_user_id, file.number, within_s=WITHIN_S)
        said = await officer.send(room, "منظور", reply_to=card["event_id"])
        await answer_to(officer, network, room, said, "look-after-may-not-decide")

    assert decisions(clerk, file.file_id) == []


def move_on_unheard(network: Network, file_id: str) -> None:
    """The file moves on in e-Office, and the event of it is still under way to the bridge."""
    with closing(sqlite3.connect(network.office.eoffice_directory / "eoffice.db")) as database:
        database.execute(
            "UPDATE files SET movement_no = movement_no + 1 WHERE file_id = ?", [file_id]
        )
        database.commit()


async def test_a_decision_on_a_movement_that_is_past_is_refused_by_eoffice_as_stale(
    network: Network, put_up: Callable[..., Any], clerk: Callable[[str], Clerk]
) -> None:
    file = put_up("ITT-DS-ADMN")

    async with signed_in(network.accounts[DEPUTY_SECRETARY]) as officer:
        room, card = await find_card(officer, network.bot_user_id, file.number, within_s=WITHIN_S)
        move_on_unheard(network, file.file_id)
        question = await decide(officer, network.bot_user_id, room, card, "approve")
        await answer_to(officer, network, room, question["event_id"], "stale-movement")

    assert decisions(clerk, file.file_id) == []


async def test_a_card_that_was_pulled_back_takes_no_decision_though_the_file_came_again(
    network: Network, put_up: Callable[..., Any], clerk: Callable[[str], Clerk]
) -> None:
    file = put_up("ITT-DS-ADMN")
    author, post = clerk(SECTION_OFFICER), network.accounts[SECTION_OFFICER].post_id

    async with signed_in(network.accounts[DEPUTY_SECRETARY]) as officer:
        room, old = await find_card(officer, network.bot_user_id, file.number, within_s=WITHIN_S)
        author.act(file.file_id, "pull-back", post)
        author.act(file.file_id, "put-up", post, to_post="ITT-DS-ADMN", note="Corrected.")
        await officer.wait_message(
            room,
            sender=network.bot_user_id,
            after=old["event_id"],
            contains=file.number,
            within_s=WITHIN_S,
        )
        said = await officer.send(room, "approve", reply_to=old["event_id"])
        await answer_to(officer, network, room, said, "card-withdrawn")

    assert decisions(clerk, file.file_id) == []


async def test_a_device_that_its_owner_has_not_signed_is_refused(
    network: Network, put_up: Callable[..., Any], clerk: Callable[[str], Clerk]
) -> None:
    file = put_up("ITT-DS-ADMN")
    account = network.accounts[DEPUTY_SECRETARY]

    async with signed_in(account) as officer, Officer() as careless:
        room, card = await find_card(officer, network.bot_user_id, file.number, within_s=WITHIN_S)
        await careless.login(
            account.homeserver.client_url, account.user_id, account.password, mode="unsigned"
        )
        said = await careless.send(room, "approve", reply_to=card["event_id"])
        await answer_to(officer, network, room, said, "unsigned-device")
        # Nor was it given the key to read the card with.
        shown = await careless.wait_message(room, event_id=card["event_id"], within_s=WITHIN_S)
        await careless.logout()

    assert not shown["decrypted"]
    assert decisions(clerk, file.file_id) == []


async def test_a_holder_lets_nobody_else_into_the_room_of_a_post(
    network: Network, put_up: Callable[..., Any], clerk: Callable[[str], Clerk]
) -> None:
    file = put_up("ITT-DS-ADMN")
    stranger = network.accounts[BUDGET_OFFICER]

    async with (
        signed_in(network.accounts[DEPUTY_SECRETARY]) as officer,
        signed_in(stranger) as guest,
    ):
        room, _ = await find_card(officer, network.bot_user_id, file.number, within_s=WITHIN_S)
        with pytest.raises(OfficerError) as invited:
            await officer.invite(room, stranger.user_id)
        with pytest.raises(OfficerError):
            await guest.join(room, within_s=WITHIN_S)
        members = await officer.members(room)

    assert invited.value.errcode == "M_FORBIDDEN"
    assert stranger.user_id not in members
    assert decisions(clerk, file.file_id) == []


class Administrator:
    """Who runs the homeserver, and so may write in any officer's name and see every event."""

    def __init__(self, account: Account) -> None:
        homeserver = account.homeserver
        self._url = homeserver.client_url
        taken = request(
            "POST",
            f"{self._url}/_synapse/admin/v1/users/{account.user_id}/login",
            json_body={},
            token=homeserver.admin_token,
        )
        self._token = str(taken.body["access_token"])
        self._numbers = itertools.count()

    def write(self, room: str, event_type: str, content: dict[str, Any]) -> Answer:
        """Send an event as the officer, as it is."""
        url = f"{self._url}/_matrix/client/v3/rooms/{quote(room)}/send/{event_type}"
        return request(
            "PUT", f"{url}/forged{next(self._numbers)}", json_body=content, token=self._token
        )

    def seen(self, room: str, sender: str) -> list[dict[str, Any]]:
        """The encrypted events of somebody, oldest first, as the server has them."""
        url = f"{self._url}/_matrix/client/v3/rooms/{quote(room)}/messages?dir=b&limit=100"
        events = request("GET", url, token=self._token).body["chunk"][::-1]
        return [
            event
            for event in events
            if event["sender"] == sender and event["type"] == "m.room.encrypted"
        ]


async def test_a_server_administrator_who_writes_in_an_officers_name_decides_nothing(
    network: Network, put_up: Callable[..., Any], clerk: Callable[[str], Clerk]
) -> None:
    """In clear the door takes a reaction alone, which commands nothing; a copy is a replay.

    How the bridge takes plain events that get past the door is in tests/bots/matrix.
    """
    decided, open_file = put_up("ITT-DS-ADMN"), put_up("ITT-DS-ADMN")
    account = network.accounts[DEPUTY_SECRETARY]
    bot = network.bot_user_id

    async with signed_in(account) as officer:
        room, other = await find_card(officer, bot, decided.number, within_s=WITHIN_S)
        _, card = await find_card(officer, bot, open_file.number, within_s=WITHIN_S)
        await decide(officer, bot, room, other, "approve")
        await officer.wait_message(room, event_id=other["event_id"], edited=True, within_s=WITHIN_S)

        administrator = Administrator(account)
        to_card = {"m.in_reply_to": {"event_id": card["event_id"]}}
        about_card = {"rel_type": "m.reference", "event_id": card["event_id"]}
        liked = {"rel_type": "m.annotation", "event_id": card["event_id"], "key": "approve"}
        assert administrator.write(room, "m.reaction", {"m.relates_to": liked}).status == 200
        poll_answer = "org.matrix.msc3381.poll.response"
        answers = {poll_answer: {"answers": ["approve"]}}
        command = {"msgtype": "m.text", "body": "approve", "m.relates_to": to_card}
        for refused in (
            administrator.write(room, poll_answer, {"m.relates_to": about_card, **answers}),
            administrator.write(room, "m.room.message", command),
        ):
            assert (refused.status, refused.body["org.rabta.reason"]) == (403, "plain-content")
        originals = administrator.seen(room, account.user_id)
        assert len(originals) >= 2
        for event in originals:
            # The relation stands in clear too: the copy is made to look like a reply to the card.
            copy = {**event["content"], "m.relates_to": to_card}
            assert administrator.write(room, "m.room.encrypted", copy).status == 200

        # What the officer writes after all that is answered after all that.
        said = await officer.send(room, "pending")
        listed = await officer.wait_message(room, sender=bot, after=said, within_s=WITHIN_S)

    assert open_file.number in listed["body"]
    assert decisions(clerk, open_file.file_id) == []
    assert len(decisions(clerk, decided.file_id)) == 1
