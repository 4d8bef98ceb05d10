"""The chain of the audit finds any line that was edited, cut, reordered or taken out."""

from collections.abc import Iterable
from datetime import UTC, datetime
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rabta_audit import Head, Record, seal, verify
from rabta_audit.chain import unseal

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def chain(length: int) -> tuple[list[bytes], Head]:
    """A chain of `length` denials and its head."""
    lines, head = [], Head()
    for number in range(length):
        record = Record(
            time=NOON,
            serial=7,
            path="invite",
            action="invite",
            verdict="denied",
            origin="itt.gov.test",
            destination="fin.gov.test",
            actor=f"@officer{number}:itt.gov.test",
            reasons=("no-permit",),
            rules=("R7",),
        )
        line, head = seal(head, record)
        lines.append(line)
    return lines, head


def reasons(lines: Iterable[bytes], anchor: Head | None = None) -> list[str]:
    return [fault.reason for fault in verify(lines, anchor)[1]]


def test_an_untouched_chain_is_whole() -> None:
    lines, head = chain(5)
    assert verify(lines, head) == (head, [])


def test_a_chain_that_grew_after_its_head_was_kept_is_whole() -> None:
    lines, _ = chain(5)
    kept = unseal(lines[2])[1]
    assert reasons(lines, kept) == []


@pytest.mark.parametrize(
    ("touch", "found"),
    [
        (lambda lines: lines[:2] + lines[3:], "missing"),
        (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], "reordered"),
        (lambda lines: [*lines[:3], lines[2], *lines[3:]], "reordered"),
        (lambda lines: lines[:-1], "cut"),
        (lambda _: [], "cut"),
        (lambda lines: lines[1:], "missing"),
        (lambda lines: [lines[0].replace(b"itt.gov", b"fin.gov"), *lines[1:]], "edited"),
    ],
    ids=["taken out", "swapped", "repeated", "end cut", "emptied", "beginning cut", "edited"],
)
def test_a_touched_chain_is_found(touch: object, found: str) -> None:
    lines, head = chain(5)
    assert callable(touch)
    assert found in reasons(touch(lines), head)


def test_a_line_edited_and_sealed_again_is_found_by_the_line_after_it() -> None:
    lines, head = chain(3)
    record, reached, prev = unseal(lines[1])
    forged, _ = seal(Head(reached.seq - 1, prev), record.model_copy(update={"serial": 8}))
    assert reasons([lines[0], forged, lines[2]], head) == ["edited"]


LINES, HEAD = chain(4)
RAW = b"".join(LINES)


@given(place=st.integers(0, len(RAW) - 1), byte=st.integers(0, 255))
def test_any_single_mutated_byte_is_found(place: int, byte: int) -> None:
    mutated = RAW[:place] + bytes([byte]) + RAW[place + 1 :]
    found = reasons(BytesIO(mutated), HEAD)
    assert bool(found) is (mutated != RAW)
