"""Every way in which a command must not count, each refused in the officer's own language."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from events import Telling
from ministry import NOW, Ministry, Running, deliver_all, running
from recorder import Sent
from sqlalchemy import select

from rabta_bots.commands.answers import REFUSALS, refusal
from rabta_bots.matrix import SenderTrust
from rabta_bots.store.events import waiting_count
from rabta_bots.store.tables import audit, commands

SANA = "@chaudhry:itt.gov.test"  # reads Urdu
POLL = "org.matrix.msc3381.poll.response"
NOT_DONE = "عمل نہیں ہوا۔"

Say = Callable[[Running, Sent], str]


def text(words: str, **how: Any) -> Say:
    """A reply to the card."""
    return lambda bridge, card: bridge.chat.write(
        SANA, card.room_id, words, reply_to=card.event_id, **how
    )


def marked(words: str, **content: Any) -> Say:
    """A message with further content."""
    said = {"msgtype": "m.text", "body": words, **content}
    return lambda bridge, card: bridge.chat.write(SANA, card.room_id, "", content=dict(said))


def vote(**how: Any) -> Say:
    """An answer to a poll about the card."""
    return lambda bridge, card: bridge.chat.write(
        SANA,
        card.room_id,
        "",
        type_=POLL,
        content={
            POLL: {"answers": ["approve"]},
            "m.relates_to": {"rel_type": "m.reference", "event_id": card.event_id},
        },
        **how,
    )


CLEAR = {"encrypted": False, "device": SenderTrust.UNKNOWN}
EDIT = {
    "m.new_content": {"msgtype": "m.text", "body": "منظور"},
    "m.relates_to": {"rel_type": "m.replace", "event_id": "$earlier"},
}

WAYS: list[tuple[str, Say, str]] = [
    ("in clear", text("منظور", **CLEAR), "not-encrypted"),
    ("a poll answer in clear", vote(**CLEAR), "not-encrypted"),
    ("from an unsigned device", text("منظور", device=SenderTrust.UNSIGNED), "unsigned-device"),
    ("a poll answer from an unsigned device", vote(device=SenderTrust.UNSIGNED), "unsigned-device"),
    ("from an unknown device", text("منظور", device=SenderTrust.UNKNOWN), "unknown-device"),
    (
        "from a changed identity",
        text("منظور", device=SenderTrust.CHANGED_IDENTITY),
        "changed-identity",
    ),
    ("edited", marked("* منظور", **EDIT), "edited-message"),
    ("forwarded", marked("منظور", **{"m.forwarded": {}}), "forwarded-message"),
    ("of another card", text("منظور #۹۹"), "no-such-card"),
    ("with a wrong code", text("ہاں ۰۰۰۰"), "nothing-to-confirm"),
    ("with a word too many", text("منظور نہیں"), "extra-words"),
    ("without remarks", text("واپس"), "remarks-required"),
]


async def shown(bridge: Running, telling: Telling, eventually: Any, **how: Any) -> Sent:
    """A card before an officer who reads Urdu, noted as shown."""
    await deliver_all(bridge, telling.charge("ITT-DS-ADMN", "p-3"), telling.marked(**how))
    card: Sent = (await eventually(bridge.chat.cards))[0]

    def noted() -> bool:
        with bridge.engine.begin() as connection:
            return waiting_count(connection) == 0

    await eventually(noted, what="the card noted as shown")
    return card


async def refused(bridge: Running, event_id: str, eventually: Any) -> str:
    """The answer to a message."""
    return str((await eventually(lambda: bridge.chat.answer_to(event_id), what="an answer")).body)


async def test_a_command_that_must_not_count_is_refused_in_urdu_audited_and_never_kept(
    ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    async with running(ministry) as bridge:
        card = await shown(bridge, telling, eventually)
        for way, say, reason in WAYS:
            answer = await refused(bridge, say(bridge, card), eventually)
            assert answer.startswith(NOT_DONE), way
            assert f"[{reason}]" in answer, way
        with bridge.engine.begin() as connection:
            assert connection.execute(select(commands)).all() == []
            told = connection.execute(
                select(audit.c.reason)
                .where(audit.c.what == "command-refused")
                .order_by(audit.c.row)
            )
            assert list(told.scalars()) == [reason for _, _, reason in WAYS]


async def test_a_used_stale_expired_or_withdrawn_card_and_a_wrong_class_are_refused_in_urdu(
    ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    async with running(ministry) as bridge:
        card = await shown(bridge, telling, eventually, movement_no=1)

        async def reason_now() -> str:
            said = bridge.chat.write(SANA, card.room_id, "منظور", reply_to=card.event_id)
            answer = await refused(bridge, said, eventually)
            assert answer.startswith(NOT_DONE), answer
            return answer.rpartition("[")[2].rstrip("]")

        await deliver_all(bridge, telling.decided("approved"))
        await eventually(lambda: bridge.chat.edit_of(card.event_id), what="the decision")
        assert await reason_now() == "card-used"

        for number, (kind, how, reason) in enumerate(
            [
                ("file.pulled_back", {}, "card-withdrawn"),
                ("file.marked", {"to": "ITT-DS-ADMN"}, "stale-movement"),
            ],
            2,
        ):
            file_id = f"ITT-N{number}"
            await deliver_all(bridge, telling.marked(file_id=file_id, movement_no=1))
            card = await eventually(
                lambda file_id=file_id: next(
                    (one for one in bridge.chat.cards() if f"/f/{file_id}" in one.body), None
                )
            )
            later = telling.marked(file_id=file_id, movement_no=2, kind=kind, **how)
            await deliver_all(bridge, later)
            await eventually(lambda card=card: bridge.chat.edit_of(card.event_id), what=kind)
            assert await reason_now() == reason

        hidden = {"grade": "CONFIDENTIAL", "subject": None, "remarks": None}
        await deliver_all(bridge, telling.marked(file_id="ITT-8", **hidden))
        card = await eventually(
            lambda: next((one for one in bridge.chat.cards() if "/f/ITT-8" in one.body), None)
        )
        assert await reason_now() == "grade-not-from-chat"

        await deliver_all(bridge, telling.marked(file_id="ITT-9"))
        card = await eventually(
            lambda: next((one for one in bridge.chat.cards() if "/f/ITT-9" in one.body), None)
        )
        bridge.hands.advance(hours=73)
        await eventually(lambda: bridge.chat.edit_of(card.event_id), what="the expiry")
        assert await reason_now() == "card-expired"


async def test_who_has_given_up_the_post_is_refused(
    ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    async with running(ministry) as bridge:
        card = await shown(bridge, telling, eventually)
        until = (NOW + timedelta(minutes=1)).isoformat()
        await deliver_all(bridge, telling.charge("ITT-DS-ADMN", "p-3", ended=True, until=until))
        bridge.hands.advance(minutes=2)
        await eventually(lambda: (card.room_id, SANA) in bridge.chat.kicked, what="the kick")
        said = bridge.chat.write(SANA, card.room_id, "منظور", reply_to=card.event_id)
        assert "[not-holder]" in await refused(bridge, said, eventually)


@pytest.mark.parametrize("reason", list(REFUSALS))
def test_every_reason_has_a_sentence_in_both_languages_and_keeps_its_code(reason: str) -> None:
    english, urdu = refusal("en", reason), refusal("ur", reason)
    assert english.startswith("Not done. ")
    assert urdu.startswith(NOT_DONE)
    assert english.endswith(f"[{reason}]")
    assert urdu.endswith(f"[{reason}]")
    assert urdu.partition("[")[0].isascii() is False
