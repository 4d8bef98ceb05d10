"""What an officer learns of a file by asking in the chat, and what nobody learns by trying."""

from typing import Any

import pytest
from earlier import back_to
from events import Telling
from ministry import AYESHA, BILAL, CHAUDHRY, Ministry, Running, deliver_all, running
from recorder import Recorder

from rabta_bots.store.opening import open_store

NUMBER = "F.No.1(5)/2026-Admn-II"


async def ask(bridge: Running, user: str, room_id: str, text: str, eventually: Any) -> str:
    """What the bridge answers."""
    said = bridge.chat.write(user, room_id, text)
    answer = await eventually(lambda: bridge.chat.answer_to(said), what=f"an answer to {text}")
    return str(answer.body)


async def test_history_tells_movements_and_decisions_in_the_officers_language(
    any_ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    async with running(any_ministry) as bridge:
        await deliver_all(
            bridge,
            telling.charge("ITT-SO-ADMN2", "p-1"),
            telling.charge("ITT-DS-ADMN", "p-2"),
            telling.charge("ITT-JS", "p-3"),
            telling.marked(movement_no=1),
        )
        await eventually(bridge.chat.cards, what="the first card")
        await deliver_all(
            bridge,
            telling.marked("ITT-JS", movement_no=2, sender="ITT-DS-ADMN", purpose="forward"),
        )
        await eventually(lambda: len(bridge.chat.cards()) == 2, what="the second card")
        theirs = bridge.chat.cards()[1].room_id
        await deliver_all(bridge, telling.decided("approved", by="ITT-JS"))
        await eventually(lambda: len(bridge.chat.cards()) == 3, what="the card of the decision")
        room = next(card.room_id for card in bridge.chat.cards() if "Put up" in card.body)
        told = (await ask(bridge, BILAL, room, f"history {NUMBER}", eventually)).split("\n")
        assert told[0].startswith("History of \u2068F.No.1(5)/2026-Admn-II\u2069")
        assert told[1].startswith("Movement 1: \u2068put up\u2069, from \u2068Section Officer")
        assert "Movement 2: \u2068marked\u2069, from \u2068Deputy Secretary (Admn)" in told[2]
        assert told[3].startswith("Approved: ")
        assert "Joint Secretary" in told[3]
        assert "Submitted for approval" not in "".join(told)
        # In Urdu, in Eastern digits, with an en dash and a stray space, by another keyboard.
        urdu = await ask(
            bridge, CHAUDHRY, theirs, "تاريخ f.no.۱(٥)/۲۰۲۶\u2013Admn \u200c-II", eventually
        )
        assert all(line[0] >= "\u0600" for line in urdu.split("\n"))
        assert "نقل و حرکت 1" in urdu


async def test_open_gives_the_link_of_the_card_that_was_replied_to(
    ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    async with running(ministry) as bridge:
        await deliver_all(
            bridge,
            telling.charge("ITT-DS-ADMN", "p-2"),
            telling.marked(file_id="ITT-1"),
            telling.marked(file_id="ITT-2"),
            telling.marked(file_id="ITT-3", links=[]),
        )
        await eventually(lambda: len(bridge.chat.cards()) == 3)
        cards = bridge.chat.cards()
        second = next(card for card in cards if "/f/ITT-2" in card.body)
        said = bridge.chat.write(BILAL, second.room_id, "open", reply_to=second.event_id)
        answer = await eventually(lambda: bridge.chat.answer_to(said))
        assert "https://eoffice.itt.gov.test/f/ITT-2\u2069" in answer.body
        assert "/f/ITT-1" in await ask(bridge, BILAL, cards[0].room_id, "open #1", eventually)
        assert "[no-link]" in await ask(bridge, BILAL, cards[0].room_id, "open #3", eventually)
        assert "[which-card]" in await ask(bridge, BILAL, cards[0].room_id, "open", eventually)


@pytest.mark.parametrize("verb", ["history", "open"])
async def test_nobody_learns_of_a_file_that_none_of_his_posts_had_a_card_of(
    ministry: Ministry, telling: Telling, eventually: Any, verb: str
) -> None:
    async with running(ministry) as bridge:
        await deliver_all(
            bridge,
            telling.charge("ITT-SO-ADMN2", "p-1"),
            telling.charge("ITT-DS-ADMN", "p-2"),
            telling.marked(),
            telling.marked("ITT-SO-ADMN2", file_id="ITT-9", sender="ITT-DS-ADMN"),
        )
        await eventually(lambda: len(bridge.chat.cards()) == 2)
        room = next(
            card.room_id
            for card in bridge.chat.cards()
            if card.content["m.mentions"] == {"user_ids": [AYESHA]}
        )
        stranger = await ask(bridge, AYESHA, room, f"{verb} F.No.9/2026", eventually)
        assert "[no-such-file]" in stranger


async def test_a_file_of_a_higher_class_is_not_told_in_a_room_of_a_lower(
    ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    async with running(ministry) as bridge:
        await deliver_all(
            bridge,
            telling.charge("ITT-DS-ADMN", "p-2"),
            telling.marked(file_id="ITT-1", movement_no=1),
        )
        await eventually(bridge.chat.cards, what="the first card")
        await deliver_all(
            bridge,
            telling.marked(
                file_id="ITT-1", movement_no=2, grade="CONFIDENTIAL", subject=None, remarks=None
            ),
        )
        await eventually(lambda: len(bridge.chat.cards()) == 2)
        restricted, confidential = (
            next(room for room, kind in bridge.chat.classes.items() if kind == room_class)
            for room_class in ("restricted", "confidential")
        )
        low = await ask(bridge, BILAL, restricted, f"history {NUMBER}", eventually)
        assert "[file-above-room]" in low
        high = await ask(bridge, BILAL, confidential, f"history {NUMBER}", eventually)
        assert "Movement 2" in high
        assert "networking equipment" not in high


async def test_a_store_of_before_tells_the_history_of_what_it_had_kept(
    any_ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    async with running(any_ministry) as bridge:
        await deliver_all(bridge, telling.charge("ITT-DS-ADMN", "p-2"), telling.marked())
        room = (await eventually(bridge.chat.cards))[0].room_id
    before = open_store(any_ministry.settings().database.full_url(), any_ministry.hands)
    with before.begin() as connection:
        back_to(connection, 2)
    before.dispose()
    again = Recorder(rooms=bridge.chat.rooms)
    async with running(any_ministry, again) as bridge:
        assert "Movement 12" in await ask(bridge, BILAL, room, f"history {NUMBER}", eventually)
