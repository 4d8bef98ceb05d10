"""What goes out by the clock: time limits on the office's calendar, reminders, the daily digest."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from events import Telling
from hypothesis import given
from hypothesis import strategies as st
from ministry import Ministry, Running, running
from recorder import Recorder, Sent
from sqlalchemy import select

from rabta_bots.deadlines import Running as Time
from rabta_bots.deadlines import Signal, due, look_at
from rabta_bots.store.tables import audit, events, marks, outbox
from rabta_bots.working_days import WorkingDays
from rabta_contract.vocabulary import DeadlineLevel, EventType

KARACHI = ZoneInfo("Asia/Karachi")
DAYS = WorkingDays(KARACHI)
GREEN, YELLOW, RED = DeadlineLevel
DAY = timedelta(days=1)


def at(text: str) -> datetime:
    """A moment on the office's clock, as `2026-07-14 15:00`."""
    return datetime.fromisoformat(text).replace(tzinfo=KARACHI)


@pytest.mark.parametrize(
    ("day", "works"),
    [
        ("2026-07-14", True),
        ("2026-07-18", False),  # Saturday
        ("2026-08-14", False),  # Independence Day
        ("2026-05-27", False),  # Eid al-Adha
        ("2026-07-15", True),
    ],
)
def test_the_office_rests_at_weekends_and_on_the_holidays_of_pakistan(
    day: str, works: bool
) -> None:
    assert DAYS.is_working(date.fromisoformat(day)) is works


def test_an_announced_holiday_is_added_and_one_taken_back() -> None:
    day, holiday = date(2026, 7, 15), date(2026, 8, 14)
    days = WorkingDays(KARACHI, closed=frozenset({day}), opened=frozenset({holiday}))
    assert not days.is_working(day)
    assert days.is_working(holiday)


@pytest.mark.parametrize(
    ("begins", "limit", "ends"),
    [
        ("2026-07-14 15:00", 0, "2026-07-14 17:00"),
        ("2026-07-14 18:00", 0, "2026-07-15 17:00"),  # after hours: tomorrow's day
        ("2026-07-17 10:00", 1, "2026-07-20 17:00"),  # Friday to Monday
        ("2026-07-14 10:00", 3, "2026-07-17 17:00"),
        ("2026-08-11 10:00", 3, "2026-08-17 17:00"),  # over Independence Day and a weekend
        ("2026-07-14 10:00", 7, "2026-07-23 17:00"),
    ],
)
def test_a_limit_is_counted_in_working_days(begins: str, limit: int, ends: str) -> None:
    assert DAYS.end_of_day(at(begins), limit) == at(ends)


@pytest.mark.parametrize(
    ("begins", "ends", "now", "told", "expected"),
    [
        # Friday noon to Monday noon is eight hours of work: half of them are over on Friday at 16.
        ("2026-07-17 12:00", "2026-07-20 12:00", "2026-07-17 15:59", GREEN, None),
        ("2026-07-17 12:00", "2026-07-20 12:00", "2026-07-17 16:00", GREEN, Signal(YELLOW)),
        ("2026-07-17 12:00", "2026-07-20 12:00", "2026-07-18 16:00", YELLOW, None),
        ("2026-07-17 12:00", "2026-07-20 12:00", "2026-07-20 12:00", YELLOW, Signal(RED)),
        # Both have passed while nobody looked: only the last word counts.
        ("2026-07-17 12:00", "2026-07-20 12:00", "2026-07-22 12:00", GREEN, Signal(RED)),
        # Due on a Sunday: nobody is chased before Monday.
        ("2026-07-17 12:00", "2026-07-19 12:00", "2026-07-19 13:00", YELLOW, None),
        ("2026-07-17 12:00", "2026-07-19 12:00", "2026-07-20 09:00", YELLOW, Signal(RED)),
        # No working time between: there is no half of it.
        ("2026-07-18 10:00", "2026-07-19 12:00", "2026-07-19 13:00", GREEN, None),
        ("2026-07-18 10:00", "2026-07-19 12:00", "2026-07-20 09:00", GREEN, Signal(RED)),
    ],
)
def test_a_deadline_is_yellow_at_half_the_working_time_and_red_when_due(
    begins: str, ends: str, now: str, told: DeadlineLevel, expected: Signal | None
) -> None:
    running_time = Time(at(begins), at(ends), told, at(begins))
    assert due(running_time, DAYS, at(now), DAY) == expected


def test_an_overdue_paper_is_reminded_of_in_working_time_until_it_is_over() -> None:
    overdue = Time(at("2026-07-14 10:00"), at("2026-07-17 12:00"), RED, at("2026-07-17 12:00"))
    assert due(overdue, DAYS, at("2026-07-19 12:00"), DAY) is None
    assert due(overdue, DAYS, at("2026-07-20 09:00"), DAY) == Signal(RED, 1)
    assert due(overdue, DAYS, at("2026-07-20 09:00"), None) is None


moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - the zone is given beside


@given(begins=moments, ends=moments, now=moments, told=st.sampled_from(list(DeadlineLevel)))
def test_what_was_told_is_never_told_again(
    begins: datetime, ends: datetime, now: datetime, told: DeadlineLevel
) -> None:
    before = Time(begins, ends, told, begins)
    signal = due(before, DAYS, now, DAY)
    if signal is None:
        later = look_at(before, DAYS, DAY)
        assert later is not None
        assert later > now
        assert due(before, DAYS, later, DAY) is not None
    else:
        after = Time(begins, ends, signal.level, now, signal.reminder)
        assert due(after, DAYS, now, DAY) is None


# Through a whole bridge. It is Tuesday, 14 July 2026, 15:00; the file is due on Wednesday at 16:00.


async def begin(bridge: Running, telling: Telling) -> None:
    """DS has a post above it, and a file before it."""
    for post, person in (("ITT-DS-ADMN", "p-2"), ("ITT-JS", "p-1"), ("ITT-SO-ADMN2", "p-6")):
        await bridge.deliver(telling.charge(post, person))
    await bridge.deliver(telling.marked())


async def at_the_hour(bridge: Running, moment: str) -> None:
    """The clock stands at a moment, and the bridge looks at it."""
    bridge.hands.now = at(moment).astimezone(UTC)
    bridge.bridge._ticking.wake()


def told(chat: Recorder, begins: str) -> list[Sent]:
    """The cards that begin so."""
    return [card for card in chat.cards() if card.body.startswith(begins)]


def rooms_of(chat: Recorder, cards: list[Sent]) -> set[str]:
    """The posts that read them."""
    return {chat.names[card.room_id].removeprefix("e-Office: ").split(" ·")[0] for card in cards}


