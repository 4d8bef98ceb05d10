"""A room of two ministries is made when both say yes and the policy allows it, and not before."""

from typing import Any

import pytest
from events import Telling
from ministry import BILAL, FARAH, Ministry, Running, deliver_all, running
from recorder import Sent

from rabta_bots.matrix import SenderTrust
from rabta_bots.store.events import waiting_count

ROOM = "e-Office: divisions 1"


async def ask(bridge: Running, user: str, room: str, text: str, eventually: Any, **how: Any) -> str:
    """What the bridge answers."""
    said = bridge.chat.write(user, room, text, **how)
    return str((await eventually(lambda: bridge.chat.answer_to(said), what=text)).body)


async def ready(
    bridge: Running, telling: Telling, eventually: Any, grade: str = "RESTRICTED"
) -> Sent:
    """A file is with our deputy secretary, and Finance's is posted; gives the card."""
    hidden = {} if grade == "RESTRICTED" else {"subject": None, "remarks": None}
    await deliver_all(
        bridge,
        telling.charge("ITT-DS-ADMN", "p-2"),
        telling.charge("FIN-DS-BUDGET", "p-6"),
        telling.marked(grade=grade, **hidden),
    )
    card: Sent = (await eventually(bridge.chat.cards))[0]

    def noted() -> bool:
        with bridge.engine.begin() as connection:
            return waiting_count(connection) == 0

    await eventually(noted, what="the card noted as shown")
    return card


def request_of(bridge: Running) -> Sent | None:
    """The request as the other side reads it."""
    found = [sent for sent in bridge.chat.cards() if "asks for a room with you" in sent.body]
    return found[0] if found else None


def made(bridge: Running) -> str | None:
    """The room of the two, if there is one."""
    return next((room for room, name in bridge.chat.names.items() if name == ROOM), None)


async def test_the_room_is_made_when_the_other_side_accepts_and_both_are_let_in(
    any_ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    async with running(any_ministry) as bridge:
        card = await ready(bridge, telling, eventually)
        text = "consult fin-ds-budget"
        asked = await ask(bridge, BILAL, card.room_id, text, eventually, reply_to=card.event_id)
        assert asked.startswith("\u2068Deputy Secretary (Budget)\u2069 is asked for a room")
        request = await eventually(lambda: request_of(bridge))
        assert request.content["m.mentions"] == {"user_ids": [FARAH]}
        assert "networking equipment" not in request.body
        again = await ask(bridge, BILAL, card.room_id, text, eventually)
        assert "has been asked for that room already" in again
        assert made(bridge) is None, "one side alone makes no room"

        # Nothing else is taken from the other ministry, and nothing from an unsigned device.
        other = await ask(bridge, FARAH, request.room_id, "help", eventually)
        assert "[other-ministry]" in other
        unsigned = await ask(
            bridge, FARAH, request.room_id, "accept", eventually, device=SenderTrust.UNSIGNED
        )
        assert "[unsigned-device]" in unsigned
        accepted = await ask(
            bridge, FARAH, request.room_id, "accept", eventually, reply_to=request.event_id
        )
        assert f"\u2068{ROOM}\u2069" in accepted
        room = await eventually(lambda: made(bridge))
        await eventually(lambda: {BILAL, FARAH} <= set(bridge.chat.rooms[room]))
        assert bridge.chat.classes[room] == "restricted"
        opening = await eventually(lambda: [one for one in bridge.chat.sent if one.room_id == room])
        assert opening[0].body.startswith("This room is for \u2068F.No.1(5)/2026-Admn-II\u2069")
        told = [one.body for one in bridge.chat.cards() if "has accepted the room" in one.body]
        assert len(told) == 1
        late = await ask(bridge, FARAH, request.room_id, "decline C1", eventually)
        assert "[request-over]" in late

        # The right is withdrawn: the other side is out, ours stays.
        any_ministry.publish(relations={"same": SAME})
        await eventually(lambda: (room, FARAH) in bridge.chat.kicked, what="the withdrawal")
        assert (room, BILAL) not in bridge.chat.kicked


SAME = {
    "actions": ["invite", "join", "create-room", "keys", "to-device", "media", "reference"],
    "max_class": "confidential",
}


async def test_a_declined_request_makes_no_room_and_may_be_put_again(
    ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    async with running(ministry) as bridge:
        card = await ready(bridge, telling, eventually)
        await ask(bridge, BILAL, card.room_id, "consult #1 FIN-DS-BUDGET", eventually)
        request = await eventually(lambda: request_of(bridge))
        answer = await ask(bridge, FARAH, request.room_id, "انکار", eventually)
        assert answer == "Declined; no room is made."
        await eventually(
            lambda: [one for one in bridge.chat.cards() if "does not want a room" in one.body]
        )
        assert made(bridge) is None
        again = await ask(bridge, BILAL, card.room_id, "consult FIN-DS-BUDGET", eventually)
        assert "is asked for a room" in again
        assert "Accepted." in await ask(bridge, FARAH, request.room_id, "accept c1", eventually)


@pytest.mark.parametrize(
    ("grade", "text", "reason"),
    [
        ("CONFIDENTIAL", "consult FIN-DS-BUDGET", "class-does-not-federate"),
        ("RESTRICTED", "consult ITT-JS", "no-other-organisation"),
        ("RESTRICTED", "consult FIN-NOBODY", "no-other-organisation"),
        ("RESTRICTED", "consult", "post-required"),
        ("RESTRICTED", "consult #9 FIN-DS-BUDGET", "no-such-card"),
        ("RESTRICTED", "accept C1", "no-such-request"),
        ("RESTRICTED", "decline", "no-such-request"),
    ],
)
async def test_what_speaks_against_a_room_is_told_with_its_reason(
    *,
    ministry: Ministry,
    telling: Telling,
    eventually: Any,
    grade: str,
    text: str,
    reason: str,
) -> None:
    async with running(ministry) as bridge:
        card = await ready(bridge, telling, eventually, grade)
        assert f"[{reason}]" in await ask(bridge, BILAL, card.room_id, text, eventually)
        assert made(bridge) is None


async def test_a_right_that_ended_before_the_answer_makes_no_room(
    ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    async with running(ministry) as bridge:
        card = await ready(bridge, telling, eventually)
        await ask(bridge, BILAL, card.room_id, "consult FIN-DS-BUDGET", eventually)
        request = await eventually(lambda: request_of(bridge))
        serial = ministry.publish(relations={"same": SAME})
        await eventually(lambda: bridge.bridge._rulebook.policy.serial == serial)
        answer = await ask(bridge, FARAH, request.room_id, "accept", eventually)
        assert "[no-permit]" in answer
        assert made(bridge) is None
