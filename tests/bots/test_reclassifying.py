"""A raised grade takes back what was shown and stored; a lowered one gives nothing back."""

from typing import Any

import pytest
from events import Telling
from ministry import BILAL, NOW, Ministry, Running, running
from recorder import Sent
from sqlalchemy import select

from rabta_bots.matrix import MatrixError
from rabta_bots.store.tables import audit, events, outbox
from rabta_contract import Event
from rabta_contract.vocabulary import EventType

WORD = "Zafarwal"
NUMBER = "F.No.1(5)/2026-Admn-II"


def raised(telling: Telling, grade: str) -> Event:
    """e-Office raises or lowers the grade of the file."""
    return telling.of_type(EventType.FILE_CLASSIFICATION_CHANGED, grade=grade, words=WORD)


def marked(telling: Telling, **further: Any) -> Event:
    """The file comes to DS, with words that only an open class may show."""
    return telling.marked(subject=f"{WORD} scheme", remarks=f"{WORD} remarks", **further)


async def begin(bridge: Running, telling: Telling, eventually: Any) -> Sent:
    """DS has the file before it; gives the card."""
    await bridge.deliver(telling.charge("ITT-DS-ADMN", "p-2"))
    await bridge.deliver(telling.charge("ITT-SO-ADMN2", "p-1"))
    await bridge.deliver(marked(telling))
    return (await eventually(lambda: inbox(bridge)))[0]


async def taken_back(bridge: Running, eventually: Any) -> None:
    """Wait until every message that had to go is gone."""

    def done() -> Any:
        with bridge.engine.begin() as connection:
            waiting = connection.execute(
                select(outbox.c.row).where(outbox.c.state == "pending")
            ).all()
            new = connection.execute(select(events.c.row).where(events.c.state == "new")).all()
            told = connection.execute(
                select(audit.c.row).where(audit.c.what == "messages-taken-back")
            ).all()
            return not waiting and not new and told

    await eventually(done, within_s=30, what="the redactions")


def in_inbox(bridge: Running, sent: Sent) -> bool:
    """Whether a message went to a post; the section's room tells its own tale."""
    name = bridge.chat.names[sent.room_id]
    return "Deputy Secretary" in name or "Section Officer" in name


def inbox(bridge: Running) -> list[Sent]:
    """The cards in the posts' inbox rooms."""
    return [card for card in bridge.chat.cards() if in_inbox(bridge, card)]


def bytes_of(ministry: Ministry) -> bytes:
    """Everything that the store's files hold."""
    return b"".join(file.read_bytes() for file in ministry.home.glob("bridge.db*"))


