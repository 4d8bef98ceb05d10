"""From one post to many: confirmed, read where nobody talks back, acknowledged post by post."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from events import Telling
from ministry import AYESHA, BILAL, CHAUDHRY, NOW, Ministry, Running, deliver_all, running
from recorder import Sent

from rabta_bots.commands.announcing import Wanted, read_announcement
from rabta_bots.matrix.receipts import seen_by
from rabta_bots.reminding import first_reminder, next_reminder
from rabta_bots.store.announcements import announcement

KARACHI = ZoneInfo("Asia/Karachi")
DUE = datetime(2026, 7, 20, 16, 0, tzinfo=KARACHI)
CLOSED_DAY = "announce all by 2026-07-20: The office is closed on Friday: all wings."


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("all by 2026-07-20: Words: more", Wanted("all", DUE, "Words: more")),
        ("all: Words", Wanted("all", None, "Words")),
        ("Section Admn-II by 2026-07-20:\nWords", Wanted("section admn-ii", DUE, "Words")),
        ("ITT-JS, itt-ds-admn: Words", Wanted("itt-js, itt-ds-admn", None, "Words")),
        ("سب تک ۲۰۲۶-۰۷-۲۰: دفتر بند ہے", Wanted("سب", DUE, "دفتر بند ہے")),
        ("سب تک 2026-02-31: دفتر", None),
        ("all", None),
        ("all:", None),
        (": Words", None),
        ("all by 2026-13-01: Words", None),
    ],
)
def test_an_announcement_is_read_or_not_understood(text: str, wanted: Wanted | None) -> None:
    assert read_announcement(text, KARACHI) == wanted


def test_reminders_come_at_half_the_time_daily_and_when_it_is_due() -> None:
    due = NOW + timedelta(days=4)
    assert first_reminder(NOW, due) == NOW + timedelta(days=2)
    assert next_reminder(NOW + timedelta(days=2), due) == NOW + timedelta(days=3)
    assert next_reminder(NOW + timedelta(days=3, hours=12), due) == due


def test_a_receipt_at_the_message_or_past_it_counts_and_an_earlier_one_does_not() -> None:
    def receipt(event: str, user: str, ts: object) -> dict[str, Any]:
        return {"content": {event: {"m.read": {user: {"ts": ts}}}}}

    receipts = [
        receipt("$2", "@at:a.test", 1_000),
        receipt("$3", "@past:a.test", 2_000),
        receipt("$1", "@before:a.test", 3_000),
        receipt("$2", "no user", 1_000),
        receipt("$2", "@wild:a.test", "yesterday"),
        {"content": ["$2"]},
    ]
    found = seen_by("$2", ["$1", "$2", "$3"], {"ephemeral": {"events": receipts}})
    assert set(found) == {"@at:a.test", "@past:a.test"}
    assert found["@past:a.test"] == datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC)
    assert seen_by("$0", ["$1"], {"ephemeral": {"events": [receipt("$1", "@p:a.test", 5)]}})


class Hall:
    """A ministry of three posts, of which DS may announce."""

    def __init__(self, bridge: Running, telling: Telling, eventually: Any) -> None:
        self.bridge, self.telling, self.eventually = bridge, telling, eventually

    async def open(self) -> None:
        """Everybody is posted, and each has a room from a first card."""
        posts = {"ITT-SO-ADMN2": "p-1", "ITT-DS-ADMN": "p-2", "ITT-JS": "p-3"}
        charges = [self.telling.charge(post, person) for post, person in posts.items()]
        marked = self.telling.marked(tuple(posts), purpose="for_information")
        await deliver_all(self.bridge, *charges, marked)
        await self.eventually(lambda: len(self.bridge.chat.cards()) == 3, what="three cards")

    def room_of(self, user: str) -> str:
        """The room of the user's post."""
        return next(
            sent.room_id
            for sent in self.bridge.chat.cards()
            if sent.content["m.mentions"] == {"user_ids": [user]}
        )

    async def ask(self, user: str, text: str, **how: Any) -> str:
        """What the bridge answers to a message in the room of the user's post."""
        said = self.bridge.chat.write(user, self.room_of(user), text, **how)
        answer = await self.eventually(lambda: self.bridge.chat.answer_to(said), what=text)
        return str(answer.body)

    async def announce(self, text: str = CLOSED_DAY) -> str:
        """Announce and confirm; gives the answer."""
        question = await self.ask(BILAL, text)
        code = question.rpartition(" ")[2]
        return await self.ask(BILAL, f"yes {code}")

    def told(self, user: str, words: str) -> list[Sent]:
        """Messages to the user's room that are no answers and hold the words."""
        room = self.room_of(user)
        return [
            one for one in self.bridge.chat.cards() if one.room_id == room and words in one.body
        ]


