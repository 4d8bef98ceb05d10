"""Chaos itself: its steps are real, its counting can fail, and a short run is whole."""

import asyncio
import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from rabta_bots.names import transaction_id
from rabta_deploy.chaos import ledger, tally, victim
from rabta_deploy.chaos.cable import Cable, Cut
from rabta_deploy.chaos.cards import Seen, card_of
from rabta_deploy.chaos.steps import COMMIT, MOMENTS, STEPS, Edge, Moment, Part
from rabta_deploy.chaos.tally import Asked, Tally
from rabta_deploy.ports import free_port

DOCS = Path(__file__).parents[2] / "docs"


def test_every_step_is_a_function_of_a_part() -> None:
    for step in STEPS:
        owner, name = victim.owner_of(importlib.import_module(step.module), step)
        function = getattr(owner, name)
        assert inspect.isfunction(function), step
        house = "rabta_eoffice" if step.part is Part.EOFFICE else "rabta_bots"
        assert step.module.startswith(house), step
        # A coroutine ends no transaction of its caller's.
        assert not (step.edges == COMMIT and inspect.iscoroutinefunction(function)), step
    assert len({step.name for step in STEPS}) == len(STEPS)


def test_every_step_stands_in_the_docs_and_no_other() -> None:
    page = (DOCS / "why/nothing-lost.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE) == [step.name for step in STEPS]


class Remembering(victim.Killer):
    """A killer that kills nobody, and remembers what came."""

    def __init__(self) -> None:
        super().__init__({"orders": [], "pids": "", "told": ""})
        self.seen: list[str] = []

    def came(self, step: str, edge: Edge) -> None:
        self.seen.append(f"{step}/{edge}")


def test_a_moment_comes_on_its_side_of_the_commit_and_never_after_a_rollback() -> None:
    killer = Remembering()
    step = replace(STEPS[0], name="written", edges=COMMIT)
    engine = create_engine("sqlite://")
    order: list[str] = []

    def write(connection: Any) -> None:
        connection.execute(text("SELECT 1"))
        order.append("written")

    wrapped = killer.wrapped(step, write)
    unwatch = killer.watch_commits()
    try:
        with engine.begin() as connection:
            wrapped(connection)
            assert killer.seen == []
        assert killer.seen == ["written/before-commit", "written/after-commit"]
        with engine.connect() as connection, connection.begin() as transaction:
            wrapped(connection)
            transaction.rollback()
        with engine.begin() as connection:
            connection.execute(text("SELECT 1"))
        assert len(killer.seen) == 2
    finally:
        unwatch()
        engine.dispose()


BODY = (
    "Put up to you: \u2068F.No.7\u2069\nFor: \u2068Officer ITT-P1-1\u2069\n"
    "Note para: \u20681/N\u2069\nRemarks: \u2068Remarks 7/0/5\u2069\n"
    "Movement: \u20681\u2069\nCard: \u2068#3\u2069"
)


def _event(sequence: int, movement: int, kind: str = "file.marked") -> dict[str, Any]:
    return {
        "sequence": f"{sequence:018d}",
        "id": f"e-{sequence}",
        "type": f"eoffice.{kind}.v1",
        "data": {
            "actor": {"post": {"post_id": "ITT-P2-1"}},
            "file": {"file_id": "f-7", "file_no": "F.No.7", "note_para": 1},
            "movement": {
                "movement_no": movement,
                "from": {"post_id": "ITT-P2-1"},
                "to": [{"post_id": "ITT-P1-1"}],
                "remarks": f"Remarks {movement}",
            },
        },
    }


def _seen(told: ledger.Told, place: int, **changes: Any) -> Seen:
    return replace(
        Seen(f"${place}", "!room", "p-1", "", told.key, None, None, None, place, place), **changes
    )


def test_a_card_is_read_from_its_words() -> None:
    card = card_of(BODY)
    assert card is not None
    assert (card.post, card.file_no, card.movement, card.para) == ("ITT-P1-1", "F.No.7", "1", "1")
    assert (card.remarks, card.reminder) == ("Remarks 7/0/5", False)
    assert card_of("Not done. The card is being decided. [card-busy]") is None


def test_what_came_once_and_in_order_is_whole() -> None:
    told = ledger.told([_event(1, 1), _event(2, 2)])
    counted = tally.count(
        told, [_seen(one, place) for place, one in enumerate(told)], closed_unshown=()
    )
    assert (counted.whole, counted.shown) == (True, 2)


def test_what_is_missing_doubled_or_out_of_order_is_named() -> None:
    told = ledger.told([_event(1, 1), _event(2, 2)])
    first, second = told
    missing = tally.count(told, [_seen(second, 0)], closed_unshown=())
    assert [len(missing.lost), missing.overtaken] == [1, 0]
    assert "e-1" in missing.lost[0]
    # Both books must say that it was overtaken: one of them alone will not do.
    closed = {("e-1", "ITT-P1-1"), ("e-2", "ITT-P1-1")}
    excused = tally.count(told, [_seen(second, 0)], closed_unshown=closed)
    assert [len(excused.lost), excused.overtaken] == [0, 1]
    assert len(tally.count(told, [_seen(first, 0)], closed_unshown=closed).lost) == 1
    doubled = tally.count(
        told, [_seen(first, 0), _seen(first, 1), _seen(second, 2)], closed_unshown=()
    )
    assert len(doubled.duplicated) == 1
    turned = [_seen(second, 0), _seen(first, 1)]
    assert len(tally.count(told, turned, closed_unshown=()).misordered) == 1
    # In another room the homeserver's clock says so.
    apart = [_seen(second, 5, room_id="!other", ts=1), _seen(first, 1, ts=2)]
    assert len(tally.count(told, apart, closed_unshown=()).misordered) == 1


def test_two_edits_of_a_card_and_two_equal_answers_are_duplicates() -> None:
    (told,) = ledger.told([_event(1, 1)])
    card = _seen(told, 0)
    edits = [_seen(told, place, card=None, replaces=card.event_id) for place in (1, 2)]
    answers = [_seen(told, place, card=None, reply_to="$mine", body="Done.") for place in (3, 4)]
    assert len(tally.count([told], [card, *edits], closed_unshown=()).duplicated) == 1
    assert len(tally.count([told], [card, *answers], closed_unshown=()).duplicated) == 1


def test_a_card_that_says_again_what_it_said_before_is_no_duplicate() -> None:
    (told,) = ledger.told([_event(1, 1)])
    card = _seen(told, 0)
    edits = [
        _seen(told, place, card=None, replaces=card.event_id, body=body)
        for place, body in enumerate(("whole", "a document is missing", "whole"), 1)
    ]
    assert tally.count([told], [card, *edits], closed_unshown=()).whole


def test_each_document_of_a_shown_card_is_there_once() -> None:
    event = _event(1, 1)
    event["data"]["documents"] = [{"name": "a.pdf"}, {"name": "b.pdf"}]
    (told,) = ledger.told([event])
    card = _seen(told, 0)
    first, second = (
        _seen(told, place, card=None, reply_to=card.event_id, body=name, document=name)
        for place, name in ((1, "a.pdf"), (2, "b.pdf"))
    )
    counted = [
        tally.count([told], [card, *came], closed_unshown=())
        for came in ((first, second), (first,), (first, second, second))
    ]
    assert [(one.documents, len(one.lost), len(one.duplicated)) for one in counted] == [
        (2, 0, 0),
        (1, 1, 0),
        (2, 0, 1),
    ]


def test_an_unreadable_message_is_a_lost_one() -> None:
    assert tally.count([], [], closed_unshown=(), unreadable=["$1: no key"]).lost


def _row(movement: int, command: str | None, outcome: str = "approved") -> dict[str, Any]:
    channel = "chat" if command else "web"
    return {
        "command_id": command,
        "movement_no": movement,
        "outcome": outcome,
        "channel": channel,
    }


@pytest.mark.parametrize(
    ("rows", "lost", "twice"),
    [
        ([_row(1, "c-1")], 0, 0),
        ([_row(1, "c-1", "discuss"), _row(1, "c-2")], 0, 0),
        ([], 1, 0),
        ([_row(1, None)], 1, 0),
        ([_row(1, "c-1"), _row(1, "c-2")], 0, 1),
        ([_row(1, "c-1"), _row(3, "c-1")], 0, 1),
    ],
)
def test_a_decision_is_in_the_ledger_once(rows: list[Any], lost: int, twice: int) -> None:
    counted = Tally()
    files = [{"file_id": "f-7", "decisions": rows, "movements": []}]
    assert tally.decisions(files, [Asked("f-7", 1, "approve", None)], counted) == len(rows)
    assert (len(counted.lost), len(counted.decided_twice)) == (lost, twice)


async def test_a_cable_carries_is_cut_in_three_ways_and_carries_again() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)
        writer.close()

    far, near = free_port(), free_port()
    server = await asyncio.start_server(echo, "127.0.0.1", far)
    cable = Cable(near, far)
    await cable.start()

    async def say(within_s: float = 5) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", near)
        try:
            writer.write(b"salaam")
            return await asyncio.wait_for(reader.readexactly(6), within_s)
        except TimeoutError:
            return b"hung"
        except (OSError, asyncio.IncompleteReadError) as error:
            return b"part" if getattr(error, "partial", b"") else b"cut"
        finally:
            writer.close()

    answers = [await say()]
    for how, within_s in ((Cut.REFUSE, 5), (Cut.HANG, 0.3), (Cut.RESET, 5)):
        cable.cut(how)
        answers.append(await say(within_s))
        cable.mend()
    answers.append(await say())
    await cable.stop()
    server.close()
    assert answers[:3] == [b"salaam", b"cut", b"hung"]
    assert answers[3] in (b"part", b"cut")
    assert answers[4] == b"salaam"


