"""Who gets a card when charges change, in which order, and what happens when Matrix fails."""

from datetime import timedelta
from typing import Any

import pytest
from events import POSTS, Telling
from ministry import (
    AYESHA,
    BILAL,
    CHAUDHRY,
    FARAH,
    NOW,
    PERSONS,
    Ministry,
    deliver_all,
    running,
)
from recorder import Recorder
from sqlalchemy import select

from rabta_bots.charges import Charge, holder
from rabta_bots.matrix import MatrixError
from rabta_bots.retrying import LONGEST, Again, Permanent, after_matrix_error, backoff
from rabta_bots.store.tables import audit, cards, commands, outbox

DAY = timedelta(days=1)
PUT_UP_UR = "آپ کو پیش کی گئی مسل"


def charge(person: str, kind: str, begins: int, ends: int | None = None) -> Charge:
    """A charge from and until so many days from now."""
    until = None if ends is None else NOW + ends * DAY
    return Charge("P", person, kind, kind != "look_after", NOW + begins * DAY, until)


@pytest.mark.parametrize(
    ("charges", "expected"),
    [
        ([], None),
        ([charge("a", "regular", -9)], "a"),
        ([charge("a", "regular", 1)], None),
        ([charge("a", "regular", -9, 0)], None),
        ([charge("a", "regular", -9, 1)], "a"),
        # A look-after arrangement begun during a leave holds the post until it ends.
        ([charge("a", "regular", -9), charge("b", "look_after", -1, 5)], "b"),
        ([charge("a", "regular", -9), charge("b", "look_after", -5, -1)], "a"),
        ([charge("b", "look_after", -1), charge("a", "regular", -1)], "a"),
    ],
)
def test_a_post_is_held_by_whoever_began_last(charges: list[Charge], expected: str | None) -> None:
    held = holder(charges, NOW)
    assert (held.person_id if held else None) == expected