@pytest.fixture
def hall(telling: Telling, eventually: Any) -> Any:
    """Make a hall of a running bridge."""
    return lambda bridge: Hall(bridge, telling, eventually)


ANNOUNCERS = {"announcers": ["ITT-DS-ADMN"]}


async def test_an_announcement_is_confirmed_told_where_nobody_talks_back_and_acknowledged(
    any_ministry: Ministry, hall: Any, eventually: Any
) -> None:
    async with running(any_ministry, **ANNOUNCERS) as bridge:
        place: Hall = hall(bridge)
        await place.open()
        question = await place.ask(BILAL, CLOSED_DAY)
        assert "announce to 2 posts, acknowledged by \u206820 July 2026, 16:00\u2069" in question
        assert bridge.chat.silent == set(), "nothing is told before it is confirmed"
        assert "Announced as \u2068A1\u2069" in await place.ask(BILAL, "yes 1000")
        room = await eventually(lambda: next(iter(bridge.chat.silent), None))
        assert bridge.chat.names[room] == "e-Office: announcements ITT"
        assert bridge.chat.classes[room] == "restricted"
        (told,) = await eventually(lambda: [one for one in bridge.chat.sent if one.room_id == room])
        assert "\n\nThe office is closed on Friday: all wings.\n\n" in told.body
        assert told.content["m.mentions"] == {"room": True}
        everybody = {AYESHA: "invite", BILAL: "invite", CHAUDHRY: "invite"}
        await eventually(lambda: bridge.chat.rooms[room].items() >= everybody.items())

        (notice,) = await eventually(lambda: place.told(AYESHA, "Announcement \u2068A1\u2069"))
        assert "closed" not in notice.body
        assert await place.ask(AYESHA, "ack", reply_to=notice.event_id) == (
            "Acknowledged: announcement \u2068A1\u2069"
        )
        assert "[already-acknowledged]" in await place.ask(AYESHA, "ack A1")
        bridge.chat.reads[told.event_id] = {CHAUDHRY: NOW + timedelta(minutes=5)}
        await place.ask(BILAL, "report A1")
        (report,) = await eventually(lambda: place.told(BILAL, "of 2 posts"))
        when = "\u206814 July 2026, 15:00\u2069"
        who = f"\u2068Section Officer (Admn-II)\u2069, {when}, by \u2068Ayesha Malik\u2069"
        assert report.body.split("\n") == [
            "Announcement \u2068A1\u2069: 1 of 2 posts have acknowledged it.",
            f"Acknowledged: {who}",
            "Not acknowledged: \u2068Joint Secretary\u2069 · read \u206814 July 2026, 15:05\u2069",
        ]
        # The last one closes it, and the announcer hears of it by himself.
        await eventually(lambda: place.told(CHAUDHRY, "A1"))
        assert "A1" in await place.ask(CHAUDHRY, "وصول A۱")
        await eventually(lambda: place.told(BILAL, ": 2 of 2 posts"), what="the last report")


