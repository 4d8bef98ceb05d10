"""Text that strangers wrote, made safe to show: no direction overrides, no invisible tricks.

Urdu and English meet in every line of a card. A subject may hold Unicode direction
controls that make `F.No.1(5)` read backwards or hide half a sentence, so both sides of
the contract clean with the same rules. Sources: Unicode UAX #9; research/domain.md section 8.
"""

import unicodedata

FIRST_STRONG_ISOLATE = "\u2068"
POP_DIRECTIONAL_ISOLATE = "\u2069"

# Marks, embeddings, overrides and isolates of UAX #9, and the byte order mark, which hides.
# U+200C and U+200D stay: Urdu spelling needs the zero-width joiners.
BIDI_CONTROLS = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
)
_KEPT_CONTROLS = frozenset("\n\t")
# Cc: C0 and C1 controls. Cs: lone surrogates, which no database can store.
_HARMFUL_CATEGORIES = frozenset({"Cc", "Cs"})


def clean_text(text: str) -> str:
    """Give `text` in NFC without direction controls, control characters and lone surrogates.

    Line feeds and tabs stay; U+2028 and U+2029 become line feeds.
    """
    lines = text.replace("\r\n", "\n").replace("\u2028", "\n").replace("\u2029", "\n")
    kept = "".join(
        character
        for character in lines
        if character in _KEPT_CONTROLS
        or (
            character not in BIDI_CONTROLS
            and unicodedata.category(character) not in _HARMFUL_CATEGORIES
        )
    )
    return unicodedata.normalize("NFC", kept)


def clean_line(text: str) -> str:
    """Give `text` cleaned, on one line, with single spaces: for subjects, names and numbers."""
    return " ".join(clean_text(text).split())


def isolate(text: str) -> str:
    """Wrap a cleaned line in FSI ... PDI, so that its direction cannot disturb its sentence."""
    return f"{FIRST_STRONG_ISOLATE}{clean_line(text)}{POP_DIRECTIONAL_ISOLATE}"
