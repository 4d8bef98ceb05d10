"""Reads a record: its chain is checked, its lines become values that people can be shown. Pure."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rabta_audit import Head, unlink


class ChainError(Exception):
    """A line of a record was changed, cut, reordered or taken out."""


@dataclass(frozen=True, slots=True)
class Said:
    """An event of a record.

    Attributes:
        seq: Number of its line.
        at: When it was recorded, ISO 8601 in UTC.
        event_id: Its id; from room version 3 on it is a hash of the event.
        sender: User id.
        name: Display name that the sender had in the room then, or the user id.
        sent_ms: When it was sent, as the sender's server says.
        type: Event type.
        content: Its content.
        encrypted: Whether it came encrypted.
        device: Device that sent it, where it is known.
        trust: How far that device is known to be the sender's own.
        file: What became of its attachment: `sha256` (of the ciphertext) and `bytes`, or `missing`.
    """

    seq: int
    at: str
    event_id: str
    sender: str
    name: str
    sent_ms: int
    type: str
    content: Mapping[str, Any]
    encrypted: bool
    device: str | None
    trust: str
    file: Mapping[str, Any] | None


@dataclass(slots=True)
class RecordOfRoom:
    """A whole record.

    Attributes:
        said: Its events, in the order in which they came.
        state: The state that was recorded last: (type, state key) -> content.
        head: Where its chain ends.
    """

    said: list[Said] = field(default_factory=list)
    state: dict[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    head: Head = field(default_factory=Head)

    def content(self, event_type: str) -> Mapping[str, Any]:
        """The content of a state event without a key; empty when there is none."""
        return self.state.get((event_type, ""), {})

    @property
    def people(self) -> dict[str, tuple[str, str]]:
        """User id -> display name and membership, of everybody in the last state."""
        return {
            key: (str(content.get("displayname") or key), str(content.get("membership")))
            for (kind, key), content in sorted(self.state.items())
            if kind == "m.room.member"
        }


def read(lines: Iterable[bytes]) -> RecordOfRoom:
    """Read a record from its first line.

    Raises:
        ChainError: Naming the line.
    """
    record = RecordOfRoom()
    for fields in _followed(lines, record):
        if fields["kind"] == "state":
            record.state = {
                (str(one["type"]), str(one["state_key"])): _object(one["content"])
                for one in fields["state"]
            }
        else:
            record.said.append(_said(fields, record))
    return record


def _followed(lines: Iterable[bytes], record: RecordOfRoom) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, start=1):
        try:
            fields, head, prev = unlink(line)
        except ValueError as error:
            raise ChainError(f"line {number}: {error}") from error
        if prev != record.head.hash or head.seq != record.head.seq + 1:
            raise ChainError(f"line {number} does not follow the line before it")
        record.head = head
        yield fields


def _said(fields: Mapping[str, Any], record: RecordOfRoom) -> Said:
    sender = str(fields["sender"])
    return Said(
        seq=record.head.seq,
        at=str(fields["at"]),
        event_id=str(fields["event_id"]),
        sender=sender,
        name=record.people.get(sender, (sender, ""))[0],
        sent_ms=int(fields["origin_server_ts"]),
        type=str(fields["type"]),
        content=_object(fields["content"]),
        encrypted=bool(fields["encrypted"]),
        device=fields["device"],
        trust=str(fields["device_trust"]),
        file=fields.get("file"),
    )


def _object(text: str) -> Mapping[str, Any]:
    value = json.loads(text)
    return value if isinstance(value, dict) else {}