async def test_when_a_charge_ends_the_room_and_the_pending_card_go_to_the_new_holder(
    any_ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    async with running(any_ministry) as bridge:
        await deliver_all(bridge, telling.charge("ITT-DS-ADMN", "p-2"), telling.marked())
        first = (await eventually(bridge.chat.cards))[0]
        await deliver_all(
            bridge,
            telling.charge("ITT-DS-ADMN", "p-2", ended=True, until=NOW.isoformat()),
            telling.charge("ITT-DS-ADMN", "p-3", **{"from": NOW.isoformat()}),
        )
        (second,) = await eventually(
            lambda: [card for card in bridge.chat.cards() if card.body.startswith(PUT_UP_UR)],
            what="the card of the new holder",
        )
        assert second.room_id == first.room_id
        assert second.content["m.mentions"] == {"user_ids": [CHAUDHRY]}
        members = bridge.chat.rooms[first.room_id]
        assert members == {bridge.chat.user_id: "join", BILAL: "leave", CHAUDHRY: "invite"}
        late = bridge.chat.write(BILAL, first.room_id, "approve", reply_to=first.event_id)
        answer = await eventually(lambda: bridge.chat.answer_to(late))
        assert "[not-holder]" in answer.body
        # A reply to the earlier message still names the card.
        said = bridge.chat.write(CHAUDHRY, first.room_id, "منظور", reply_to=first.event_id)
        assert "ہاں 1000" in (await eventually(lambda: bridge.chat.answer_to(said))).body


async def test_a_charge_that_ends_by_its_date_takes_the_room_along(
    ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    async with running(ministry) as bridge:
        await deliver_all(
            bridge,
            telling.charge("ITT-DS-ADMN", "p-2", until=(NOW + DAY).isoformat()),
            telling.marked(),
        )
        card = (await eventually(bridge.chat.cards))[0]
        bridge.hands.advance(days=1, seconds=1)
        await eventually(lambda: (card.room_id, BILAL) in bridge.chat.kicked, what="the kick")


async def test_whom_a_holder_let_in_is_put_out_before_the_next_card(
    ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    async with running(ministry) as bridge:
        await deliver_all(bridge, telling.charge("ITT-DS-ADMN", "p-2"), telling.marked())
        card = (await eventually(bridge.chat.cards))[0]
        guest = "@guest:fin.gov.test"
        bridge.chat.rooms[card.room_id] |= {BILAL: "join", guest: "join"}
        await deliver_all(bridge, telling.marked(file_id="ITT-2026-004513"))
        await eventually(lambda: len(bridge.chat.cards()) == 2, what="the second card")
        assert bridge.chat.kicked == [(card.room_id, guest)]
        assert bridge.chat.rooms[card.room_id][BILAL] == "join"


async def test_a_card_for_a_vacant_post_waits_and_blocks_nobody(
    ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    async with running(ministry) as bridge:
        await deliver_all(
            bridge,
            telling.charge("ITT-DS-ADMN", "p-2"),
            telling.charge("ITT-JS", "p-3", until=(NOW - DAY).isoformat()),
            telling.marked(("ITT-JS", "ITT-DS-ADMN")),
        )
        card = (await eventually(bridge.chat.cards))[0]
        assert card.content["m.mentions"] == {"user_ids": [BILAL]}
        await deliver_all(bridge, telling.charge("ITT-JS", "p-1", **{"from": NOW.isoformat()}))
        bridge.hands.advance(seconds=20)
        shown = await eventually(
            lambda: found if len(found := bridge.chat.cards()) > 1 else None, what="the late card"
        )
        assert shown[1].content["m.mentions"] == {"user_ids": [AYESHA]}


async def test_a_person_without_an_account_gets_the_card_when_the_directory_names_one(
    ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    async with running(ministry) as bridge:
        await deliver_all(bridge, telling.charge("ITT-DS-ADMN", "p-9"), telling.marked())

        def waits() -> Any:
            with bridge.engine.begin() as connection:
                return connection.execute(
                    select(outbox.c.row).where(outbox.c.reason == "no-holder")
                ).all()

        await eventually(waits, what="a card without a reader")
        ministry.write_directory(PERSONS | {"p-9": {"user_id": "@new:itt.gov.test", "name": "N"}})
        bridge.hands.advance(seconds=20)
        card = (await eventually(bridge.chat.cards))[0]
        assert card.content["m.mentions"] == {"user_ids": ["@new:itt.gov.test"]}


@pytest.mark.parametrize(
    ("grade", "shown", "reason"),
    [("RESTRICTED", True, None), ("CONFIDENTIAL", False, "class-does-not-federate")],
)
async def test_a_card_for_another_ministrys_officer_is_judged_by_the_policy(
    ministry: Ministry,
    telling: Telling,
    eventually: Any,
    grade: str,
    reason: str | None,
    *,
    shown: bool,
) -> None:
    async with running(ministry) as bridge:
        await deliver_all(
            bridge,
            telling.charge("FIN-DS-BUDGET", "p-6"),
            telling.marked(
                "FIN-DS-BUDGET",
                kind="file.referred",
                purpose="refer",
                grade=grade,
                subject=None,
                remarks=None,
            ),
        )

        def settled() -> list[str | None]:
            with bridge.engine.begin() as connection:
                return list(
                    connection.execute(
                        select(outbox.c.reason).where(outbox.c.state.in_(("sent", "dead")))
                    ).scalars()
                )

        reasons = await eventually(settled, what="a settled card")
        assert bool(bridge.chat.cards()) is shown
        assert reasons == [reason]
        if not shown:
            return
        card = bridge.chat.cards()[0]
        said = bridge.chat.write(FARAH, card.room_id, "approve", reply_to=card.event_id)
        answer = await eventually(lambda: bridge.chat.answer_to(said))
        assert "[other-ministry]" in answer.body


async def test_a_card_expires_after_72_hours_and_says_so(
    ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    async with running(ministry) as bridge:
        await deliver_all(bridge, telling.charge("ITT-DS-ADMN", "p-2"), telling.marked())
        card = (await eventually(bridge.chat.cards))[0]
        bridge.hands.advance(hours=73)
        edit = await eventually(lambda: bridge.chat.edit_of(card.event_id), what="the edit")
        assert "This card has expired" in edit.content["m.new_content"]["body"]
        said = bridge.chat.write(BILAL, card.room_id, "approve", reply_to=card.event_id)
        assert "[card-expired]" in (await eventually(lambda: bridge.chat.answer_to(said))).body


async def test_cards_of_one_file_come_in_its_order_though_matrix_fails_between(
    any_ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    chat = Recorder()
    chat.failures = [MatrixError("homeserver-unreachable", permanent=False)] * 3
    async with running(any_ministry, chat) as bridge:
        await deliver_all(
            bridge,
            telling.charge("ITT-DS-ADMN", "p-2"),
            *(telling.marked(movement_no=number, purpose="for_information") for number in (1, 2)),
            telling.marked(movement_no=3),
        )

        def last_shown() -> bool:
            bridge.hands.advance(seconds=5)
            return any("Movement: \u20683\u2069" in card.body for card in chat.cards())

        await eventually(last_shown, what="the third card")
        numbers = [
            int(card.body.split("Movement: \u2068")[1].split("\u2069")[0]) for card in chat.cards()
        ]
        # What was overtaken before it could be shown may be left out; nothing comes out of order.
        assert numbers == sorted(set(numbers))


async def test_events_that_came_out_of_order_are_shown_in_order(
    ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    intake = {"gap_wait_seconds": 3600}
    async with running(ministry, intake=intake) as bridge:
        posting = telling.charge("ITT-DS-ADMN", "p-2")
        first = telling.marked(movement_no=1)
        second = telling.marked(movement_no=2)
        await deliver_all(bridge, posting, second)
        assert bridge.chat.cards() == []
        await deliver_all(bridge, first)
        shown = await eventually(
            lambda: [card for card in bridge.chat.cards() if "Movement: \u20682" in card.body]
        )
        assert len(shown) == 1
        with bridge.engine.begin() as connection:
            rows = connection.execute(select(cards.c.movement_no).order_by(cards.c.card_id))
            assert list(rows.scalars()) == [1, 2]


async def test_a_bridge_that_was_stopped_goes_on_and_sends_nothing_twice(
    any_ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    chat = Recorder()
    chat.failures = [MatrixError("homeserver-unreachable", permanent=False)]
    async with running(any_ministry, chat) as bridge:
        await deliver_all(bridge, telling.charge("ITT-DS-ADMN", "p-2"), telling.marked())
        await eventually(lambda: not chat.failures, what="the failed send")
    assert chat.cards() == []
    again = Recorder(rooms=chat.rooms, names=chat.names, classes=chat.classes)
    any_ministry.hands.advance(seconds=10)
    async with running(any_ministry, again) as bridge:
        assert len(await eventually(again.cards)) == 1
        assert list(again.rooms) == list(chat.rooms)
    third = Recorder(rooms=chat.rooms, names=chat.names, classes=chat.classes)
    async with running(any_ministry, third) as bridge:
        await deliver_all(bridge, telling.charge("ITT-JS", "p-3"), telling.marked("ITT-JS"))
        await eventually(third.cards)
        assert len(third.cards()) == 1


async def test_a_message_that_can_never_be_sent_is_audited_and_blocks_nothing(
    ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    chat = Recorder(failures=[MatrixError("content-too-large", permanent=True)])
    async with running(ministry, chat) as bridge:
        await deliver_all(bridge, telling.charge("ITT-DS-ADMN", "p-2"), telling.marked())

        def audited() -> list[str | None]:
            with bridge.engine.begin() as connection:
                query = select(audit.c.reason).where(audit.c.what == "message-not-sent")
                return list(connection.execute(query).scalars())

        assert await eventually(audited) == ["content-too-large"]
        await deliver_all(bridge, telling.marked(movement_no=13))
        assert "Movement: \u206813\u2069" in (await eventually(chat.cards))[0].body


def test_retries_grow_to_five_minutes_and_obey_the_homeserver() -> None:
    waits = [backoff(attempts).total_seconds() for attempts in range(12)]
    assert waits == sorted(waits)
    assert waits[0] == 1
    assert waits[-1] == LONGEST.total_seconds()
    slow = MatrixError("rate-limited", permanent=False, retry_after=timedelta(minutes=7))
    assert after_matrix_error(slow, 0, NOW) == Again(NOW + timedelta(minutes=7), "rate-limited")
    broken = MatrixError("room-not-encrypted", permanent=True)
    assert after_matrix_error(broken, 0, NOW) == Permanent("room-not-encrypted")


async def test_a_decision_taken_in_e_office_closes_the_card_and_tells_who_put_it_up(
    ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    async with running(ministry) as bridge:
        await deliver_all(
            bridge,
            telling.charge("ITT-SO-ADMN2", "p-1"),
            telling.charge("ITT-DS-ADMN", "p-2"),
            telling.marked(),
        )
        card = (await eventually(bridge.chat.cards))[0]
        await deliver_all(bridge, telling.decided())
        edit = await eventually(lambda: bridge.chat.edit_of(card.event_id))
        assert edit.content["m.new_content"]["body"].startswith("Approved: ")
        told = await eventually(lambda: bridge.chat.cards()[1:])
        assert told[0].content["m.mentions"] == {"user_ids": [AYESHA]}
        assert told[0].body.startswith("Approved: ")


async def test_a_poll_is_offered_and_its_answer_is_a_command(
    ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    async with running(ministry, polls=True) as bridge:
        await deliver_all(bridge, telling.charge("ITT-DS-ADMN", "p-2"), telling.marked())

        def polled() -> Any:
            return [sent for sent in bridge.chat.sent if sent.type.endswith("poll.start")]

        poll = (await eventually(polled, what="a poll"))[0]
        said = bridge.chat.write(
            BILAL,
            poll.room_id,
            "",
            type_="org.matrix.msc3381.poll.response",
            content={
                "org.matrix.msc3381.poll.response": {"answers": ["approve"]},
                "m.relates_to": {"rel_type": "m.reference", "event_id": poll.event_id},
            },
        )
        assert "yes 1000" in (await eventually(lambda: bridge.chat.answer_to(said))).body


async def test_two_pending_cards_are_told_apart_by_number(
    ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    async with running(ministry) as bridge:
        await deliver_all(
            bridge,
            telling.charge("ITT-DS-ADMN", "p-2"),
            telling.marked(file_id="ITT-1"),
            telling.marked(file_id="ITT-2"),
        )
        await eventually(lambda: len(bridge.chat.cards()) == 2)
        room = bridge.chat.cards()[0].room_id

        async def ask(text: str) -> str:
            said = bridge.chat.write(BILAL, room, text)
            return str((await eventually(lambda: bridge.chat.answer_to(said))).body)

        assert "#1 F.No.1(5)/2026-Admn-II\n#2 F.No." in await ask("approve")
        assert "yes 1000" in await ask("approve #2")
        assert "[wrong-code]" in await ask("yes 9999")
        assert "[no-such-card]" in await ask("approve #3")
        assert "#1 " in await ask("pending")
        assert "Cancelled" in await ask("no")
        assert "[nothing-to-confirm]" in await ask("yes 1000")
        assert await ask("lang ur") == "اب سے اردو میں لکھوں گا۔"
        assert "[unknown-command]" in await ask("hello")
        assert "یہ سمجھ میں نہیں آیا" in await ask("hello")
        assert "منظور #12" in await ask("مدد")
        bridge.hands.advance(minutes=1)
        assert "ہاں 1001" in await ask("منظور #1")
        bridge.hands.advance(minutes=11)
        assert "[confirmation-expired]" in await ask("ہاں ۱۰۰۱")


async def test_a_code_names_one_of_the_questions_that_are_open_in_the_room(
    ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    async with running(ministry, codes=("1111", "1111", "2222")) as bridge:
        await deliver_all(
            bridge,
            telling.charge("ITT-DS-ADMN", "p-2"),
            telling.marked(file_id="ITT-1"),
            telling.marked(file_id="ITT-2"),
        )
        await eventually(lambda: len(bridge.chat.cards()) == 2)
        room = bridge.chat.cards()[0].room_id
        questions = []
        for text in ("approve #1", "approve #2"):
            said = bridge.chat.write(BILAL, room, text)
            questions.append((await eventually(lambda said=said: bridge.chat.answer_to(said))).body)
        assert ["yes 1111" in question for question in questions] == [True, False]
        said = bridge.chat.write(BILAL, room, "yes 1111")
        await eventually(lambda: bridge.chat.answer_to(said))
        with bridge.engine.begin() as connection:
            query = select(commands.c.card_id).where(commands.c.state == "queued")
            assert list(connection.execute(query).scalars()) == [1]


async def test_cards_that_were_overtaken_keep_no_later_one_waiting(
    ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    chat = Recorder(start_failures=[MatrixError("homeserver-unreachable", permanent=False)])
    async with running(ministry, chat, poll_interval_seconds=60) as bridge:
        await deliver_all(bridge, telling.charge("ITT-DS-ADMN", "p-2"))
        # All come, and each overtakes the one before, while the homeserver is away.
        await deliver_all(bridge, *(telling.marked(movement_no=number) for number in range(1, 11)))
        cards = await eventually(chat.cards, what="the last card")
        assert ["Movement: \u206810\u2069" in card.body for card in cards] == [True]


async def test_three_wrong_codes_end_the_question(
    ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    async with running(ministry) as bridge:
        await deliver_all(bridge, telling.charge("ITT-DS-ADMN", "p-2"), telling.marked())
        room = (await eventually(bridge.chat.cards))[0].room_id
        answers = []
        for text in ("approve", "yes 0001", "yes 0002", "yes 0003", "yes 1000"):
            said = bridge.chat.write(BILAL, room, text)
            answers.append((await eventually(lambda said=said: bridge.chat.answer_to(said))).body)
        assert "yes 1000" in answers[0]
        assert "[nothing-to-confirm]" in answers[4]


async def test_a_command_that_e_office_cannot_take_waits_and_the_officer_knows(
    ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    async with running(ministry) as bridge:  # nobody listens at e-Office's address
        await deliver_all(bridge, telling.charge("ITT-DS-ADMN", "p-2"), telling.marked())
        card = (await eventually(bridge.chat.cards))[0]
        said = bridge.chat.write(BILAL, card.room_id, "discuss", reply_to=card.event_id)
        answer = await eventually(lambda: bridge.chat.answer_to(said))
        assert "Your command is kept and tried again" in answer.body
        again = bridge.chat.write(BILAL, card.room_id, "approve", reply_to=card.event_id)
        assert "[card-busy]" in (await eventually(lambda: bridge.chat.answer_to(again))).body
        bridge.hands.advance(hours=25)
        lost = await eventually(
            lambda: (
                found
                if (found := bridge.chat.answer_to(said)) and "eoffice-unreachable" in found.body
                else None
            )
        )
        assert "Look there" in lost.body


async def test_a_stranger_in_a_foreign_room_is_told_why_and_small_talk_is_left_alone(
    ministry: Ministry, eventually: Any
) -> None:
    async with running(ministry) as bridge:
        bridge.chat.write(FARAH, "!other:fin.gov.test", "hello")
        said = bridge.chat.write(FARAH, "!other:fin.gov.test", "approve")
        answer = await eventually(lambda: bridge.chat.answer_to(said))
        assert "[other-ministry]" in answer.body
        assert len(bridge.chat.sent) == 1
        mine = bridge.chat.write(BILAL, "!other:fin.gov.test", "approve")
        assert "[not-a-post-room]" in (await eventually(lambda: bridge.chat.answer_to(mine))).body


def test_the_test_posts_name_their_own_ids() -> None:
    assert all(post["post_id"] == name for name, post in POSTS.items())
