"""Makes every spelling of the same word one: keyboards differ, officers do not mean to. Pure.

Sources: Unicode NFKC (UAX #15); research on Urdu keyboards: Arabic letters stand where Urdu has
its own, vowel marks and joiners come and go, digits are Arabic-Indic, Extended or Western.
"""

import unicodedata

# Arabic letters that keyboards send where Urdu has its own.
_SHAPES = str.maketrans(
    {"ي": "ی", "ى": "ی", "ك": "ک", "ه": "ہ", "ة": "ہ", "ۃ": "ہ", "ۂ": "ہ", "أ": "ا"}
)
_LONGEST_NUMBER = 160
_TRAILING = ".,:;!۔،؛"


def fold(text: str) -> str:
    """`text` with every spelling of the same word made one."""
    shapes = unicodedata.normalize("NFKC", text).translate(_SHAPES)
    kept = (
        str(unicodedata.decimal(letter)) if unicodedata.category(letter) == "Nd" else letter
        for letter in shapes
        if unicodedata.category(letter) not in {"Mn", "Cf", "Cc"} or letter.isspace()
    )
    return "".join(kept).casefold()


def fold_number(text: str) -> str:
    """The number of a file as it is looked up: folded, without spaces, dashes all alike."""
    joined = "".join(fold(text).split())
    dashes = "".join("-" if unicodedata.category(one) == "Pd" else one for one in joined)
    return dashes.strip(_TRAILING)[:_LONGEST_NUMBER]
