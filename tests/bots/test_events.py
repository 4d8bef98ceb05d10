"""Every event type through a whole bridge: shown as its rule says, at every grade what it allows.

`RABTA_WRITE_CARDS=1` writes the table of docs/reference/events.md anew.
"""

import os
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from events import Telling
from ministry import Hands, Ministry, Running, running
from recorder import Sent
from sqlalchemy import select

from rabta_bots.cards.kinds import RULES, Rule, Treatment
from rabta_bots.store.tables import audit, digest_notes, events, outbox
from rabta_contract.vocabulary import EventType, Grade

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "events.md"
TYPES = list(EventType)
SO, DS, JS = "ITT-SO-ADMN2", "ITT-DS-ADMN", "ITT-JS"

# Who gets the card, where DS has the file that SO put up and DS acts (SO, where it submits).
READERS: dict[EventType, tuple[str, ...]] = {
    EventType.RECEIPT_MARKED: (DS,),
    EventType.FILE_MARKED: (DS,),
    EventType.FILE_RETURNED: (DS,),
    EventType.FILE_REFERRED: (DS,),
    EventType.FILE_BROUGHT_UP: (DS,),
    EventType.DECISION_RECORDED: (SO,),
    EventType.DRAFT_SUBMITTED: (DS,),
    EventType.DRAFT_RETURNED: (SO,),
    EventType.DRAFT_APPROVED: (SO,),
    EventType.DISPATCH_FAILED: (DS,),
    EventType.REFERENCE_SENT: (DS,),
    EventType.REFERENCE_REPLIED: (SO,),
    EventType.REFERENCE_OVERDUE: (DS, JS),
    EventType.DEADLINE_APPROACHING: (DS,),
    EventType.DEADLINE_BREACHED: (DS, JS),
    EventType.REMINDER_SENT: (DS,),
}
# What must have happened before, beside the file's being put up.
BEFORE = {
    EventType.DRAFT_RETURNED: EventType.DRAFT_SUBMITTED,
    EventType.DRAFT_APPROVED: EventType.DRAFT_SUBMITTED,
    EventType.DRAFT_SUPERSEDED: EventType.DRAFT_SUBMITTED,
    EventType.REFERENCE_REPLIED: EventType.REFERENCE_SENT,
    EventType.REFERENCE_OVERDUE: EventType.REFERENCE_SENT,
}
# Which cards of the file are edited, by their first word before and after.
EDITS: dict[EventType, str] = {
    EventType.FILE_MARKED: "The file has moved on",
    EventType.FILE_RETURNED: "The file has moved on",
    EventType.FILE_REFERRED: "The file has moved on",
    EventType.FILE_PULLED_BACK: "Withdrawn by the sender",
    EventType.FILE_PARKED: "The file has moved on",
    EventType.FILE_CLOSED: "The file has moved on",
    EventType.FILE_RECORDED: "The file has moved on",
    EventType.DECISION_RECORDED: "Approved",
    EventType.DRAFT_RETURNED: "Returned with observations",
    EventType.DRAFT_APPROVED: "Approved",
    EventType.DRAFT_SUPERSEDED: "The file has moved on",
    EventType.REFERENCE_REPLIED: "Replied",
}


def short(kind: EventType) -> str:
    """The type as it is spoken of: `draft.submitted`."""
    return ".".join(kind.value.split(".")[1:3])


@dataclass(frozen=True)
class Shown:
    """What came of one event."""

    cards: tuple[str, ...]
    edits: tuple[str, ...]
    lines: tuple[str, ...]
    noted: tuple[str, ...]
    audited: tuple[str, ...]


async def quiet(bridge: Running, eventually: Any) -> None:
    """Wait until nothing is left to plan or to send."""

    def done() -> bool:
        with bridge.engine.begin() as connection:
            unplanned = connection.execute(select(events.c.row).where(events.c.state == "new"))
            unsent = connection.execute(select(outbox.c.row).where(outbox.c.state == "pending"))
            return not unplanned.all() and not unsent.all()

    await eventually(done, within_s=60, what="an empty outbox")


async def post_everybody(bridge: Running, telling: Telling) -> None:
    """SO, DS and JS are held by people with accounts."""
    for post, person in ((SO, "p-1"), (DS, "p-2"), (JS, "p-3")):
        status, body, _ = await bridge.deliver(telling.charge(post, person))
        assert status == 202, body


