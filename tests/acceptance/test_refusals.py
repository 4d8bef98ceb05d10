"""Who may not decide is refused with a reason, and e-Office's ledger stays empty."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from rabta_deploy.eoffice_person import Clerk
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