async def test_a_file_raised_to_confidential_is_taken_back_and_shown_as_far_as_it_may_be(
    ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    async with running(ministry, polls=True) as bridge:
        card = await begin(bridge, telling, eventually)
        await bridge.deliver(telling.of_type(EventType.FILE_RECEIVED, words=WORD))
        await eventually(
            lambda: len([one for one in bridge.chat.sent if in_inbox(bridge, one)]) >= 3,
            what="card, poll and line",
        )
        shown = [sent.event_id for sent in bridge.chat.sent]
        assert WORD.encode() in bytes_of(ministry)
        await bridge.deliver(raised(telling, "CONFIDENTIAL"))
        await taken_back(bridge, eventually)
        assert set(shown) <= set(bridge.chat.redacted)
        new = inbox(bridge)[-1]
        assert bridge.chat.classes[new.room_id] == "confidential"
        assert "Classification: \u2068Confidential\u2069" in new.body
        assert NUMBER in new.body
        assert WORD not in repr(new)
        # While it runs, and without a vacuum: the bytes themselves are gone.
        assert WORD.encode() not in bytes_of(ministry)
        # The new card is the old one, in its new room.
        said = bridge.chat.write(BILAL, card.room_id, "seen", reply_to=card.event_id)
        answer = await eventually(lambda: bridge.chat.answer_to(said))
        assert "[nothing-pending]" in answer.body


@pytest.mark.parametrize(("grade", "shown"), [("SECRET", 1), ("TOP_SECRET", 0)])
async def test_a_file_raised_to_secret_leaves_a_notice_and_no_trace(
    grade: str, shown: int, ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    async with running(ministry) as bridge:
        await begin(bridge, telling, eventually)
        await bridge.deliver(telling.decided("discuss"))
        await eventually(lambda: len(inbox(bridge)) == 2)
        await bridge.deliver(raised(telling, grade))
        await taken_back(bridge, eventually)
        assert {one.event_id for one in inbox(bridge)[:2]} <= set(bridge.chat.redacted)
        new = inbox(bridge)[2:]
        notices = [one for one in new if one.body.startswith("A classified item waits for you")]
        # DS is shown the file as a notice; so is SO the decision.
        assert (len(notices), len(new)) == (2 * shown, 2 * shown)
        assert NUMBER not in repr(new)
        stored = bytes_of(ministry)
        assert WORD.encode() not in stored
        assert NUMBER.encode() not in stored
        # Nothing of the file is reminded of or counted any more.
        bridge.hands.advance(days=7)
        bridge.bridge._ticking.wake()
        await bridge.deliver(telling.marked(file_id="ITT-2", time=NOW))
        await eventually(lambda: len(inbox(bridge)) == len(new) + 3)
        assert not any("Overdue" in one.body for one in inbox(bridge))


async def test_an_earlier_event_that_comes_late_is_held_to_the_raised_grade(
    ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    async with running(ministry) as bridge:
        await begin(bridge, telling, eventually)
        late = marked(telling, movement_no=13)
        await bridge.deliver(raised(telling, "CONFIDENTIAL"))
        await taken_back(bridge, eventually)
        assert (await bridge.deliver(late))[0] == 202
        card = await eventually(
            lambda: [one for one in inbox(bridge) if "Movement: \u206813" in one.body]
        )
        assert bridge.chat.classes[card[0].room_id] == "confidential"
        assert WORD not in repr(card)
    assert WORD.encode() not in bytes_of(ministry)


async def test_a_lowered_grade_gives_nothing_back(
    ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    async with running(ministry) as bridge:
        await begin(bridge, telling, eventually)
        await bridge.deliver(raised(telling, "CONFIDENTIAL"))
        await taken_back(bridge, eventually)
        count = len(inbox(bridge))
        await bridge.deliver(raised(telling, "RESTRICTED"))
        line = await eventually(
            lambda: (
                [one for one in bridge.chat.sent if "Classification changed" in one.body][1:]
                or [one for one in bridge.chat.sent if "Restricted" in one.body][1:]
            )
        )
        assert WORD not in repr(line)
        assert len(inbox(bridge)) == count
        stored = [row for row in dict_of_events(bridge) if row["kind"] == "eoffice.file.marked.v1"]
        assert [row["grade"] for row in stored] == ["CONFIDENTIAL"]
        assert WORD not in repr(stored)


def dict_of_events(bridge: Running) -> list[dict[str, Any]]:
    """The stored events."""
    with bridge.engine.begin() as connection:
        rows = connection.execute(select(events.c.type, events.c.grade, events.c.event))
        return [{"kind": row.type, "grade": row.grade, "event": row.event} for row in rows]


def reasons_of_outbox(bridge: Running) -> set[str | None]:
    """Why the messages wait."""
    with bridge.engine.begin() as connection:
        return set(connection.execute(select(outbox.c.reason)).scalars())


async def test_a_message_on_its_way_while_the_grade_is_raised_is_taken_back_too(
    ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    async with running(ministry) as bridge:
        await bridge.deliver(telling.charge("ITT-DS-ADMN", "p-2"))
        # The homeserver fails after the words were fixed: nobody knows whether they arrived.
        bridge.chat.failures = [MatrixError("homeserver-failed", permanent=False)]
        await bridge.deliver(marked(telling))
        await eventually(lambda: reasons_of_outbox(bridge) == {"homeserver-failed"})
        await bridge.deliver(raised(telling, "CONFIDENTIAL"))
        await eventually(lambda: len(reasons_of_outbox(bridge)) > 1, what="the redaction queued")
        bridge.hands.advance(seconds=30)
        await taken_back(bridge, eventually)
        assert WORD not in repr(bridge.chat.sent)
        last = inbox(bridge)[-1]
        assert bridge.chat.classes[last.room_id] == "confidential"
        assert NUMBER in last.body
        old = [one.event_id for one in inbox(bridge)[:-1]]
        assert set(old) <= set(bridge.chat.redacted)
        assert old
    assert WORD.encode() not in bytes_of(ministry)
