"""Every kind of card, sent encrypted and read on the officer's page in a real Chromium.

With RABTA_SCREENSHOTS=1 the sheets of docs/reference/images are taken anew.
"""

import io
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2] / "bots"))

from events import Telling

from rabta_bots.cards.content import card_message, edit_of, line_message
from rabta_bots.cards.digest import Digest, digest_view
from rabta_bots.cards.kinds import RULES, CardKind, Treatment
from rabta_bots.cards.view import CardView, Facts, closed_card, line, pending_card
from rabta_contract import CommandVerb
from rabta_contract.vocabulary import EventType
from rabta_deploy.officer import Officer

pytestmark = pytest.mark.network

IMAGES = Path(__file__).parents[3] / "docs" / "reference" / "images"
KARACHI = ZoneInfo("Asia/Karachi")
POST = ("Deputy Secretary (Admn)", "ڈپٹی سیکرٹری (انتظامیہ)")
VERBS = tuple(verb for verb in CommandVerb if verb is not CommandVerb.REMIND)
SHEETS = {
    "papers": (
        EventType.FILE_MARKED,
        EventType.RECEIPT_MARKED,
        EventType.DRAFT_SUBMITTED,
        EventType.DECISION_RECORDED,
        EventType.DISPATCH_FAILED,
        EventType.REFERENCE_SENT,
    ),
    "clock": (
        EventType.FILE_MARKED,
        EventType.DEADLINE_APPROACHING,
        EventType.DEADLINE_BREACHED,
        EventType.REMINDER_SENT,
    ),
}


@dataclass(frozen=True)
class Shown:
    """A message, and whether it stands in the thread of the first one or replaces it."""

    view: CardView
    how: str = "card"


def messages(sheet: str, language: str) -> Iterator[Shown]:
    """What a sheet shows, in the order of the room."""
    telling = Telling()
    for number, kind in enumerate(SHEETS[sheet], 40):
        rule = RULES[kind]
        assert rule.kind is not None
        verbs = VERBS if rule.kind is CardKind.FILE else ()
        event = telling.of_type(kind, words="Laptops")
        facts = Facts(number, rule.kind, event, event.id, POST, verbs)
        yield Shown(pending_card(facts, language, KARACHI))
    if sheet == "papers":
        return
    notice = Facts(49, CardKind.NOTICE, None, "01JZ6W1F4E7Q2M9T0K3B5C8D9A", POST)
    yield Shown(pending_card(notice, language, KARACHI))
    noted = {EventType.RECEIPT_DIARISED: ["845", "846"]}
    digest = Digest(POST, ["F.No.1(5)/2026-Admn-II", "F.No.2(7)/2026"], ["F.No.2(7)/2026"], noted)
    yield Shown(digest_view(digest, language, 40))
    issued = telling.of_type(EventType.DISPATCH_ISSUED, words="Laptops")
    yield Shown(line(issued, "x", language, KARACHI), "line")
    marked = Facts(40, CardKind.FILE, telling.marked(), "x", POST)
    outcome = {"result": "approved", "note_para": 8, "at": "2026-07-14T12:05:00+05:00"}
    yield Shown(closed_card(marked, language, KARACHI, outcome), "edit")


def test_the_sheets_show_every_kind_of_card_and_a_line() -> None:
    shown = {RULES[kind].kind for kinds in SHEETS.values() for kind in kinds}
    assert shown | {CardKind.NOTICE} == set(CardKind)
    assert RULES[EventType.DISPATCH_ISSUED].treatment is Treatment.LINE


async def picture(list_: Any, name: str, folder: Path) -> None:
    """A picture of few colours, so that it stays small."""
    taken = Image.open(io.BytesIO(await list_.screenshot()))
    taken.quantize(32).save(folder / f"{name}.png", optimize=True)
    assert (folder / f"{name}.png").stat().st_size < 150_000


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("language", ["en", "ur"])
@pytest.mark.parametrize("sheet", list(SHEETS))
async def test_every_card_is_read_in_a_browser(  # noqa: PLR0917 - pytest gives them by name
    sheet: str,
    language: str,
    desk: Any,
    officer: Any,
    eoffice: Officer,
    eventually: Any,
    tmp_path: Path,
) -> None:
    taken = os.environ.get("RABTA_SCREENSHOTS") == "1"
    await desk.page.set_viewport_size({"width": 980, "height": 3000})
    await desk.enter(officer)
    room = await eoffice.create_room(name="e-Office", invite=[officer.user_id])

    async def invited() -> bool:
        return (await eoffice.members(room)).get(officer.user_id) in {"invite", "join"}

    await eventually(invited, what="the invite")
    await desk.accept()
    sent: list[str] = []
    for shown in messages(sheet, language):
        content = card_message(shown.view, language, officer.user_id)
        if shown.how == "line":
            content = line_message([(shown.view, language)], sent[0])
        if shown.how == "edit":
            content = edit_of(sent[0], content)
        event_id = await eoffice.send_event(room, "m.room.message", content)
        # The first words carry isolates, which a browser shows as nothing.
        words = shown.view.headline.partition("\u2068")[0].strip()
        card = desk.message(sent[0] if shown.how == "edit" else event_id)
        await card.get_by_text(words).first.wait_for()
        assert await card.locator(".warning").count() == 0
        assert await card.locator("img").count() == 0
        first = card.locator(".body p").first
        direction = await first.evaluate("p => getComputedStyle(p).direction")
        assert direction == ("rtl" if language == "ur" else "ltr")
        sent.append(event_id)
    if language == "ur":
        await desk.page.get_by_role("button", name="اردو").click()
    folder = IMAGES if taken else tmp_path
    folder.mkdir(parents=True, exist_ok=True)
    await picture(desk.page.locator(".timeline"), f"cards-{sheet}-{language}", folder)
