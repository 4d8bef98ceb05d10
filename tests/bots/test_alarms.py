"""What the operators' room is told, once each, and that it holds nothing of a file."""

from datetime import timedelta
from typing import Any

from events import Telling
from ministry import NOW, Ministry, Running, deliver_all, running

from rabta_bots.matrix import Undecryptable

ROOT = "@root:itt.gov.test"


def told(bridge: Running) -> list[str]:
    """What stands in the operators' room."""
    rooms = [room for room, name in bridge.chat.names.items() if name == "e-Office: operators"]
    return [sent.body for sent in bridge.chat.sent if sent.room_id in rooms]


async def test_a_silent_source_is_told_once_and_once_more_when_it_speaks(
    any_ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    async with running(any_ministry, operators=[ROOT], silent_minutes=15) as bridge:
        await deliver_all(bridge, telling.charge("ITT-DS-ADMN", "p-2"))
        bridge.hands.advance(minutes=16)
        await eventually(lambda: told(bridge))
        bridge.hands.advance(minutes=16)
        await deliver_all(bridge, telling.marked(time=bridge.hands()))
        await eventually(lambda: len(told(bridge)) == 2, what="that it is over")
        first, second = told(bridge)
        assert first.startswith("ALARM source-silent /eoffice/ITT: /eoffice/ITT has sent nothing")
        assert second == "OVER source-silent /eoffice/ITT"
        (room,) = {sent.room_id for sent in bridge.chat.sent if sent.body == second}
        assert bridge.chat.rooms[room] == {bridge.chat.user_id: "join", ROOT: "invite"}


async def test_gaps_dead_letters_unread_messages_and_new_identities_are_told_as_they_grow(
    ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    intake = {"gap_wait_seconds": 3600}
    async with running(ministry, operators=[ROOT], intake=intake) as bridge:
        await deliver_all(bridge, telling.charge("ITT-DS-ADMN", "p-2"))
        skipped = telling.charge("FIN-DS-BUDGET", "p-6")
        refused = {"grade": "CONFIDENTIAL", "subject": None, "remarks": None}
        await deliver_all(bridge, telling.marked("ITT-DS-ADMN"))
        gap = "ALARM source-gap /eoffice/ITT: /eoffice/ITT lacks number 2; later ones wait for it"
        await eventually(lambda: told(bridge) == [gap], what="the gap")

        # A confidential card for an officer of another server is refused by the policy.
        await deliver_all(bridge, skipped, telling.marked("FIN-DS-BUDGET", **refused))
        await eventually(lambda: len(told(bridge)) == 3, what="a dead letter")
        assert set(told(bridge)[1:]) == {
            "OVER source-gap /eoffice/ITT",
            "ALARM dead-letters: dead letters: 1 message; see `rabta bridge dead-letters list`",
        }

        bridge.chat.changed.append("@bilal:itt.gov.test")
        await eventually(lambda: len(told(bridge)) == 4)
        bridge.chat.changed.append("@ayesha:itt.gov.test")
        await eventually(lambda: len(told(bridge)) == 5, what="that it grew")
        assert told(bridge)[4].endswith("@ayesha:itt.gov.test, @bilal:itt.gov.test")

        lost = Undecryptable("$e", "!r", "@bilal:itt.gov.test", "no-session", NOW)
        bridge.chat.unread_for = timedelta(minutes=3)
        bridge.chat.unread["$e"] = lost
        await eventually(lambda: any("cannot be read: no-session" in one for one in told(bridge)))
        assert not any("F.No" in one or "networking" in one for one in told(bridge))


async def test_without_operators_nobody_is_told(
    ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    async with running(ministry) as bridge:
        bridge.chat.changed.append("@bilal:itt.gov.test")
        await deliver_all(bridge, telling.charge("ITT-DS-ADMN", "p-2"), telling.marked())
        await eventually(bridge.chat.cards, what="the card")
        bridge.chat.unread["$e"] = Undecryptable("$e", "!r", "@b:itt.gov.test", "no-session", NOW)
        await deliver_all(bridge, telling.marked(movement_no=13))
        await eventually(lambda: len(bridge.chat.cards()) == 2, what="the second card")
        assert len(bridge.chat.rooms) == 1