async def test_only_those_are_reminded_who_have_not_acknowledged_and_not_at_once_again(
    ministry: Ministry, hall: Any, eventually: Any
) -> None:
    async with running(ministry, **ANNOUNCERS) as bridge:
        place: Hall = hall(bridge)
        await place.open()
        await place.announce()
        await eventually(lambda: place.told(AYESHA, "A1") and place.told(CHAUDHRY, "A1"))
        await place.ask(AYESHA, "ack A1")
        assert "[reminded-just-now]" in await place.ask(BILAL, "remind A1")
        bridge.hands.advance(minutes=6)
        assert "1 posts" in await place.ask(BILAL, "remind A1")
        await eventually(lambda: len(place.told(CHAUDHRY, "A1")) == 2, what="the reminder")
        # Half of the time is gone on a Friday evening: nobody is reminded before Monday at nine.
        bridge.hands.advance(days=3, hours=4)

        def put_off() -> bool:
            with bridge.engine.begin() as connection:
                row = announcement(connection, 1)
            return row is not None and row.remind_at == datetime(2026, 7, 20, 9, tzinfo=KARACHI)

        await eventually(put_off, what="the reminder put off to Monday")
        assert len(place.told(CHAUDHRY, "A1")) == 2
        bridge.hands.advance(days=2, hours=14)
        await eventually(lambda: len(place.told(CHAUDHRY, "A1")) == 3, what="by the clock")
        # It is due: whoever made it gets the report, and nobody is reminded any more.
        bridge.hands.advance(hours=8)
        await eventually(lambda: place.told(BILAL, ": 1 of 2 posts"), what="the report")
        assert "[nothing-to-remind-of]" in await place.ask(BILAL, "remind A1")
        assert len(place.told(AYESHA, "A1")) == 1


@pytest.mark.parametrize(
    ("user", "text", "reason"),
    [
        (AYESHA, CLOSED_DAY, "not-an-announcer"),
        (BILAL, "announce everybody", "announcement-required"),
        (BILAL, "announce", "announcement-required"),
        (BILAL, "announce all by 2026-07-13: Late", "date-past"),
        (BILAL, "announce ITT-NOBODY: Words", "no-such-post"),
        (BILAL, "announce FIN-DS-BUDGET: Words", "no-such-post"),
        (BILAL, "announce section Nowhere: Words", "no-such-post"),
        (AYESHA, "ack A9", "no-such-announcement"),
        (AYESHA, "report A1", "no-such-announcement"),
        (AYESHA, "remind A1", "no-such-announcement"),
        (BILAL, "yes 0000", "nothing-to-confirm"),
    ],
)
async def test_what_may_not_be_announced_is_refused_with_its_reason(
    ministry: Ministry, hall: Any, user: str, text: str, reason: str
) -> None:
    async with running(ministry, **ANNOUNCERS) as bridge:
        place: Hall = hall(bridge)
        await place.open()
        assert f"[{reason}]" in await place.ask(user, text)
        assert bridge.chat.silent == set()


async def test_a_list_of_posts_and_a_section_have_rooms_of_their_own(
    ministry: Ministry, hall: Any, eventually: Any
) -> None:
    async with running(ministry, **ANNOUNCERS) as bridge:
        place: Hall = hall(bridge)
        await place.open()
        await place.announce("announce itt-js: For you alone")
        await eventually(lambda: len(bridge.chat.silent) == 1)
        (room,) = bridge.chat.silent
        await eventually(lambda: CHAUDHRY in bridge.chat.rooms[room])
        assert AYESHA not in bridge.chat.rooms[room]
        assert place.told(CHAUDHRY, "A1") == [], "what needs no acknowledgement is not asked for it"
        await place.announce("announce section Admn-II: For the section")
        await eventually(lambda: len(bridge.chat.silent) == 2)
        (other,) = bridge.chat.silent - {room}
        await eventually(lambda: AYESHA in bridge.chat.rooms[other])
        assert CHAUDHRY not in bridge.chat.rooms[other]
        assert "Cancelled" in await place.ask(BILAL, "announce all: No") + await place.ask(
            BILAL, "no"
        )
