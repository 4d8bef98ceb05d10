"""Rooms of several posts: who is in them, what is said there, and how they follow the charges."""

from datetime import timedelta
from typing import Any

from events import Telling
from ministry import AYESHA, BILAL, CHAUDHRY, NOW, Ministry, Running, deliver_all, running
from office import office
from recorder import Sent

from rabta_bots.store.events import waiting_count
from rabta_contract.vocabulary import EventType
from rabta_eoffice.acts import Verb

NUMBER = "F.No.1(5)/2026-Admn-II"
LINKED = EventType.FILE_LINKED


async def two_posted(bridge: Running, telling: Telling, second: str, eventually: Any) -> None:
    """Both posts of the section Admn-II are held, and the bridge knows it."""
    await deliver_all(
        bridge, telling.charge("ITT-SO-ADMN2", "p-1"), telling.charge("ITT-DS-ADMN", second)
    )

    def known() -> bool:
        with bridge.engine.begin() as connection:
            return waiting_count(connection) == 0

    await eventually(known, what="the charges")


def room_named(bridge: Running, name: str) -> str | None:
    """The room that clients list under this name."""
    return next((room for room, called in bridge.chat.names.items() if called == name), None)


def said_in(bridge: Running, room_id: str) -> list[Sent]:
    """What the bridge wrote there."""
    return [sent for sent in bridge.chat.sent if sent.room_id == room_id]


def inside(bridge: Running, room_id: str) -> set[str]:
    """The officers who are in or invited."""
    members = bridge.chat.rooms[room_id].items()
    return {user for user, state in members if state in {"join", "invite"}} - {bridge.chat.user_id}


async def in_case_room(bridge: Running, user: str, room_id: str, eventually: Any) -> str:
    """Ask for the case room of the file; gives its id."""
    said = bridge.chat.write(user, room_id, f"case {NUMBER}")
    answer = await eventually(lambda: bridge.chat.answer_to(said))
    assert "e-Office: case 1" in answer.body, answer.body
    return str(await eventually(lambda: room_named(bridge, "e-Office: case 1")))


