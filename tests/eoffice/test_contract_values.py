"""Commands, answers and texts of the contract."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rabta_contract import (
    COMMAND_ANSWERS,
    EVENT_ANSWERS,
    ChargeKind,
    CommandReason,
    CommandRefusal,
    CommandResult,
    ContractError,
    EventReason,
    Grade,
    clean_line,
    clean_text,
    command_status,
    event_status,
    isolate,
    parse_answer,
    parse_command,
)

COMMAND = {
    "command_id": "c-1",
    "command": "approve",
    "event_id": "01JZ6W1F4E7Q2M9T0K3B5C8D9A",
    "file_id": "ITT-2026-004512",
    "movement_no": 12,
    "post_id": "ITT-DS-ADMN",
    "person_id": "p-10040",
    "matrix_user": "@bilal:itt.gov.test",
    "time": "2026-07-14T12:05:00+05:00",
}
RESULT = {
    "command_id": "c-1",
    "outcome": "approved",
    "file_id": "ITT-2026-004512",
    "note_para": 8,
    "movement_no": 13,
    "recorded_at": "2026-07-14T07:05:00Z",
}


def raw(**changes: Any) -> bytes:
    merged = {**COMMAND, **changes}
    return json.dumps({key: value for key, value in merged.items() if value is not ...}).encode()


def test_a_command_is_the_same_bytes_at_every_sending() -> None:
    command = parse_command(raw())
    assert parse_command(command.to_bytes()) == command
    assert parse_command(command.to_bytes()).to_bytes() == command.to_bytes()


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"command": "shred"}, "/command"),
        ({"command_id": "has space"}, "/command_id"),
        ({"command_id": "ends\n"}, "/command_id"),
        ({"movement_no": "12"}, "/movement_no"),
        ({"movement_no": 0}, "/movement_no"),
        ({"time": 1_784_000_000}, "/time"),
        ({"time": "2026-07-14T12:05:00"}, "/time"),
        ({"time": "0001-01-01T00:00:00+05:00"}, "/time"),
        ({"person_id": ...}, "/person_id"),
        ({"surprise": 1}, "/surprise"),
        ({"remarks": "x" * 2001}, "/remarks"),
        ({"command": "forward"}, ""),
        ({"to_post": "ITT-JS"}, ""),
    ],
)
def test_a_wrong_command_is_malformed_with_its_path(changes: dict[str, Any], path: str) -> None:
    with pytest.raises(ContractError) as caught:
        parse_command(raw(**changes))
    assert caught.value.reason == "malformed"
    assert [fault.path for fault in caught.value.faults] == [path]


@given(st.binary(max_size=200))
def test_no_bytes_make_the_command_reader_raise_anything_else(body: bytes) -> None:
    with pytest.raises(ContractError):
        parse_command(body)


def test_an_answer_is_a_result_a_refusal_or_nothing_known() -> None:
    good = json.dumps(RESULT).encode()
    assert parse_answer(200, good) == CommandResult.model_validate(RESULT)
    refusal = CommandRefusal(CommandReason.STALE_MOVEMENT, "the file has moved on")
    assert parse_answer(409, refusal.to_bytes()) == refusal
    for status, body in [
        (500, refusal.to_bytes()),
        (409, good),
        (200, refusal.to_bytes()),
        (403, refusal.to_bytes()),
        (502, b"<html>"),
        (409, b'{"reason":"because","detail":""}'),
        (409, b"[]"),
    ]:
        assert parse_answer(status, body) is None


@pytest.mark.parametrize("reason", EventReason)
def test_every_reason_to_refuse_an_event_has_one_status(reason: EventReason) -> None:
    assert [row.status for row in EVENT_ANSWERS if row.reason == reason] == [event_status(reason)]


@pytest.mark.parametrize("reason", CommandReason)
def test_every_reason_to_refuse_a_command_has_one_status(reason: CommandReason) -> None:
    rows = [row.status for row in COMMAND_ANSWERS if row.reason == reason]
    assert rows == [command_status(reason)]


def test_only_busy_and_unavailable_are_worth_sending_again() -> None:
    again = [row.reason for row in EVENT_ANSWERS if not row.permanent]
    assert again == [EventReason.BUSY, EventReason.UNAVAILABLE]


@pytest.mark.parametrize(
    ("grade", "content", "from_chat"),
    [
        ("UNCLASSIFIED", True, True),
        ("RESTRICTED", True, True),
        ("CONFIDENTIAL", True, False),
        ("SECRET", False, False),
        ("TOP_SECRET", False, False),
    ],
)
def test_a_grade_says_what_may_travel(grade: str, content: bool, from_chat: bool) -> None:
    assert Grade(grade).carries_content is content
    assert Grade(grade).decided_from_chat is from_chat


def test_only_a_look_after_charge_may_not_decide() -> None:
    assert [kind for kind in ChargeKind if not kind.may_decide] == [ChargeKind.LOOK_AFTER]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("F.No.1(5)/2026-Admn-II", "F.No.1(5)/2026-Admn-II"),
        ("\u202eevorppa\u202c", "evorppa"),
        ("a\u2066b\u2069 c\u200f", "ab c"),
        ("  two\n lines\t", "two lines"),
        ("چھٹی\u200cکی", "چھٹی\u200cکی"),
        ("bell\x07 nul\x00 \ud800", "bell nul"),
        ("e\u0301", "é"),
    ],
)
def test_a_line_from_a_stranger_is_made_safe(text: str, line: str) -> None:
    assert clean_line(text) == line
    assert isolate(text) == f"\u2068{line}\u2069"


@given(st.text())
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    assert clean_text(clean_text(text)) == clean_text(text)
    assert clean_line(clean_line(text)) == clean_line(text)