async def test_the_clock_tells_yellow_red_and_the_superior_once_also_after_a_restart(
    any_ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    chat = Recorder()
    async with running(any_ministry, chat) as bridge:
        await begin(bridge, telling)
        await eventually(lambda: told(chat, "Put up"))
        await at_the_hour(bridge, "2026-07-15 11:29")
        await at_the_hour(bridge, "2026-07-15 11:30")
        yellow = await eventually(lambda: told(chat, "Half the time has passed"))
        assert rooms_of(chat, yellow) == {"Deputy Secretary (Admn)"}
    async with running(any_ministry, chat := Recorder(rooms=chat.rooms, names=chat.names)) as again:
        await at_the_hour(again, "2026-07-15 16:00")
        red = await eventually(
            lambda: found if len(found := told(chat, "Overdue")) > 1 else None, what="both cards"
        )
        assert rooms_of(chat, red) == {"Deputy Secretary (Admn)", "Joint Secretary"}
        assert told(chat, "Half the time") == []
        await at_the_hour(again, "2026-07-16 16:00")
        reminders = await eventually(lambda: told(chat, "Reminder"))
        assert rooms_of(chat, reminders) == {"Deputy Secretary (Admn)"}
        # Who has acted is left in peace.
        await again.deliver(telling.decided(time=again.hands.now))
        await at_the_hour(again, "2026-07-20 10:00")
        await eventually(lambda: told(chat, "Today for"), what="the digest behind the clock's turn")
        assert len(told(chat, "Reminder")) == 1
        assert len(told(chat, "Overdue")) == 2


async def test_what_e_office_tells_itself_the_bridge_does_not_tell_again(
    ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    async with running(ministry) as bridge:
        await begin(bridge, telling)
        await bridge.deliver(telling.of_type(EventType.DEADLINE_APPROACHING))
        await eventually(lambda: told(bridge.chat, "Half the time has passed"))
        await at_the_hour(bridge, "2026-07-15 16:00")
        await eventually(lambda: len(told(bridge.chat, "Overdue")) == 2)
        # e-Office's own word comes late: both posts have read it.
        late = telling.of_type(EventType.DEADLINE_BREACHED)
        await bridge.deliver(late)

        def held_back() -> Any:
            with bridge.engine.begin() as connection:
                return connection.execute(
                    select(audit.c.reason).where(audit.c.event_id == late.id)
                ).all()

        assert await eventually(held_back) == [("told-already",), ("told-already",)]
        assert len(told(bridge.chat, "Half the time")) == 1
        assert len(told(bridge.chat, "Overdue")) == 2


async def test_a_file_without_a_time_limit_has_the_one_of_its_urgency(
    ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    async with running(ministry, deadlines={"limits": {"IMMEDIATE": 1}}) as bridge:
        await bridge.deliver(telling.charge("ITT-DS-ADMN", "p-2"))
        await bridge.deliver(telling.marked(deadline=None, file_id="ITT-1"))
        await bridge.deliver(telling.marked(deadline=None, file_id="ITT-2", priority="ROUTINE"))
        await eventually(lambda: len(told(bridge.chat, "Put up")) == 2)
        await at_the_hour(bridge, "2026-07-16 09:00")
        red = await eventually(lambda: told(bridge.chat, "Overdue"))
        assert ["ITT-1" in card.body for card in red] == [True]


async def test_a_post_that_has_acted_is_not_reminded_and_none_twice_in_five_minutes(
    ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    both = ("ITT-DS-ADMN", "ITT-JS")
    async with running(ministry) as bridge:
        await bridge.deliver(telling.charge("ITT-DS-ADMN", "p-2"))
        await bridge.deliver(telling.charge("ITT-JS", "p-1"))
        await bridge.deliver(telling.marked(both))
        await bridge.deliver(telling.marked(both, kind="reminder.sent"))
        await eventually(lambda: len(told(bridge.chat, "Reminder")) == 2)
        await bridge.deliver(telling.marked(both, kind="reminder.sent"))
        bridge.hands.advance(minutes=6)
        await bridge.deliver(telling.marked(both, kind="reminder.sent"))
        await eventually(lambda: len(told(bridge.chat, "Reminder")) == 4)
        await bridge.deliver(telling.decided())
        bridge.hands.advance(minutes=6)
        last = telling.marked(both, kind="reminder.sent")
        await bridge.deliver(last)

        def held_back() -> Any:
            with bridge.engine.begin() as connection:
                return connection.execute(
                    select(audit.c.reason).where(audit.c.event_id == last.id)
                ).all()

        assert await eventually(held_back) == [("has-acted",), ("has-acted",)]
        assert len(told(bridge.chat, "Reminder")) == 4


def days_of_digests(bridge: Running) -> set[int]:
    """The days up to which the posts have had their digests."""
    with bridge.engine.begin() as connection:
        digested = select(marks.c.value).where(marks.c.name == "digest:ITT-DS-ADMN")
        return set(connection.execute(digested).scalars())


async def test_each_post_reads_its_digest_once_on_a_working_day_also_after_a_restart(
    any_ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    chat = Recorder()
    async with running(any_ministry, chat) as bridge:
        await begin(bridge, telling)
        await bridge.deliver(telling.of_type(EventType.RECEIPT_DIARISED))
        await eventually(lambda: told(chat, "Put up"))
        bridge.bridge._ticking.wake()
        # It is past the hour of the first day: the first digest is the next working day's.
        await eventually(lambda: days_of_digests(bridge))
        await at_the_hour(bridge, "2026-07-18 10:00")  # a Saturday
        await at_the_hour(bridge, "2026-07-20 09:00")
        digest = await eventually(lambda: told(chat, "Today for"))
        assert [card.body.splitlines()[0] for card in digest] == [
            "Today for \u2068Deputy Secretary (Admn)\u2069"
        ]
        body = digest[0].body
        assert "Pending: \u2068F.No.1(5)/2026-Admn-II\u2069" in body
        assert "Overdue: \u2068F.No.1(5)/2026-Admn-II\u2069" in body
        assert "Diarised: \u2068845\u2069" in body
        assert digest[0].content["m.mentions"]["user_ids"]
        assert chat.classes[digest[0].room_id] == "restricted"
    async with running(
        any_ministry, again := Recorder(rooms=chat.rooms, names=chat.names)
    ) as taken:
        await at_the_hour(taken, "2026-07-20 12:00")
        await at_the_hour(taken, "2026-07-21 09:00")
        second = await eventually(lambda: told(again, "Today for"))
        assert len(second) == 1
        # What was told is not told again; what is pending still is.
        assert "Diarised" not in second[0].body
        assert "Pending files" in second[0].body
        with taken.engine.begin() as connection:
            keys = connection.execute(
                select(outbox.c.key).where(outbox.c.part == "digest").order_by(outbox.c.row)
            ).scalars()
            assert list(keys) == ["digest|ITT-DS-ADMN|2026-07-20", "digest|ITT-DS-ADMN|2026-07-21"]


async def test_the_bridges_own_events_stand_in_a_sequence_of_their_own(
    ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    async with running(ministry) as bridge:
        await begin(bridge, telling)
        await eventually(lambda: told(bridge.chat, "Put up"))
        await at_the_hour(bridge, "2026-07-15 16:00")
        await eventually(lambda: told(bridge.chat, "Overdue"))
        # A card of e-Office still comes, in e-Office's sequence.
        await bridge.deliver(telling.marked(file_id="ITT-9"))
        await eventually(lambda: len(told(bridge.chat, "Put up")) == 2)
        with bridge.engine.begin() as connection:
            own = connection.execute(
                select(events.c.source, events.c.sequence).where(events.c.via == "clock")
            ).all()
        assert own == [("/bridge/ITT", 1)]