async def test_steps_of_a_file_stand_in_one_thread_of_its_sections_room(
    any_ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    async with running(any_ministry) as bridge:
        await two_posted(bridge, telling, "p-2", eventually)
        files = ("ITT-1", "ITT-1", "ITT-2", "ITT-1")
        await deliver_all(bridge, *(telling.of_type(LINKED, file_id=file) for file in files))

        def told() -> list[Sent] | None:
            room = room_named(bridge, "e-Office: Admn-II (ITT)")
            lines = said_in(bridge, room) if room else []
            return lines if len(lines) == 4 else None

        lines = await eventually(told, what="four lines")
        roots = [sent for sent in lines if "m.relates_to" not in sent.content]
        replies = [sent.content["m.relates_to"] for sent in lines if "m.relates_to" in sent.content]
        assert len(roots) == 2
        assert [reply["rel_type"] for reply in replies] == ["m.thread", "m.thread"]
        assert len({reply["event_id"] for reply in replies}) == 1
        assert replies[0]["event_id"] in {root.event_id for root in roots}
        room = lines[0].room_id
        assert bridge.chat.classes[room] == "restricted"
        assert inside(bridge, room) == {AYESHA, BILAL}


async def test_a_room_speaks_the_languages_of_its_members(
    ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    async with running(ministry) as bridge:
        await two_posted(bridge, telling, "p-3", eventually)
        await deliver_all(bridge, telling.of_type(LINKED))
        room = await eventually(lambda: room_named(bridge, "e-Office: Admn-II (ITT)"))
        (both,) = await eventually(lambda: said_in(bridge, room))
        english, urdu = both.body.split("\n\n")
        assert english.startswith("Linked")
        assert urdu[0] >= "\u0600"


async def test_no_section_reads_along_in_what_is_confidential(
    ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    async with running(ministry) as bridge:
        secret = telling.marked(grade="CONFIDENTIAL", subject=None, remarks=None)
        await deliver_all(bridge, telling.charge("ITT-DS-ADMN", "p-2"), secret)
        card = (await eventually(bridge.chat.cards))[0]
        await deliver_all(bridge, telling.of_type(LINKED, grade="CONFIDENTIAL"))
        case = await in_case_room(bridge, BILAL, card.room_id, eventually)
        assert bridge.chat.classes[case] == "confidential"
        await deliver_all(bridge, telling.of_type(LINKED, grade="CONFIDENTIAL"))
        await eventually(lambda: [sent for sent in said_in(bridge, case) if "Linked" in sent.body])
        assert room_named(bridge, "e-Office: Admn-II (ITT)") is None


async def test_lines_are_taken_back_when_the_grade_of_their_file_rises_above_the_room(
    any_ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    async with running(any_ministry) as bridge:
        await two_posted(bridge, telling, "p-2", eventually)
        other = telling.of_type(LINKED, file_id="ITT-2", number="F.No.7/2026")
        await deliver_all(bridge, telling.of_type(LINKED), telling.of_type(LINKED), other)
        room = await eventually(lambda: room_named(bridge, "e-Office: Admn-II (ITT)"))
        lines = await eventually(
            lambda: found if len(found := said_in(bridge, room)) == 3 else None, what="the lines"
        )
        raised = telling.of_type(EventType.FILE_CLASSIFICATION_CHANGED, grade="CONFIDENTIAL")
        await deliver_all(bridge, raised)
        told = {sent.event_id for sent in lines if "F.No.7" not in sent.body}
        await eventually(lambda: set(bridge.chat.redacted) == told, what="the redactions")
        assert len(said_in(bridge, room)) == 3, "nothing more is said of it here"


async def test_a_case_room_is_for_those_whom_the_file_concerns_and_follows_it(
    any_ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    async with running(any_ministry) as bridge:
        await deliver_all(
            bridge,
            telling.charge("ITT-SO-ADMN2", "p-1"),
            telling.charge("ITT-DS-ADMN", "p-2"),
            telling.charge("ITT-JS", "p-3"),
            telling.charge("FIN-DS-BUDGET", "p-6"),
            telling.marked(("ITT-DS-ADMN", "FIN-DS-BUDGET")),
        )
        card = (
            await eventually(lambda: [one for one in bridge.chat.cards() if "ITT" in one.body])
        )[0]
        inbox = next(
            sent.room_id
            for sent in bridge.chat.cards()
            if sent.content["m.mentions"] == {"user_ids": [BILAL]}
        )
        assert card.content["m.mentions"]["user_ids"]
        case = await in_case_room(bridge, BILAL, inbox, eventually)
        await eventually(lambda: inside(bridge, case) == {AYESHA, BILAL}, what="the two posts")
        opening = (await eventually(lambda: said_in(bridge, case)))[0]
        assert opening.body.startswith("This room is for \u2068F.No.1(5)/2026-Admn-II\u2069")
        assert NUMBER not in bridge.chat.names[case], "a name stands in clear on the homeserver"

        await deliver_all(
            bridge,
            telling.marked("ITT-JS", movement_no=13, sender="ITT-DS-ADMN", purpose="forward"),
        )
        await eventually(lambda: CHAUDHRY in inside(bridge, case), what="the joint secretary")
        again = bridge.chat.write(BILAL, inbox, f"معاملہ {NUMBER}")
        answer = await eventually(lambda: bridge.chat.answer_to(again))
        assert answer.body.startswith("The room for")
        assert room_named(bridge, "e-Office: case 2") is None


async def test_who_gives_up_a_charge_is_out_of_every_room_of_the_post(
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
        case = await in_case_room(bridge, BILAL, card.room_id, eventually)
        await deliver_all(bridge, telling.of_type(LINKED))
        section = await eventually(lambda: room_named(bridge, "e-Office: Admn-II (ITT)"))
        rooms = {card.room_id, case, section}
        await eventually(lambda: all(BILAL in inside(bridge, room) for room in rooms))

        await deliver_all(
            bridge,
            telling.charge("ITT-DS-ADMN", "p-2", ended=True, until=NOW.isoformat()),
            telling.charge("ITT-DS-ADMN", "p-3", **{"from": NOW.isoformat()}),
        )
        await eventually(lambda: not any(BILAL in inside(bridge, room) for room in rooms))
        await eventually(lambda: all(CHAUDHRY in inside(bridge, room) for room in rooms))
        assert {room for room, user in bridge.chat.kicked if user == BILAL} == rooms
        assert not any(user == AYESHA for _, user in bridge.chat.kicked)


async def test_the_new_holder_reads_first_what_is_pending_in_his_own_language(
    ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    async with running(ministry) as bridge:
        await deliver_all(
            bridge,
            telling.charge("ITT-DS-ADMN", "p-2"),
            telling.marked(file_id="ITT-1"),
            telling.marked(file_id="ITT-2", grade="CONFIDENTIAL", subject=None, remarks=None),
        )
        await eventually(lambda: len(bridge.chat.cards()) == 2)
        bridge.hands.advance(days=2)
        await deliver_all(
            bridge,
            telling.charge(
                "ITT-DS-ADMN", "p-3", kind="look_after", **{"from": bridge.hands().isoformat()}
            ),
        )

        def lists() -> dict[str, str] | None:
            found = {
                bridge.chat.classes[sent.room_id]: sent.body
                for sent in bridge.chat.cards()
                if sent.body.startswith("اب ")
            }
            return found if len(found) == 2 else None

        handed = await eventually(lists, what="a list in each room")
        for told in handed.values():
            headline, card = told.split("\n")
            assert "ڈپٹی سیکرٹری (انتظامیہ)" in headline
            assert headline.endswith(": 1")
            assert "\u2068F.No.1(5)/2026-Admn-II\u2069" in card
            assert "14 جولائی 2026" in card
            assert "گزر چکی" in card, "the deadline is past"
        # A look-after holder is shown the cards again, and may not decide on them.
        again = [sent for sent in bridge.chat.cards() if "محدود" in sent.body]
        assert "منظور" not in again[0].body


async def test_people_talk_among_themselves_and_the_bridge_answers_whoever_speaks_to_it(
    ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    async with running(ministry) as bridge:
        await two_posted(bridge, telling, "p-2", eventually)
        await deliver_all(bridge, telling.of_type(LINKED))
        room = await eventually(lambda: room_named(bridge, "e-Office: Admn-II (ITT)"))
        await eventually(lambda: said_in(bridge, room))
        talk = [bridge.chat.write(AYESHA, room, text) for text in ("approve", "seen", "help")]
        content = {
            "msgtype": "m.text",
            "body": "approve",
            "m.mentions": {"user_ids": [bridge.chat.user_id]},
        }
        spoken = bridge.chat.write(AYESHA, room, "", content=content)
        answer = await eventually(lambda: bridge.chat.answer_to(spoken))
        assert "[not-a-post-room]" in answer.body
        assert [bridge.chat.answer_to(said) for said in talk] == [None] * 3


async def test_an_outcome_to_be_discussed_names_the_room_to_talk_in(
    ministry: Ministry, eventually: Any
) -> None:
    async with office(ministry) as place:
        file_id = place.open_file(NUMBER)
        place.put_up(file_id)
        card = (await eventually(place.chat.cards))[0]
        said = place.chat.write(BILAL, card.room_id, "discuss", reply_to=card.event_id)
        answer = await eventually(lambda: place.chat.answer_to(said))
        assert answer.body.split("\n")[1] == (
            "To talk about it in a room of its own, write: case \u2068#1\u2069"
        )
        await in_case_room(place.bridge, BILAL, card.room_id, eventually)
        again = place.chat.write(BILAL, card.room_id, "discuss", reply_to=card.event_id)
        answer = await eventually(lambda: place.chat.answer_to(again))
        assert "Talk about it in the room: \u2068e-Office: case 1\u2069" in answer.body
        place.act(file_id, "p-2", "ITT-DS-ADMN", Verb.MARK, to_post="ITT-JS")
        await eventually(
            lambda: CHAUDHRY in inside(place.bridge, room_named(place.bridge, "e-Office: case 1")),
            within_s=15,
        )


async def test_two_charges_of_one_person_make_one_card_a_post(
    ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    async with running(ministry) as bridge:
        begins = (NOW - timedelta(days=1)).isoformat()
        await deliver_all(
            bridge,
            telling.charge("ITT-DS-ADMN", "p-2"),
            telling.charge("ITT-JS", "p-2", kind="additional", **{"from": begins}),
            telling.marked(("ITT-DS-ADMN", "ITT-JS")),
        )
        await eventually(lambda: len(bridge.chat.cards()) == 2)
        told = [sent.body.split("\n")[1] for sent in bridge.chat.cards()]
        assert sorted(told) == [
            "For: \u2068Deputy Secretary (Admn)\u2069",
            "For: \u2068Joint Secretary\u2069",
        ]
        assert len({sent.room_id for sent in bridge.chat.cards()}) == 2
