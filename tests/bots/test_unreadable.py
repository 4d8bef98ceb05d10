"""An officer whose message could not be read is told so, once, and nobody else is."""

from datetime import timedelta
from typing import Any

import pytest
from ministry import BILAL, CHAUDHRY, NOW, Ministry, running
from sqlalchemy import select

from rabta_bots.matrix import Undecryptable
from rabta_bots.store.tables import audit

ROOM = "!room1:itt.gov.test"


def _unread(event_id: str, sender: str, reason: str = "no-session") -> Undecryptable:
    return Undecryptable(event_id, ROOM, sender, reason, NOW - timedelta(minutes=6))


@pytest.mark.parametrize(
    ("officer", "words"),
    [
        (BILAL, "Not done. I could not read your message"),
        (CHAUDHRY, "عمل نہیں ہوا۔ آپ کا پیغام پڑھا نہیں جا سکا"),
    ],
)
async def test_an_officer_is_told_in_the_officers_language_to_send_it_again(
    ministry: Ministry, eventually: Any, officer: str, words: str
) -> None:
    async with running(ministry) as place:
        place.chat.rooms[ROOM] = {place.chat.user_id: "join", officer: "join"}
        place.chat.unread["$1"] = _unread("$1", officer)
        answer = await eventually(lambda: place.chat.answer_to("$1"), what="the answer")
        assert answer.body.startswith(words)
        assert answer.body.endswith("[unreadable]")
        # The same event cannot come up again, whatever is read after it.
        assert [one.event_id for one in place.chat.given_up] == ["$1"]
        said = place.chat.write(officer, ROOM, "help")
        await eventually(lambda: place.chat.answer_to(said))
        assert [one.body for one in place.chat.sent if "[unreadable]" in one.body] == [answer.body]


async def test_strangers_and_copies_of_earlier_messages_are_audited_and_not_answered(
    ministry: Ministry, eventually: Any
) -> None:
    async with running(ministry) as place:
        place.chat.rooms[ROOM] = {place.chat.user_id: "join", BILAL: "join"}
        stranger = "@stranger:fin.gov.test"
        for event in (_unread("$1", stranger), _unread("$2", BILAL, "replayed")):
            place.chat.unread[event.event_id] = event
        await eventually(lambda: len(place.chat.given_up) == 2, what="both given up")
        said = place.chat.write(BILAL, ROOM, "help")
        await eventually(lambda: place.chat.answer_to(said))
        assert (place.chat.answer_to("$1"), place.chat.answer_to("$2")) == (None, None)
        with place.engine.begin() as connection:
            rows = connection.execute(
                select(audit.c.reason, audit.c.actor, audit.c.detail).where(
                    audit.c.what == "message-unreadable"
                )
            ).all()
    assert [tuple(row) for row in rows] == [
        ("no-session", stranger, "ignored"),
        ("replayed", BILAL, "ignored"),
    ]