def post_of(bridge: Running, sent: Sent) -> str:
    """Whose room a message went to."""
    names = {"Section": SO, "Deputy": DS, "Joint": JS}
    return names[bridge.chat.names[sent.room_id].split()[1]]


class Trial:
    """One bridge to which every type is told of a file of its own."""

    def __init__(self, bridge: Running, eventually: Any) -> None:
        self._bridge = bridge
        self._eventually = eventually
        self.telling = Telling()

    async def tell(self, number: int, kind: EventType) -> Shown:
        """Tell one event of the type; give what came of it alone."""
        about = {"file_id": f"ITT-2026-{number:06d}", "number": f"F.No.{number}/2026"}
        before = [EventType.FILE_MARKED] if "charge" not in kind and "source" not in kind else []
        before += [BEFORE[kind]] if kind in BEFORE else []
        for earlier in before:
            await self._deliver(self.telling.of_type(earlier, **about))
        await quiet(self._bridge, self._eventually)
        sent_before = len(self._bridge.chat.sent)
        further: dict[str, Any] = {}
        if kind in {EventType.FILE_MARKED, EventType.FILE_RETURNED, EventType.FILE_REFERRED}:
            further = {"movement": self._onward()}
        event = self.telling.of_type(kind, **about, **further)
        await self._deliver(event)
        await quiet(self._bridge, self._eventually)
        return self._shown(self._bridge.chat.sent[sent_before:], event.id)

    def _onward(self) -> dict[str, Any]:
        """The file comes again to DS, as a later movement."""
        document = Telling().of_type(EventType.FILE_MARKED).document()
        movement: dict[str, Any] = document["data"]["movement"]
        return movement | {"movement_no": 13}

    async def _deliver(self, event: Any) -> None:
        status, body, _ = await self._bridge.deliver(event)
        assert status == 202, body

    def _shown(self, told: list[Sent], event_id: str) -> Shown:
        # The section's room is told as well, see test_shared_rooms.py.
        sent = [one for one in told if "(ITT)" not in self._bridge.chat.names[one.room_id]]
        relations = [(one, one.content.get("m.relates_to", {}).get("rel_type")) for one in sent]
        with self._bridge.engine.begin() as connection:
            noted = connection.execute(
                select(digest_notes.c.post_id)
                .join(events, events.c.row == digest_notes.c.event_row)
                .where(events.c.event_id == event_id)
            ).scalars()
            audited = connection.execute(
                select(audit.c.what).where(audit.c.event_id == event_id)
            ).scalars()
            return Shown(
                cards=tuple(
                    sorted(
                        {post_of(self._bridge, one) for one, relation in relations if not relation}
                    )
                ),
                edits=tuple(
                    one.content["m.new_content"]["body"].partition(":")[0]
                    for one, relation in relations
                    if relation == "m.replace"
                ),
                lines=tuple(one.body for one, relation in relations if relation == "m.thread"),
                noted=tuple(noted),
                audited=tuple(audited),
            )


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def shown(
    tmp_path_factory: pytest.TempPathFactory, eventually: Any
) -> AsyncIterator[dict[EventType, Shown]]:
    """What came of each type, all told to one bridge."""
    ministry = Ministry(tmp_path_factory.mktemp("every-type"), Hands())
    async with running(ministry) as bridge:
        trial = Trial(bridge, eventually)
        await post_everybody(bridge, trial.telling)
        yield {kind: await trial.tell(number, kind) for number, kind in enumerate(TYPES, 1)}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("kind", TYPES, ids=short)
async def test_an_event_is_shown_as_its_rule_says(
    kind: EventType, shown: dict[EventType, Shown]
) -> None:
    came, treatment = shown[kind], RULES[kind].treatment
    assert came.cards == tuple(sorted(READERS.get(kind, ())))
    assert bool(came.cards) == (treatment is Treatment.CARD)
    assert bool(came.lines) == (treatment is Treatment.LINE)
    assert bool(came.noted) == (treatment is Treatment.DIGEST)
    kept = treatment in {Treatment.AUDIT, Treatment.OPERATOR}
    assert ("event-kept" in came.audited) == kept
    assert (EDITS.get(kind) in came.edits) == (kind in EDITS)
    assert came.edits or treatment is not Treatment.EDIT


