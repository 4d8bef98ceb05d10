"""A file goes round between the real e-Office and the bridge; a recorder stands for Matrix."""

import re
from typing import Any

from ministry import BILAL, CHAUDHRY, Ministry
from office import Office, office
from recorder import Sent
from sqlalchemy import update

from rabta_bots.matrix import SenderTrust
from rabta_eoffice import records, tables
from rabta_eoffice.acts import Verb


async def card_in(place: Office, number: str, eventually: Any) -> Sent:
    """The newest card that names the file."""

    def newest() -> Sent | None:
        found = [card for card in place.chat.cards() if number in card.body]
        return found[-1] if found else None

    return await eventually(newest, what=f"a card of {number}")


async def reply(place: Office, event_id: str, eventually: Any, within_s: float = 10) -> str:
    """What the bridge answered to a message."""
    answer = await eventually(
        lambda: place.chat.answer_to(event_id), within_s=within_s, what="an answer"
    )
    return str(answer.body)


async def confirm(place: Office, user: str, card: Sent, words: str, eventually: Any) -> str:
    """Give a command on a card and confirm it; gives the question."""
    said = place.chat.write(user, card.room_id, words, reply_to=card.event_id)
    question = await reply(place, said, eventually)
    code = re.search(r"(yes|ہاں) (\d{4})", question)
    assert code is not None, question
    place.chat.write(user, card.room_id, code.group())
    return question


def decisions(place: Office, file_id: str) -> list[str]:
    """e-Office's own ledger of the file."""
    with place.desk.engine.begin() as connection:
        return [row.outcome for row in records.rows_of(connection, tables.decisions, file_id)]


async def test_a_file_put_up_is_shown_approved_confirmed_and_decided_once(
    any_ministry: Ministry, eventually: Any
) -> None:
    async with office(any_ministry) as place:
        file_id = place.open_file()
        place.put_up(file_id)
        card = await card_in(place, "F.No.1(5)/2026-Admn-II", eventually)
        assert place.chat.rooms[card.room_id] == {place.chat.user_id: "join", BILAL: "invite"}
        assert place.chat.classes[card.room_id] == "restricted"

        question = await confirm(place, BILAL, card, "approve", eventually)
        assert "approve" in question
        assert "movement 1?" in question

        edit = await eventually(lambda: place.chat.edit_of(card.event_id), what="the outcome")
        new = edit.content["m.new_content"]["body"]
        assert new.startswith("Approved: ")
        assert "2/N" in new
        assert "You can reply" not in new
        assert decisions(place, file_id) == ["approved"]


async def test_a_code_works_once_and_a_used_card_takes_nothing_more(
    ministry: Ministry, eventually: Any
) -> None:
    async with office(ministry) as place:
        file_id = place.open_file()
        place.put_up(file_id)
        card = await card_in(place, "F.No.1(5)", eventually)
        await confirm(place, BILAL, card, "approve", eventually)
        await eventually(lambda: place.chat.edit_of(card.event_id))
        again = place.chat.write(BILAL, card.room_id, "yes 1000")
        assert "[nothing-to-confirm]" in await reply(place, again, eventually)
        late = place.chat.write(BILAL, card.room_id, "return not now", reply_to=card.event_id)
        assert "[card-used]" in await reply(place, late, eventually)
        assert decisions(place, file_id) == ["approved"]


async def test_the_initiator_reads_of_the_decision_on_a_card_of_his_own(
    ministry: Ministry, eventually: Any
) -> None:
    async with office(ministry) as place:
        place.put_up(place.open_file())
        card = await card_in(place, "F.No.1(5)", eventually)
        await confirm(place, BILAL, card, "approve", eventually)
        told = await eventually(
            lambda: [sent for sent in place.chat.cards() if sent.body.startswith("Approved")]
        )
        assert [place.chat.names[sent.room_id] for sent in told] == [
            "e-Office: Section Officer (Admn-II) · سیکشن افسر (انتظامیہ-۲)"
        ]


async def test_a_look_after_holder_is_offered_no_decision_and_refused_one(
    ministry: Ministry, eventually: Any
) -> None:
    async with office(ministry) as place:
        file_id = place.open_file()
        place.put_up(file_id, "ITT-JS")
        card = await card_in(place, "F.No.1(5)", eventually)
        assert "منظور" not in card.body
        assert "دیکھ لیا" in card.body
        said = place.chat.write(CHAUDHRY, card.room_id, "منظور", reply_to=card.event_id)
        answer = await reply(place, said, eventually)
        assert "[look-after-may-not-decide]" in answer
        assert answer.startswith("عمل نہیں ہوا۔")
        assert decisions(place, file_id) == []


async def test_a_card_whose_file_has_moved_on_is_stale(ministry: Ministry, eventually: Any) -> None:
    async with office(ministry) as place:
        file_id = place.open_file()
        place.put_up(file_id)
        card = await card_in(place, "F.No.1(5)", eventually)
        place.act(file_id, "p-1", "ITT-SO-ADMN2", Verb.PULL_BACK)
        place.put_up(file_id)
        newer = await eventually(
            lambda: [sent for sent in place.chat.cards() if sent.event_id != card.event_id]
        )
        assert "Movement: \u20683\u2069" in newer[0].body
        said = place.chat.write(BILAL, card.room_id, "approve", reply_to=card.event_id)
        assert "[card-withdrawn]" in await reply(place, said, eventually)
        edit = await eventually(lambda: place.chat.edit_of(card.event_id))
        assert "Withdrawn by the sender" in edit.content["m.new_content"]["body"]
        await confirm(place, BILAL, newer[0], "approve", eventually)
        await eventually(lambda: decisions(place, file_id) == ["approved"])


