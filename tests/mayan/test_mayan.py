"""A file goes round between a real Mayan and the bridge; a recorder stands for Matrix."""

import asyncio
import re
from pathlib import Path
from typing import Any

from ministry import BILAL, Ministry, Running, running
from recorder import Recorder, Sent
from sqlalchemy import func, select

from rabta_bots.clock import system_clock
from rabta_bots.mayan.source import HOOK_HEADER, HOOK_PATH
from rabta_bots.store.tables import events
from rabta_deploy.mayan_library import MOVING, Library, mayan_settings

# A hook, Mayan's answers and the pipeline; generous, because the machine has other work.
SOON = 40.0


async def shown(bridge: Running, words: str, eventually: Any) -> Sent:
    """The newest card that holds the words."""

    def newest() -> Sent | None:
        found = [card for card in bridge.chat.cards() if words in card.body]
        return found[-1] if found else None

    card: Sent = await eventually(newest, within_s=SOON, what=f"a card with {words}")
    return card


async def answered(bridge: Running, said: str, eventually: Any) -> str:
    """What the bridge answered."""
    answer = await eventually(lambda: bridge.chat.answer_to(said), within_s=SOON, what="an answer")
    return str(answer.body)


async def decide(bridge: Running, card: Sent, words: str, eventually: Any) -> None:
    """Bilal gives a command on the card and confirms it."""
    said = bridge.chat.write(BILAL, card.room_id, words, reply_to=card.event_id)
    question = await answered(bridge, said, eventually)
    code = re.search(r"yes \d{4}", question)
    assert code is not None, question
    bridge.chat.write(BILAL, card.room_id, code.group())


def stored(bridge: Running) -> int:
    """How many events the bridge ever took."""
    with bridge.engine.begin() as connection:
        return int(connection.execute(select(func.count()).select_from(events)).scalar_one())


async def test_a_file_put_up_in_mayan_is_shown_and_approved_from_chat_with_its_officers_token(
    library: Library, bridged: Running, eventually: Any
) -> None:
    paper = await asyncio.to_thread(library.new_document, 'F.1-5/2026-Admn — چھٹی کی "درخواست"')
    await asyncio.to_thread(library.move, paper, "Put up", "For approval, please.", "ayesha")
    card = await shown(bridged, "F.1-5/2026-Admn", eventually)
    assert 'چھٹی کی "درخواست"' in card.body
    assert "For approval, please." in card.body
    assert "Section Officer (Admn-II)" in card.body
    assert bridged.chat.rooms[card.room_id][BILAL] == "invite"

    await decide(bridged, card, "approve", eventually)
    edit = await eventually(
        lambda: bridged.chat.edit_of(card.event_id), within_s=SOON, what="the outcome"
    )
    assert edit.content["m.new_content"]["body"].startswith("Approved: ")
    assert await asyncio.to_thread(library.state, paper) == "Approved"
    assert (await asyncio.to_thread(library.steps, paper))[-1] == (
        "Approve",
        "bilal",
        "",
    )


async def test_what_mayans_acl_forbids_the_officer_is_refused_and_moves_nothing(
    library: Library, bridged: Running, eventually: Any
) -> None:
    paper = await asyncio.to_thread(library.new_document, "F.2-1/2026-Admn — Stationery")
    await asyncio.to_thread(library.move, paper, "Put up", "", "ayesha")
    card = await shown(bridged, "F.2-1/2026-Admn", eventually)
    await asyncio.to_thread(library.permit, "bilal", MOVING, given=False)
    try:
        await decide(bridged, card, "approve", eventually)
        await eventually(
            lambda: [sent for sent in bridged.chat.sent if "[wrong-holder]" in sent.body],
            within_s=SOON,
            what="the refusal",
        )
        assert await asyncio.to_thread(library.state, paper) == "Submitted to DS"
    finally:
        await asyncio.to_thread(library.permit, "bilal", MOVING, given=True)
    await decide(bridged, card, "return say how many", eventually)
    edit = await eventually(
        lambda: bridged.chat.edit_of(card.event_id), within_s=SOON, what="the outcome"
    )
    assert "Returned" in edit.content["m.new_content"]["body"]
    assert await asyncio.to_thread(library.state, paper) == "Draft"


