"""Which card a command is about: never another than the one that was replied to."""

import itertools
from typing import Any

import pytest
from events import Telling
from ministry import BILAL, Ministry, Running, deliver_all, running
from recorder import Sent
from sqlalchemy import select

from rabta_bots.store import outbox
from rabta_bots.store.documents import note_document
from rabta_bots.store.tables import commands
from rabta_bots.store.tables import outbox as rows


async def one_shown_and_one_on_its_way(
    bridge: Running, telling: Telling, eventually: Any
) -> tuple[Sent, Sent]:
    """Two cards in one room; the bridge has no answer of the homeserver about the second."""
    await deliver_all(bridge, telling.charge("ITT-DS-ADMN", "p-2"), telling.marked(file_id="ITT-1"))
    (shown,) = await eventually(bridge.chat.cards)
    await eventually(lambda: noted(bridge, shown), what="the first card noted as sent")
    bridge.chat.answering.clear()
    await deliver_all(bridge, telling.marked(file_id="ITT-2"))
    await eventually(lambda: len(bridge.chat.cards()) == 2, what="the second card")
    return shown, bridge.chat.cards()[1]


def noted(bridge: Running, card: Sent) -> bool:
    with bridge.engine.begin() as connection:
        query = select(rows.c.row).where(rows.c.message_id == card.event_id)
        return connection.execute(query).first() is not None


def document(doc_id: str) -> dict[str, Any]:
    """A document as an event has it."""
    told = {"name": f"{doc_id}.pdf", "media_type": "application/pdf", "size": 3}
    return {"doc_id": doc_id, "sha256": "0" * 64, **told}


def kept(bridge: Running) -> list[int]:
    """The cards of the commands that the bridge has taken."""
    with bridge.engine.begin() as connection:
        return list(connection.execute(select(commands.c.card_id)).scalars())


async def test_a_reply_to_a_card_whose_sending_was_not_answered_yet_waits_for_it(
    ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    """Found by `make chaos`: it was taken for the one card that was noted, of another file."""
    async with running(ministry) as bridge:
        _, card = await one_shown_and_one_on_its_way(bridge, telling, eventually)
        said = bridge.chat.write(BILAL, card.room_id, "approve", reply_to=card.event_id)
        later = bridge.chat.write(BILAL, card.room_id, "help")
        elsewhere = bridge.chat.write(BILAL, "!elsewhere:itt.gov.test", "help")
        await eventually(lambda: elsewhere not in received(bridge), what="the letter elsewhere")
        assert {said, later} <= received(bridge)
        assert kept(bridge) == []

        bridge.chat.answering.set()
        question = await eventually(lambda: bridge.chat.answer_to(said), what="the question")
        assert question.body.startswith("Confirm")
        assert kept(bridge) == [2]
        await eventually(lambda: bridge.chat.answer_to(later), what="the answer to what waited")


def received(bridge: Running) -> set[str]:
    return {letter.event_id for letter in bridge.chat.received()}


async def test_what_waited_for_minutes_is_refused_and_nothing_is_guessed(
    ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    async with running(ministry) as bridge:
        _, card = await one_shown_and_one_on_its_way(bridge, telling, eventually)
        said = bridge.chat.write(BILAL, card.room_id, "approve", reply_to=card.event_id)
        ministry.hands.advance(minutes=3)
        await eventually(lambda: said not in received(bridge), what="the letter read")
        assert kept(bridge) == []
        bridge.chat.answering.set()
        answer = await eventually(lambda: bridge.chat.answer_to(said))
        assert "[not-a-card]" in answer.body


@pytest.mark.parametrize("verb", ["approve", "history"])
async def test_a_reply_to_what_is_no_card_is_never_about_the_one_that_is_pending(
    ministry: Ministry, telling: Telling, eventually: Any, verb: str
) -> None:
    async with running(ministry) as bridge:
        await deliver_all(bridge, telling.charge("ITT-DS-ADMN", "p-2"), telling.marked())
        (card,) = await eventually(bridge.chat.cards)
        await eventually(lambda: noted(bridge, card))
        said = bridge.chat.write(BILAL, card.room_id, verb, reply_to="$of-a-colleague")
        answer = await eventually(lambda: bridge.chat.answer_to(said))
        assert "[not-a-card]" in answer.body
        assert "#1" in answer.body
        assert kept(bridge) == []


async def test_words_that_were_never_fixed_are_not_put_into_a_row_when_a_class_is_raised(
    ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    """What is no longer fixed is made anew for whoever holds the post then."""
    async with running(ministry) as bridge:
        await deliver_all(bridge, telling.charge("ITT-DS-ADMN", "p-2"), telling.marked())
        (card,) = await eventually(bridge.chat.cards)
        await eventually(lambda: noted(bridge, card))
        with bridge.engine.begin() as connection:
            (row,) = connection.execute(select(rows).where(rows.c.message_id == card.event_id))
            connection.execute(
                rows.update().where(rows.c.row == row.row).values(state=outbox.WAITING)
            )
            outbox.unfix_content(connection, row.row)
            outbox.hide_content(connection, row.card_id, {"body": "hidden"})
            assert outbox.content_of(connection, row.row) is None
            connection.rollback()


async def test_an_edit_that_would_say_nothing_new_is_not_made(
    ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    """Found by `make chaos`: documents of a card changed while its edits were queued."""
    async with running(ministry) as bridge:
        marked = telling.marked(documents=[document("D-1"), document("D-2")])
        await deliver_all(bridge, telling.charge("ITT-DS-ADMN", "p-2"), marked)
        (card,) = await eventually(bridge.chat.cards)
        await eventually(lambda: noted(bridge, card))

        def change(**reasons: str | None) -> None:
            with bridge.engine.begin() as connection:
                (row,) = connection.execute(select(rows).where(rows.c.message_id == card.event_id))
                for number, reason in enumerate(reasons.values()):
                    note_document(connection, row.card_id, number, reason)
                    outbox.enqueue_card(
                        connection,
                        row.card_id,
                        row.stream,
                        part="amend",
                        key=None,
                        now=ministry.hands(),
                    )

        def states() -> list[str]:
            with bridge.engine.begin() as connection:
                query = select(rows.c.state).where(rows.c.part == "amend").order_by(rows.c.row)
                return list(connection.execute(query).scalars())

        # They have no address, so the card says by itself that they are not there.
        await eventually(lambda: len(states()) == 2 and "pending" not in states())
        before = states()
        change(first="document-too-large", second="document-too-large")
        before += ["sent", "moot"]
        await eventually(lambda: states() == before, what="one edit for both")
        change(first=None, second="document-too-large")
        before += ["sent", "moot"]
        await eventually(lambda: states() == before, what="what is new")
        change(first="document-too-large", second="document-too-large")
        change(first=None, second="document-too-large")
        await eventually(lambda: "pending" not in states(), what="all settled")
        edits = [
            sent.content["m.new_content"]["body"]
            for sent in bridge.chat.sent
            if sent.replaces == card.event_id
        ]
        assert [one for one, other in itertools.pairwise(edits) if one == other] == []
