"""Reads cards and answers as an officer does: from the words of a decrypted message. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_ROW = re.compile(r"^([^:]+): (.*)$")
# The bridge isolates every value, so that Urdu around it does not turn it round.
_ISOLATES = str.maketrans("", "", "\u2066\u2067\u2068\u2069")
_NUMBER = re.compile(r"F\.No\.\S+")
_CODE = re.compile(r"yes (\d{4})")


@dataclass(frozen=True, slots=True)
class Key:
    """What tells one event's card from every other's, in words that e-Office chose.

    Attributes:
        post: The post that the card is for.
        file_no: The file.
        movement: The movement that the card tells of, or "".
        para: The note para, or "".
        remarks: The remarks; the load gives each act remarks of its own where it can.
        reminder: Whether it is a reminder of that movement.
    """

    post: str
    file_no: str
    movement: str
    para: str
    remarks: str
    reminder: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """One message of the bridge as an officer's client decrypted it.

    Attributes:
        card: Which card it is, when it is one.
        replaces: The event id that it edits, if it is an edit.
        reply_to: The event id that it answers.
        document: The name of the document that it carries, if it carries one.
        place: Its place in its room's timeline, from 0.
        ts: `origin_server_ts`, milliseconds.
    """

    event_id: str
    room_id: str
    reader: str
    body: str
    card: Key | None
    replaces: str | None
    reply_to: str | None
    document: str | None
    place: int
    ts: int

    @property
    def code(self) -> str | None:
        """The code that confirms, when it is a question."""
        found = _CODE.search(self.body)
        return found.group(1) if found else None


def seen(message: Mapping[str, Any], reader: str, place: int) -> Seen:
    """A readable message of `Officer.history` as a value."""
    content = message["content"]
    replaces = message["replaces"]
    said = content.get("m.new_content", {}) if replaces else content
    body = str(said.get("body", "")).translate(_ISOLATES)
    # A line in a card's thread answers nobody; the reply in it is for clients without threads.
    threaded = content.get("m.relates_to", {}).get("rel_type") == "m.thread"
    reply_to = None if threaded else message["reply_to"]
    return Seen(
        event_id=message["event_id"],
        room_id=message["room_id"],
        reader=reader,
        body=body,
        card=None if replaces or threaded or reply_to else card_of(body),
        replaces=replaces,
        reply_to=reply_to,
        document=str(content.get("filename", body)) if "file" in content else None,
        place=place,
        ts=message["ts"],
    )


def card_of(body: str) -> Key | None:
    """The card that a message's words are, or None when they are none."""
    headline, *lines = body.translate(_ISOLATES).splitlines()
    number = _NUMBER.search(headline)
    rows = {found[1]: found[2] for line in lines if (found := _ROW.match(line))}
    if number is None or "Card" not in rows:
        return None
    return Key(
        post=rows["For"].removeprefix("Officer "),
        file_no=number.group(),
        movement=rows.get("Movement", ""),
        para=rows.get("Note para", "").removesuffix("/N"),
        remarks=rows.get("Remarks", ""),
        reminder=headline.startswith("Reminder"),
    )
