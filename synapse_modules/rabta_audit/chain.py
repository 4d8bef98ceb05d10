"""The chain: each line carries the hash of the one before, so that no line can be changed alone.

A line is canonical JSON (Matrix spec, appendices, "Canonical JSON") of the record with three
fields more: `seq` counts from 1, `prev` is the hash of the line before, `hash` is the SHA-256 of
the line without `hash`. Pure: it neither reads nor writes.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from canonicaljson import encode_canonical_json
from pydantic import ValidationError

from rabta_audit.record import Record

GENESIS = "0" * 64
_CHAIN_FIELDS = ("seq", "prev", "hash")

Held = TypeVar("Held")


@dataclass(frozen=True, slots=True)
class Head:
    """Where a chain stands: the number and the hash of its last line."""

    seq: int = 0
    hash: str = GENESIS


@dataclass(frozen=True, slots=True)
class Broken:
    """Where a chain is broken and how.

    Attributes:
        line: the place, counted from 1 over all the files of the chain.
        reason: `edited`, `missing`, `reordered`, `malformed` or `cut`.
        text: a sentence for the auditor.
    """

    line: int
    reason: str
    text: str


def seal(head: Head, record: Record) -> tuple[bytes, Head]:
    """Chain `record` behind `head`: the line to append, newline included, and the new head."""
    return link(head, record.model_dump(mode="json", exclude_defaults=True))


def link(head: Head, fields: Mapping[str, Any]) -> tuple[bytes, Head]:
    """Chain fields of another kind; canonical JSON must be able to say them."""
    body = {**fields, "seq": head.seq + 1, "prev": head.hash}
    digest = hashlib.sha256(encode_canonical_json(body)).hexdigest()
    return encode_canonical_json({**body, "hash": digest}) + b"\n", Head(head.seq + 1, digest)


def unlink(line: bytes) -> tuple[dict[str, Any], Head, str]:
    """Open a line of fields: the fields, the head it makes and the hash it names before it.

    Raises:
        ValueError: the line is not the canonical form of chained fields, or its hash is wrong.
    """
    return _open(line, dict, link)


def unseal(line: bytes) -> tuple[Record, Head, str]:
    """Open one line: its record, the head it makes and the hash it names as the one before.

    Raises:
        ValueError: the line is not the canonical form of a sealed record, or its hash is wrong.
    """
    return _open(line, Record.model_validate, seal)


def _open(
    line: bytes,
    read: Callable[[dict[str, Any]], Held],
    chain: Callable[[Head, Held], tuple[bytes, Head]],
) -> tuple[Held, Head, str]:
    """Read what a line holds, and chain it again: only the line's own bytes may come of it."""
    if not line.endswith(b"\n"):
        raise ValueError("the line does not end with a newline")
    try:
        told = json.loads(line)
        held = read({key: value for key, value in told.items() if key not in _CHAIN_FIELDS})
        expected, head = chain(Head(told["seq"] - 1, told["prev"]), held)
    except (AttributeError, KeyError, TypeError, ValidationError, UnicodeError) as exc:
        raise ValueError("the line is no sealed record") from exc
    if expected != line:
        raise ValueError("the line does not carry its own hash")
    return held, head, told["prev"]


def verify(lines: Iterable[bytes], anchor: Head | None = None) -> tuple[Head, list[Broken]]:
    """Check a whole chain from its first line.

    Args:
        lines: every line of the chain in order, newlines included.
        anchor: a head that the chain must pass through, as kept beside it or, better, elsewhere.
            The chain may be longer: a process that was killed has appended since.

    Returns:
        The head reached, and every break found; a chain is whole when there is none.
    """
    head, broken, number = Head(), [], 0
    anchored = anchor is None or anchor == head
    for number, line in enumerate(lines, start=1):
        try:
            _, reached, prev = unseal(line)
        except ValueError as exc:
            broken.append(Broken(number, "edited", f"Line {number}: {exc}."))
            # Go on from what the line claims, so that one edit is told once.
            head = Head(head.seq + 1, "")
            continue
        if reached.seq > head.seq + 1:
            gone = reached.seq - head.seq - 1
            broken.append(Broken(number, "missing", f"Before line {number}, {gone} are missing."))
        elif reached.seq <= head.seq:
            broken.append(Broken(number, "reordered", f"Line {number} is out of its order."))
        elif head.hash and prev != head.hash:
            text = f"Line {number} does not follow the line before it."
            broken.append(Broken(number, "edited", text))
        head = reached
        anchored = anchored or head == anchor
    if anchor is not None and not anchored:
        text = f"The chain ends at {head.seq} without line {anchor.seq} that its head names."
        broken.append(Broken(number, "cut", text))
    return head, broken
