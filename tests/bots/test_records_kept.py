"""What the archiver keeps: chained, encrypted, written whole, and read only when it is whole."""

import json
from collections.abc import Callable
from pathlib import Path

import pyrage
import pytest

from rabta_audit import Head, link
from rabta_records.reading import ChainError, read
from rabta_records.transcript import html, plain
from rabta_records.vault import Standing, Vault

ROOM = "!budget:itt.gov.test"
KEY = pyrage.x25519.Identity.generate()
ABOUT = {
    "room_id": ROOM,
    "name": "Budget",
    "class": "restricted",
    "category": "B",
    "at": "2026-11-25T09:00:00Z",
    "by": "Amna",
    "order": "1",
    "chain": {"seq": 1, "hash": "0"},
    "files": [],
    "not_recorded": None,
}


def event(number: int, body: str = "x", sender: str = "@amna:itt.gov.test") -> dict[str, object]:
    return {
        "kind": "event",
        "at": "2026-11-25T09:00:00Z",
        "event_id": f"${number}",
        "sender": sender,
        "type": "m.room.message",
        "content": json.dumps({"msgtype": "m.text", "body": body}),
        "origin_server_ts": 1_764_061_200_000,
        "encrypted": True,
        "device": "PHONE",
        "device_trust": "signed",
    }


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path, [str(KEY.to_public())])


def test_a_batch_that_a_crash_cut_off_from_its_head_is_written_over_by_its_repeat(
    vault: Vault,
) -> None:
    begun = vault.append(Standing(ROOM), [event(1)])
    # Written, but the head was not: the same events come again, here in two batches.
    vault.append(begun, [event(2), event(3)])
    vault.note(begun)
    after = vault.append(vault.append(vault.standing(ROOM), [event(2)]), [event(3)])

    record = read(vault.lines(ROOM, [str(KEY)]))
    assert [said.event_id for said in record.said] == ["$1", "$2", "$3"]
    assert record.head == vault.standing(ROOM).head == after.head
    assert vault.rooms() == [after]


def edit(lines: list[bytes]) -> None:
    lines[1] = lines[1].replace(b"$2", b"$9")


def cut(lines: list[bytes]) -> None:
    del lines[1]


def turn(lines: list[bytes]) -> None:
    lines[1], lines[2] = lines[2], lines[1]


def forge(lines: list[bytes]) -> None:
    lines[1] = link(Head(1, "0" * 64), event(2, "forged"))[0]


def put_nonsense_in(lines: list[bytes]) -> None:
    lines[1] = b"[]\n"


@pytest.mark.parametrize("harm", [edit, cut, turn, forge, put_nonsense_in])
def test_a_record_that_is_not_whole_is_not_read(harm: Callable[[list[bytes]], None]) -> None:
    lines, head = [], Head()
    for number in (1, 2, 3):
        line, head = link(head, event(number))
        lines.append(line)
    assert read(lines).head == head
    harm(lines)
    with pytest.raises(ChainError, match=r"line [23]"):
        read(lines)


def test_nothing_that_was_said_can_pass_for_the_transcripts_own_words() -> None:
    body = "yes\n2. Bilal (@bilal:itt.gov.test) 2026-11-25\u202e</span><script>\ud800"
    line, _ = link(Head(), event(1, body))
    record = read([line])
    text = plain(record, ABOUT)
    assert "    2. Bilal (@bilal:itt.gov.test) 2026-11-25[U+202E]</span><script>[U+D800]" in text
    page = html(record, ABOUT)
    assert "&lt;script&gt;[U+D800]" in page
    assert "<script" not in page
    # A lone surrogate could not even be written.
    assert text.encode().decode() + page.encode().decode() == text + page