WORD = "Zafarwal"
# What a file's class lets a card and the store hold, by the policy of the demo.
OPEN_GRADES = (Grade.UNCLASSIFIED, Grade.RESTRICTED)


@pytest.mark.parametrize("grade", list(Grade))
async def test_no_event_of_any_type_leaves_more_than_its_grade_allows(
    grade: Grade, ministry: Ministry, eventually: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    telling = Telling()
    async with running(ministry) as bridge:
        await post_everybody(bridge, telling)
        for number, kind in enumerate(TYPES, 1):
            # Notes are never told, at any grade; neither is what the contract does not know.
            word = "Noteworthy" if kind.value.startswith("eoffice.note.") else WORD
            event = telling.of_type(
                kind,
                grade=grade.value,
                words=word,
                file_id=f"ITT-2026-{number:06d}",
                note_text="Noteworthy",
            )
            status, body, _ = await bridge.deliver(event)
            assert status == 202, body
        await quiet(bridge, eventually)
        sent = repr(bridge.chat.sent)
        async with bridge.session.get(f"{bridge.url}/metrics") as answer:
            told = await answer.text()
    stored = b"".join(file.read_bytes() for file in ministry.home.glob("bridge.db*"))
    out, err = capfd.readouterr()
    allowed = grade in OPEN_GRADES
    assert (WORD in sent) == allowed
    assert (WORD.encode() in stored) == allowed
    assert WORD not in out + err + told
    assert "Noteworthy" not in sent + out + err + told
    if not allowed:
        assert b"Noteworthy" not in stored
    shown = len(bridge.chat.cards())
    assert shown == {Grade.TOP_SECRET: 0}.get(grade, shown)
    if grade is Grade.SECRET:
        assert "F.No.1(5)" not in sent
        assert b"F.No.1(5)" not in stored
        assert shown > 0


SHOWN = {
    Treatment.CARD: "card",
    Treatment.LINE: "line in the thread of the file's card",
    Treatment.DIGEST: "daily digest",
    Treatment.EDIT: "the file's cards are edited",
    Treatment.CHARGE: "rooms and pending cards follow",
    Treatment.OPERATOR: "kept and audited, for the operator",
    Treatment.AUDIT: "audited, never stored",
}
ROOMS = {
    Treatment.CARD: "inbox of each post, of the grade's class",
    Treatment.LINE: "rooms with a live card of the file, of its class or above; "
    "[its section's and its case room](rooms.md)",
    Treatment.DIGEST: "inbox of the post that acted",
    Treatment.EDIT: "rooms with a card of the file",
}
GRADES = {
    Treatment.CARD: "notice at SECRET, nothing above",
    Treatment.LINE: "nothing above CONFIDENTIAL",
    Treatment.DIGEST: "nothing above CONFIDENTIAL",
    Treatment.EDIT: "nothing above CONFIDENTIAL",
}
WHO = {
    "nobody": "whom the event names",
    "actor": "whom it names, else the post that acted",
    "initiator": "whom it names, else who put the file up",
    "submitter": "whom it names, else who submitted the draft",
    "referrer": "whom it names, else who sent the reference",
    "holders": "who has the file now, and `escalate_to`",
    "registry": "whom it names, else `registry_post`",
}


def table_row(kind: EventType, rule: Rule) -> str:
    """The line of the reference page."""
    card = rule.kind is not None
    cells = [
        f"`{short(kind)}`",
        SHOWN[rule.treatment] + (f" `{rule.kind}`" if card else ""),
        WHO[rule.readers.value] if card else "",
        ROOMS.get(rule.treatment, ""),
        GRADES.get(rule.treatment, ""),
        f"`[{short(kind)}]`",
    ]
    return "| " + " | ".join(cells) + " |"


def test_the_reference_page_says_what_the_rules_say() -> None:
    wanted = "\n".join(table_row(kind, rule) for kind, rule in RULES.items())
    page = PAGE.read_text(encoding="utf-8")
    found = re.search(r"^\| type .*\n\|[-|]+\n((?:\|.*\n)+)", page, re.MULTILINE)
    assert found is not None
    if os.environ.get("RABTA_WRITE_CARDS") == "1":
        PAGE.write_text(page.replace(found.group(1), f"{wanted}\n"), encoding="utf-8")
        return
    assert found.group(1).rstrip("\n") == wanted


def test_every_type_has_a_rule() -> None:
    assert list(RULES) == TYPES