async def test_a_forged_hook_brings_nothing_and_a_repeated_one_nothing_new(
    library: Library, bridged: Running, eventually: Any
) -> None:
    paper = await asyncio.to_thread(library.new_document, "F.3-9/2026-Admn — Transport")
    await asyncio.to_thread(library.move, paper, "Put up", "", "ayesha")
    await shown(bridged, "F.3-9/2026-Admn", eventually)
    before, cards = stored(bridged), len(bridged.chat.cards())

    async def hook(body: str, token: str) -> int:
        url = f"{bridged.url}{HOOK_PATH}"
        async with bridged.session.post(url, data=body, headers={HOOK_HEADER: token}) as answer:
            return answer.status

    real = library.hook_token
    assert await hook(f'{{"document": {paper}}}', "guessed") == 401
    assert await hook('{"document": "all"}', real) == 400
    assert await hook('{"document": -1}', real) == 400
    assert await hook('{"document": 999999}', real) == 202
    assert await hook(f'{{"document": {paper}, "state": "Approved"}}', real) == 202
    assert await hook(f'{{"document": {paper}}}', real) == 202
    # A real one comes behind them all: when it is shown, they have been looked into.
    later = await asyncio.to_thread(library.new_document, "F.3-10/2026-Admn — Fuel")
    await asyncio.to_thread(library.move, later, "Put up", "", "ayesha")
    await shown(bridged, "F.3-10/2026-Admn", eventually)
    assert stored(bridged) == before + 1
    assert len(bridged.chat.cards()) == cards + 1


async def test_what_happened_while_the_bridge_was_down_is_told_once_in_the_order_of_the_file(
    library: Library, tmp_path: Path, eventually: Any
) -> None:
    ministry = Ministry(tmp_path, system_clock)  # type: ignore[arg-type] # a clock all the same
    settings = mayan_settings(library, tmp_path)
    paper = await asyncio.to_thread(library.new_document, "F.4-4/2026-Admn — Repairs")
    for transition, by in (("Put up", "ayesha"), ("Return", "bilal"), ("Put up", "ayesha")):
        await asyncio.to_thread(library.move, paper, transition, f"{transition}!", by)
    first = Recorder()
    async with running(ministry, first, **settings) as bridge:
        told = ["marked", "returned", "marked"]
        await eventually(lambda: kinds_of(bridge, paper) == told, within_s=SOON, what="all steps")
    await asyncio.to_thread(library.move, paper, "Approve", "at last", "bilal")
    again = Recorder(rooms=first.rooms)
    async with running(ministry, again, **settings) as bridge:
        approved = await eventually(
            lambda: [body for body in about(again, "F.4-4/2026-Admn") if "Approved" in body],
            within_s=SOON,
            what="the decision",
        )
        assert len(approved) == 1
        assert kinds_of(bridge, paper) == [*told, "recorded"]
    # No card of the first run is sent again by the second.
    sent = [card.txn_id for chat in (first, again) for card in chat.cards()]
    assert len(sent) == len(set(sent))


def kinds_of(bridge: Running, paper: int) -> list[str]:
    """What the bridge took of a document, in the order of its numbers."""
    query = select(events.c.type, events.c.event).order_by(events.c.sequence)
    with bridge.engine.begin() as connection:
        return [
            row.type.split(".")[2]
            for row in connection.execute(query)
            if row.event.get("subject") == f"file/ITT-MAYAN-{paper}"
        ]


def about(chat: Recorder, words: str) -> list[str]:
    """The cards that hold the words, oldest first."""
    return [card.body for card in chat.cards() if words in card.body]