async def test_only_a_signed_device_commands(ministry: Ministry, eventually: Any) -> None:
    async with office(ministry) as place:
        file_id = place.open_file()
        place.put_up(file_id)
        card = await card_in(place, "F.No.1(5)", eventually)
        said = place.chat.write(
            BILAL, card.room_id, "approve", reply_to=card.event_id, device=SenderTrust.UNSIGNED
        )
        assert "[unsigned-device]" in await reply(place, said, eventually)
        clear = place.chat.write(
            BILAL,
            card.room_id,
            "approve",
            reply_to=card.event_id,
            device=SenderTrust.UNKNOWN,
            encrypted=False,
        )
        assert "[not-encrypted]" in await reply(place, clear, eventually)
        assert decisions(place, file_id) == []
        await confirm(place, BILAL, card, "approve", eventually)
        await eventually(lambda: decisions(place, file_id) == ["approved"])


async def test_what_e_office_refuses_is_said_in_words_and_the_card_stays_open(
    ministry: Ministry, eventually: Any
) -> None:
    async with office(ministry) as place:
        file_id = place.open_file(certificate_required=True)
        place.put_up(file_id)
        card = await card_in(place, "F.No.1(5)", eventually)
        said = place.chat.write(BILAL, card.room_id, "approve", reply_to=card.event_id)
        await reply(place, said, eventually)
        place.chat.write(BILAL, card.room_id, "yes 1000")

        def refused() -> bool:
            answer = place.chat.answer_to(said)
            return answer is not None and "[certificate-required]" in answer.body

        await eventually(refused, what="the refusal")
        assert decisions(place, file_id) == []
        await confirm(place, BILAL, card, "return Sign it there, please.", eventually)
        await eventually(lambda: decisions(place, file_id) == ["returned_with_observations"])
        edit = await eventually(lambda: place.chat.edit_of(card.event_id))
        new = edit.content["m.new_content"]["body"]
        assert new.startswith("Returned with observations: ")


def move_on_unheard(place: Office, file_id: str) -> None:
    """The file moves on in e-Office, and the event of it is still under way to the bridge.

    An event in e-Office's outbox would not do: its sender or the bridge's reading of the feed may
    be at work at this very moment and bring it between question and confirmation.
    """
    moved = update(tables.files).where(tables.files.c.file_id == file_id)
    with place.desk.engine.begin() as connection:
        connection.execute(moved.values(movement_no=tables.files.c.movement_no + 1))


async def test_a_file_that_moved_on_unheard_is_refused_by_e_office_as_stale(
    ministry: Ministry, eventually: Any
) -> None:
    async with office(ministry) as place:
        file_id = place.open_file()
        place.put_up(file_id)
        card = await card_in(place, "F.No.1(5)", eventually)
        move_on_unheard(place, file_id)
        said = place.chat.write(BILAL, card.room_id, "approve", reply_to=card.event_id)
        await reply(place, said, eventually)
        place.chat.write(BILAL, card.room_id, "yes 1000")

        def refused() -> bool:
            answer = place.chat.answer_to(said)
            return answer is not None and "[stale-movement]" in answer.body

        await eventually(refused, what="the refusal")
        assert decisions(place, file_id) == []


async def test_a_file_pulled_back_while_the_question_is_open_is_not_decided(
    ministry: Ministry, eventually: Any
) -> None:
    async with office(ministry) as place:
        file_id = place.open_file()
        place.put_up(file_id)
        card = await card_in(place, "F.No.1(5)", eventually)
        said = place.chat.write(BILAL, card.room_id, "approve", reply_to=card.event_id)
        await reply(place, said, eventually)
        place.act(file_id, "p-1", "ITT-SO-ADMN2", Verb.PULL_BACK)
        await eventually(lambda: place.chat.edit_of(card.event_id), what="the card's end")
        sure = place.chat.write(BILAL, card.room_id, "yes 1000")
        assert "[card-withdrawn]" in await reply(place, sure, eventually)
        assert decisions(place, file_id) == []


async def test_forward_and_discuss_from_chat_do_in_e_office_what_they_say(
    ministry: Ministry, eventually: Any
) -> None:
    async with office(ministry) as place:
        file_id = place.open_file()
        place.put_up(file_id)
        card = await card_in(place, "F.No.1(5)", eventually)
        said = place.chat.write(BILAL, card.room_id, "discuss", reply_to=card.event_id)
        assert (await reply(place, said, eventually)).startswith("To be discussed: ")
        assert decisions(place, file_id) == ["discuss"]
        question = await confirm(place, BILAL, card, "forward itt-js", eventually)
        assert "to \u2068itt-js\u2069" in question
        edit = await eventually(lambda: place.chat.edit_of(card.event_id))
        assert edit.content["m.new_content"]["body"].startswith("Forwarded: ")
        onward = await eventually(
            lambda: [sent for sent in place.chat.cards() if "آپ کو مارک" in sent.body]
        )
        assert place.chat.names[onward[0].room_id] == "e-Office: Joint Secretary"
