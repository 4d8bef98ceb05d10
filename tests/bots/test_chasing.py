"""`remind` for a file, beside the real e-Office."""

from typing import Any

import pytest
from ministry import AYESHA, BILAL, CHAUDHRY, Ministry
from office import Office, office
from recorder import Sent
from sqlalchemy import select

from rabta_bots.store.tables import cards
from rabta_eoffice.acts import Verb

NUMBER = "F.No.1(5)/2026-Admn-II"


async def with_the_joint_secretary(place: Office, eventually: Any) -> tuple[Sent, Sent]:
    """A file that came by the deputy secretary; his card and the joint secretary's."""
    file_id = place.open_file(NUMBER)
    place.put_up(file_id)
    (his,) = await eventually(place.chat.cards, what="the deputy secretary's card")
    place.act(file_id, "p-2", "ITT-DS-ADMN", Verb.MARK, to_post="ITT-JS")
    await eventually(lambda: len(place.chat.cards()) == 2, what="the joint secretary's card")
    await eventually(lambda: place.chat.edit_of(his.event_id), what="the deputy secretary's edit")
    return his, place.chat.cards()[1]


async def answer(place: Office, words: str, his: Sent, eventually: Any, **how: Any) -> str:
    said = place.chat.write(BILAL, his.room_id, words, **how)
    found = await eventually(lambda: place.chat.answer_to(said), what=f"an answer to {words}")
    return str(found.body)


def reminders(place: Office) -> int:
    with place.bridge.engine.begin() as connection:
        query = select(cards.c.card_id).where(cards.c.kind == "reminder")
        return len(connection.execute(query).all())


@pytest.mark.parametrize("words", [f"remind {NUMBER}", f"یاد دہانی {NUMBER}", "remind"])
async def test_who_has_the_file_is_reminded_once_in_five_minutes(
    any_ministry: Ministry, eventually: Any, words: str
) -> None:
    async with office(any_ministry) as place:
        his, hers = await with_the_joint_secretary(place, eventually)
        how = {} if NUMBER in words else {"reply_to": his.event_id}
        assert "Reminder sent" in await answer(place, words, his, eventually, **how)
        await eventually(lambda: len(place.chat.cards()) == 3, what="the reminder")
        reminder = place.chat.cards()[2]
        assert reminder.room_id == hers.room_id != his.room_id
        assert CHAUDHRY in reminder.content["m.mentions"]["user_ids"]
        assert "[reminded-just-now]" in await answer(place, words, his, eventually, **how)
        any_ministry.hands.advance(minutes=6)
        assert "Reminder sent" in await answer(place, words, his, eventually, **how)
        await eventually(lambda: reminders(place) == 2)


async def test_nobody_is_reminded_of_a_file_that_is_with_whoever_asks_or_not_known_there(
    ministry: Ministry, eventually: Any
) -> None:
    async with office(ministry) as place:
        file_id = place.open_file(NUMBER)
        place.put_up(file_id)
        (his,) = await eventually(place.chat.cards)
        told = await answer(place, f"remind {NUMBER}", his, eventually)
        assert "[with-you]" in told
        assert "[no-such-file]" in await answer(place, "remind F.No.99/2026", his, eventually)
        said = place.chat.write(AYESHA, his.room_id, f"remind {NUMBER}")
        refused = await eventually(lambda: place.chat.answer_to(said))
        assert "[not-holder]" in refused.body
        assert reminders(place) == 0