def test_a_moment_is_told_by_step_and_edge() -> None:
    assert str(Moment(STEPS[0], Edge.AFTER_COMMIT)) == "store-made/after-commit"
    assert len({str(moment) for moment in MOMENTS}) == len(MOMENTS)


def test_a_transaction_id_is_the_same_for_the_same_message_and_no_other() -> None:
    first = transaction_id("01EVENT", "!room:itt.gov.test", "issue-1-0")
    assert transaction_id("01EVENT", "!room:itt.gov.test", "issue-1-0") == first
    assert first.isascii()
    assert len(first) <= 64
    others = {
        transaction_id("02EVENT", "!room:itt.gov.test", "issue-1-0"),
        transaction_id("01EVENT", "!other:itt.gov.test", "issue-1-0"),
        transaction_id("01EVENT", "!room:itt.gov.test", "outcome-1"),
    }
    assert len(others - {first}) == 3


AT = (
    "event-stored/before-commit",
    "card-made/after-commit",
    "message-put/return",
    "document-uploaded/return",
    "command-queued/before-commit",
    "command-carried/return",
    "act-told/after-commit",
    "delivery-marked/before-commit",
)
"""A moment of each way that something takes: in, out, with documents, back, and e-Office's own."""


@pytest.mark.network
@pytest.mark.xdist_group("chaos")
def test_a_short_run_loses_nothing_and_says_nothing_twice(
    missing_part: Callable[[str], None],
) -> None:
    """`make chaos` plays all moments, with cuts, a wrong clock and kills by chance."""
    # Below /tmp itself: user postgres must pass through every directory above.
    with TemporaryDirectory(prefix="rabta-chaos-") as home:
        Path(home).chmod(0o711)
        told = subprocess.run(
            [
                *(sys.executable, "-m", "rabta_deploy.chaos", "--directory", Path(home) / "house"),
                *("--events", "40", "--decisions", "8", "--files", "4"),
                *("--officers", "2", "--posts", "3", "--only-moments", "--seed", "1"),
                *(word for moment in AT for word in ("--at", moment)),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    if "postgres-missing" in told.stderr:
        missing_part("PostgreSQL is not installed (deploy/machine.sh tests)")
    said = told.stdout + told.stderr
    assert told.returncode == 0, said
    zeros = "lost=0 duplicated=0 misordered=0 decided_twice=0"
    last = re.fullmatch(
        rf"events=(\d+) decisions=(\d+) kills=(\d+) {zeros}", told.stdout.splitlines()[-1]
    )
    assert last is not None, said
    events, decisions, kills = map(int, last.groups())
    assert events >= 40, said
    assert decisions >= 8, said
    assert kills >= len(AT), said
