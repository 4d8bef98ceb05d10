"""The bridge carries `class` to the homeserver once; a recorder stands for Matrix."""

from typing import Any

import pytest
from ministry import BILAL, CHAUDHRY, FARAH, Ministry, Running, running

from rabta_bots.matrix import MatrixError, SenderTrust
from rabta_bots.store.tables import audit

ROOM = "!talk:itt.gov.test"
BUDGET = "#budget:itt.gov.test"


async def answer(place: Running, said: str, eventually: Any) -> str:
    """What the bridge answered to a message."""
    return str((await eventually(lambda: place.chat.answer_to(said), what="an answer")).body)


async def test_a_class_is_raised_once_in_the_officers_name_and_told_in_his_language(
    any_ministry: Ministry, eventually: Any
) -> None:
    async with running(any_ministry) as place:
        said = place.chat.write(BILAL, ROOM, f"class confidential {BUDGET}")
        told = await answer(place, said, eventually)
        assert told.startswith("Done. The class of \u2068#budget:itt.gov.test\u2069 is now ")
        said = place.chat.write(CHAUDHRY, ROOM, f"درجہ صیغۂ راز {BUDGET}")
        told = await answer(place, said, eventually)
        assert "کا درجہ اب \u2068صیغۂ راز\u2069 ہے" in told
        said = place.chat.write(BILAL, ROOM, f"class restricted {BUDGET}")
        told = await answer(place, said, eventually)
        assert told == "The class of that room is \u2068Restricted\u2069 already."
        assert place.chat.raised == [
            (BUDGET, "confidential", BILAL),
            (BUDGET, "confidential", CHAUDHRY),
            (BUDGET, "restricted", BILAL),
        ]
        assert place.chat.left == []
        with place.engine.begin() as connection:
            rows = connection.execute(audit.select().where(audit.c.actor == BILAL)).all()
        kept = [(row.what, row.detail) for row in rows]
        assert kept[:2] == [("class-asked", "confidential"), ("class-raised", "confidential")]


async def test_a_room_that_the_bridge_was_invited_to_is_left_after_the_answer(
    ministry: Ministry, eventually: Any
) -> None:
    async with running(ministry) as place:
        said = place.chat.write(BILAL, ROOM, "class confidential")
        assert "The class of this room is now" in await answer(place, said, eventually)
        await eventually(lambda: place.chat.left == [ROOM], what="the leave")
        assert place.chat.raised == [(ROOM, "confidential", BILAL)]


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("class-unknown", "[class-unknown]"),
        ("label-lowered", "[label-lowered]"),
        ("not-in-room", "[not-in-room]"),
        ("no-power-to-raise", "[no-power-to-raise]"),
        ("no-policy", "[no-policy]"),
        ("not-the-bot", "[door-refused]"),
        ("door-failed", "[door-refused]"),
    ],
)
async def test_what_the_door_refuses_is_said_in_words(
    ministry: Ministry, eventually: Any, reason: str, told: str
) -> None:
    async with running(ministry) as place:
        place.chat.raise_failures.append(MatrixError(reason, permanent=True))
        said = place.chat.write(CHAUDHRY, ROOM, f"class confidential {BUDGET}")
        words = await answer(place, said, eventually)
        assert words.startswith("عمل نہیں ہوا۔")
        assert words.endswith(told)


async def test_a_homeserver_that_does_not_answer_is_asked_again_and_given_up_after_a_day(
    ministry: Ministry, eventually: Any
) -> None:
    away = [MatrixError("homeserver-unreachable", permanent=False) for _ in range(3)]
    async with running(ministry) as place:
        place.chat.raise_failures.append(away.pop())
        said = place.chat.write(BILAL, ROOM, f"class confidential {BUDGET}")
        await eventually(lambda: len(place.chat.raised) == 1, what="the first try")
        place.hands.advance(seconds=5)
        assert (await answer(place, said, eventually)).startswith("Done.")
        place.chat.raise_failures.extend(away)
        said = place.chat.write(BILAL, ROOM, f"class confidential {BUDGET}")
        await eventually(lambda: len(place.chat.raised) == 3, what="the first try")
        place.hands.advance(hours=25)
        assert "[homeserver-unreachable]" in await answer(place, said, eventually)


@pytest.mark.parametrize(
    ("who", "how", "reason"),
    [
        (BILAL, {"encrypted": False, "device": SenderTrust.UNKNOWN}, "not-encrypted"),
        (BILAL, {"device": SenderTrust.UNSIGNED}, "unsigned-device"),
        (BILAL, {"device": SenderTrust.CHANGED_IDENTITY}, "changed-identity"),
        (FARAH, {}, "other-ministry"),
        ("@stranger:itt.gov.test", {}, "unknown-person"),
    ],
)
async def test_whoever_may_not_command_raises_no_class(
    ministry: Ministry, eventually: Any, who: str, how: dict[str, Any], reason: str
) -> None:
    async with running(ministry) as place:
        said = place.chat.write(who, ROOM, f"class confidential {BUDGET}", **how)
        assert f"[{reason}]" in await answer(place, said, eventually)
        assert place.chat.raised == []
