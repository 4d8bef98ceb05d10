"""Entries in the registers, through the API: told as the contract has them, or refused in words."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from rabta_contract import event_of

FILE = {"file_id": "ITT-2026-004512"}
AT_SO = {"post_id": "ITT-SO-ADMN2"}
DRAFT = {"draft_id": "D-1", **FILE, "version": 1, "addressees": ["Finance Division"]}


async def test_a_draft_is_entered_and_told(
    person: Callable[[str], Awaitable[Any]], bridge: Any
) -> None:
    officer = await person("p-1")
    entry = {**AT_SO, **FILE, "type": "draft.submitted", "draft": DRAFT, "to_post": "ITT-DS-ADMN"}
    status, made = await officer.post("/api/entries", entry)
    assert status == 201
    told = event_of((await bridge.events())[-1])
    assert (told.id, told.type) == (made["event_id"], "eoffice.draft.submitted.v1")
    assert told.data.movement is not None
    assert [post.post_id for post in told.data.movement.to] == ["ITT-DS-ADMN"]


@pytest.mark.parametrize(
    ("changes", "expected", "reason"),
    [
        ({"type": "draft.burnt"}, 404, "unknown-type"),
        ({"type": "file.marked"}, 400, "malformed"),
        ({"draft": None}, 400, "malformed"),
        ({"surplus": 1}, 400, "malformed"),
        ({"file_id": "none"}, 404, "unknown-file"),
        ({"post_id": "ITT-DS-ADMN"}, 403, "wrong-holder"),
        ({"type": "file.recorded"}, 409, "wrong-status"),
    ],
)
async def test_what_cannot_be_entered_is_refused_with_its_reason_and_not_told(
    person: Callable[[str], Awaitable[Any]],
    bridge: Any,
    changes: dict[str, Any],
    expected: int,
    reason: str,
) -> None:
    officer = await person("p-1")
    before = len(await bridge.events())
    entry = {**AT_SO, **FILE, "type": "draft.submitted", "draft": DRAFT}
    status, answer = await officer.post("/api/entries", entry | changes)
    assert (status, answer["reason"]) == (expected, reason)
    assert len(await bridge.events()) == before
