"""Reads an officer's words, English or Urdu, as a command. Pure; it never decides what may be done.

Grammar: VERB [#CARD] [WORDS]. Spelling is folded first (Unicode NFKC, Arabic letter shapes to
Urdu ones, vowel marks and joiners dropped, Eastern digits to 0-9), so that every keyboard works.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import unquote

from rabta_bots.spelling import fold
from rabta_contract.text import clean_text
from rabta_contract.vocabulary import CommandVerb


class Talk(StrEnum):
    """What is said to the bridge itself; it never reaches e-Office."""

    PENDING = "pending"
    HISTORY = "history"
    OPEN = "open"
    FILE = "file"
    CLASS = "class"
    CASE = "case"
    CONSULT = "consult"
    ACCEPT = "accept"
    DECLINE = "decline"
    ANNOUNCE = "announce"
    REPORT = "report"
    LANG = "lang"
    HELP = "help"
    YES = "yes"
    NO = "no"


Verb = CommandVerb | Talk

SPELLINGS: dict[Verb, tuple[str, ...]] = {
    CommandVerb.APPROVE: ("approve", "approved", "منظور", "منظور ہے", "منظور کریں"),
    CommandVerb.RETURN: ("return", "returned", "واپس", "واپس کریں"),
    CommandVerb.SEEN: ("seen", "دیکھ لیا", "دیکھ لیا ہے", "ملاحظہ کیا"),
    CommandVerb.DISCUSS: ("discuss", "please discuss", "please speak", "بات کریں", "گفتگو"),
    CommandVerb.FORWARD: ("forward", "mark", "ارسال", "ارسال کریں", "آگے بھیجیں"),
    CommandVerb.ACKNOWLEDGE: ("acknowledge", "ack", "وصول", "وصول ہوا", "موصول"),
    Talk.PENDING: ("pending", "list", "زیر التوا", "باقی"),
    Talk.HISTORY: ("history", "تاریخ", "سرگزشت"),
    Talk.OPEN: ("open", "کھولیں", "لنک"),
    Talk.FILE: ("file", "attach", "فائل", "فائل میں لگائیں", "نتھی کریں"),
    Talk.CLASS: ("class", "درجہ", "درجہ بندی"),
    CommandVerb.REMIND: ("remind", "یاد دہانی", "یاد دلائیں"),
    Talk.CONSULT: ("consult", "مشورہ"),
    Talk.ACCEPT: ("accept", "قبول", "قبول ہے"),
    Talk.DECLINE: ("decline", "انکار"),
    Talk.ANNOUNCE: ("announce", "اعلان"),
    Talk.REPORT: ("report", "رپورٹ"),
    Talk.CASE: ("case", "معاملہ", "کیس"),
    Talk.LANG: ("lang", "language", "زبان"),
    Talk.HELP: ("help", "?", "مدد"),
    Talk.YES: ("yes", "confirm", "ہاں", "جی ہاں", "جی"),
    Talk.NO: ("no", "cancel", "نہیں", "منسوخ"),
}

LANGUAGE_WORDS = {
    "en": "en",
    "english": "en",
    "انگریزی": "en",
    "ur": "ur",
    "urdu": "ur",
    "اردو": "ur",
}

# Spellings of the classes of rooms; another word is handed on as it is, folded.
CLASS_WORDS = {
    "غیر درجہ بند": "unclassified",
    "محدود": "restricted",
    "صیغۂ راز": "confidential",
    "راز": "confidential",
    "خفیہ": "secret",
    "انتہائی خفیہ": "top-secret",
}

# These may name a file by its number, which is free text; else the card says which file.
OF_A_FILE = frozenset({Talk.HISTORY, Talk.OPEN, Talk.CASE, Talk.FILE, CommandVerb.REMIND})

# These may name an announcement, as `A7`.
OF_AN_ANNOUNCEMENT = frozenset({CommandVerb.ACKNOWLEDGE, CommandVerb.REMIND, Talk.REPORT})

# These may name a request for a room, as `C2`; the other side of it may be of another ministry.
OF_A_REQUEST = frozenset({Talk.ACCEPT, Talk.DECLINE})

# What e-Office takes as remarks, and room for the verb before them.
MAX_REMARKS = 2000
LONGEST = MAX_REMARKS + 200


class Misread(StrEnum):
    """Why words are not a command."""

    UNKNOWN_COMMAND = "unknown-command"
    EXTRA_WORDS = "extra-words"
    REMARKS_REQUIRED = "remarks-required"
    POST_REQUIRED = "post-required"
    ANNOUNCEMENT_REQUIRED = "announcement-required"
    LANGUAGE_REQUIRED = "language-required"
    CLASS_REQUIRED = "class-required"
    CODE_REQUIRED = "code-required"
    TOO_LONG = "too-long"


@dataclass(frozen=True, slots=True)
class Said:
    """A command as it was written.

    Args:
        verb: What is asked.
        card: The number after `#`, or None.
        words: Remarks of `return`, post of `forward`, `en`/`ur` of `lang`, code of `yes`, the
            number of a file or of an announcement, what is announced, class of `class` and, after
            a space, the room where one was named.
    """

    verb: Verb
    card: int | None = None
    words: str = ""


def parse(text: str) -> Said | Misread:
    """What an officer wrote.

    Args:
        text: The plain body, without the quotation that a reply carries.
    """
    if len(text) > LONGEST:
        return Misread.TOO_LONG
    cleaned = clean_text(text).replace(_ZERO_WIDTH_SPACE, "").strip()
    tokens = list(re.finditer(r"\S+", cleaned))
    folded = [_word(token.group()) for token in tokens]
    found = _verb(folded)
    if found is None:
        return Misread.UNKNOWN_COMMAND
    verb, length = found
    rest = cleaned[tokens[length - 1].end() :].strip()
    card: int | None = None
    numbered = re.match(r"#\s*(\d{1,9})(?!\S)", fold(rest))
    if numbered:
        card = int(numbered.group(1))
        # Folding may change lengths: the number is cut off by its words, not by its position.
        rest = re.sub(r"^#\s*\S+", "", rest).strip()
    return _complete(verb, card, rest)


def spoken(body: str, *, reply: bool) -> str:
    """The body without the quotation that older clients put before a reply (spec 1.12, 11.3.1)."""
    if not reply or not body.startswith("> "):
        return body
    lines = body.split("\n")
    start = next((place for place, line in enumerate(lines) if not line.startswith(">")), None)
    return "" if start is None else "\n".join(lines[start:]).strip()


_ZERO_WIDTH_SPACE = "\u200b"
_TRAILING = ".,:;!۔،؛"


def _word(token: str) -> str:
    folded = fold(token)
    return folded.rstrip(_TRAILING) or folded


_TABLE: dict[tuple[str, ...], Verb] = {
    tuple(_word(token) for token in spelling.split()): verb
    for verb, spellings in SPELLINGS.items()
    for spelling in spellings
}
_CLASSES = {
    " ".join(_word(word) for word in spelling.split()): room_class
    for spelling, room_class in CLASS_WORDS.items()
}
_LONGEST_SPELLING = max(len(words) for words in _TABLE)


def _verb(folded: list[str]) -> tuple[Verb, int] | None:
    """The verb at the start and how many words it takes; the longest spelling wins."""
    for length in range(min(_LONGEST_SPELLING, len(folded)), 0, -1):
        verb = _TABLE.get(tuple(folded[:length]))
        if verb is not None:
            return verb, length
    return None


def _complete(verb: Verb, card: int | None, rest: str) -> Said | Misread:
    if len(rest) > MAX_REMARKS:
        return Misread.TOO_LONG
    if verb in OF_AN_ANNOUNCEMENT and re.fullmatch(r"a\d{1,9}", fold(rest)):
        return Said(verb, card, fold(rest).upper())
    if verb in OF_A_FILE:
        return Said(verb, card, rest)
    if verb in OF_A_REQUEST and re.fullmatch(r"c\d{1,9}", fold(rest)):
        return Said(verb, card, fold(rest).upper())
    if verb not in _WORDS:
        # "approve it on Monday" is not an approval.
        return Misread.EXTRA_WORDS if rest else Said(verb, card)
    words, fault = _WORDS[verb]
    said = words(rest)
    return Said(verb, card, said) if said else fault


def _one_word(rest: str) -> str:
    return "" if re.search(r"\s", rest) else rest


def _language(rest: str) -> str:
    return LANGUAGE_WORDS.get(fold(rest), "")


def _class_and_room(rest: str) -> str:
    """`confidential`, or `confidential #budget:itt.gov.test`."""
    words = rest.split()
    room = _room(words[-1]) if words else ""
    spelled = " ".join(_word(word) for word in (words[:-1] if room else words))
    room_class = _CLASSES.get(spelled, spelled if re.fullmatch(r"[a-z-]{1,32}", spelled) else "")
    return f"{room_class} {room}".strip() if room_class else ""


def _room(word: str) -> str:
    """The room id or alias that a word is, or that a link of matrix.to leads to; else ""."""
    link = re.fullmatch(r"https://matrix\.to/#/([^/?]+)(?:\?.*)?", word)
    room = unquote(link.group(1)) if link else word
    return room if re.fullmatch(r"![^\s]{1,254}|#[^\s:]+:[^\s]+", room) else ""


def _code(rest: str) -> str:
    return code if re.fullmatch(r"\d{4}", code := fold(rest)) else ""


# Which commands take words, how they are read, and what is said when there are none.
_WORDS: dict[Verb, tuple[Callable[[str], str], Misread]] = {
    CommandVerb.RETURN: (str.strip, Misread.REMARKS_REQUIRED),
    Talk.CONSULT: (_one_word, Misread.POST_REQUIRED),
    Talk.ANNOUNCE: (str.strip, Misread.ANNOUNCEMENT_REQUIRED),
    CommandVerb.FORWARD: (_one_word, Misread.POST_REQUIRED),
    Talk.CLASS: (_class_and_room, Misread.CLASS_REQUIRED),
    Talk.LANG: (_language, Misread.LANGUAGE_REQUIRED),
    Talk.YES: (_code, Misread.CODE_REQUIRED),
}
