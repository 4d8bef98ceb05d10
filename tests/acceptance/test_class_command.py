"""An officer raises a room's class from an independent client, by a word to the ministry's bot."""

from typing import Any
from urllib.parse import quote

import pytest

from rabta_deploy.jsonhttp import request
from rabta_deploy.network import Network
from rabta_deploy.officer import Officer
from rabta_deploy.story import (
    BUDGET_OFFICER,
    DEPUTY_SECRETARY,
    LOOKING_AFTER,
    SECTION_OFFICER,
    signed_in,
)

pytestmark = pytest.mark.network

WITHIN_S = 60
LABEL = "org.rabta.room.class"
LOWEST = [{"type": LABEL, "state_key": "", "content": {"class": "unclassified"}}]


def state(network: Network, room: str) -> dict[tuple[str, str], dict[str, Any]]:
    """The room's state by the homeserver's own word: (type, state key) -> event."""
    home = network.home_ministry.homeserver
    url = f"{home.client_url}/_synapse/admin/v1/rooms/{quote(room)}/state"
    found = request("GET", url, token=home.admin_token).body["state"]
    return {(event["type"], event["state_key"]): event for event in found}


async def talk_with(officer: Officer, bot: str, eventually: Any) -> str:
    """A room of the officer and the bot alone."""
    room = await officer.create_room(name="Rabta", invite=[bot], is_direct=True)

    async def there() -> bool:
        return (await officer.members(room)).get(bot) == "join"

    await eventually(there, within_s=WITHIN_S, what="the bot in the talk")
    return room


async def test_a_class_is_raised_by_a_word_to_the_bot_that_never_enters_the_room(
    network: Network, eventually: Any
) -> None:
    bot, people = network.bot_user_id, network.accounts
    guest, colleague = people[BUDGET_OFFICER].user_id, people[LOOKING_AFTER].user_id

    async with (
        signed_in(people[DEPUTY_SECRETARY]) as officer,
        signed_in(people[LOOKING_AFTER]) as other,
        signed_in(people[BUDGET_OFFICER]) as visitor,
    ):
        room = await officer.create_room(
            name="Budget", room_alias_name="budget", invite=[guest, colleague], initial_state=LOWEST
        )
        await visitor.join(room, within_s=WITHIN_S)
        await other.join(room, within_s=WITHIN_S)
        talk = await talk_with(officer, bot, eventually)
        urdu = await talk_with(other, bot, eventually)

        # Who has not the power in the room himself does not have it through the bot.
        said = await other.send(urdu, f"درجہ صیغۂ راز {room}")
        told = await other.wait_message(
            urdu, sender=bot, after=said, contains="[no-power-to-raise]", within_s=WITHIN_S
        )
        assert told["body"].startswith("عمل نہیں ہوا۔")
        assert state(network, room)[LABEL, ""]["content"]["class"] == "unclassified"

        said = await officer.send(talk, "class confidential #budget:itt.gov.test")
        await officer.wait_message(
            talk, sender=bot, after=said, contains="Done. The class of", within_s=WITHIN_S
        )
        raised = state(network, room)[LABEL, ""]
        assert (raised["sender"], raised["content"]["class"]) == (
            people[DEPUTY_SECRETARY].user_id,
            "confidential",
        )
        # As the class demands, the other ministry is out; nobody else came or went.
        here = {people[DEPUTY_SECRETARY].user_id: "join", colleague: "join", guest: "leave"}

        def settled() -> bool:
            events = state(network, room)
            members = {
                key: event["content"]["membership"]
                for (kind, key), event in events.items()
                if kind == "m.room.member"
            }
            return (
                members == here
                and events["m.room.topic", ""]["content"]["topic"] == "[Confidential]"
            )

        await eventually(settled, within_s=WITHIN_S, what="what the class demands")

        said = await officer.send(talk, f"class restricted {room}")
        await officer.wait_message(
            talk, sender=bot, after=said, contains="[label-lowered]", within_s=WITHIN_S
        )


async def test_a_bot_that_was_taken_into_a_room_for_its_class_leaves_it_again(
    network: Network, eventually: Any
) -> None:
    bot, people = network.bot_user_id, network.accounts

    async with (
        signed_in(people[LOOKING_AFTER]) as officer,
        signed_in(people[SECTION_OFFICER]) as other,
    ):
        room = await officer.create_room(name="Audit", invite=[people[SECTION_OFFICER].user_id])
        await other.join(room, within_s=WITHIN_S)
        await officer.invite(room, bot)

        async def membership() -> str | None:
            return (await officer.members(room)).get(bot)

        async def there() -> bool:
            return await membership() == "join"

        async def gone() -> bool:
            return await membership() == "leave"

        await eventually(there, within_s=WITHIN_S, what="the bot in the room")
        said = await officer.send(room, "درجہ صیغۂ راز")
        told = await officer.wait_message(
            room, sender=bot, after=said, contains="کا درجہ اب", within_s=WITHIN_S
        )
        assert told["body"].startswith("ہو گیا۔")
        assert state(network, room)[LABEL, ""]["content"]["class"] == "confidential"
        await eventually(gone, within_s=WITHIN_S, what="the bot out of the room")
