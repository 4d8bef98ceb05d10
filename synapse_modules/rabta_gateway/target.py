"""The request target, taken apart strictly and never changed.

The X-Matrix signature covers the target's bytes and the homeserver matches them again, so
the gateway refuses whatever two readers could read in two ways (dot segments, empty
segments, bad escapes, fragments, a `;` in the query) instead of making it canonical.
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

# RFC 3986, 3.3 and 3.4. Square brackets, quotes, backslashes, raw Unicode: not allowed.
_PCHAR = r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})"
# Twisted, under Synapse, parts a query at `;` as at `&`; most other readers do not.
_QCHAR = r"(?:[A-Za-z0-9\-._~!$&'()*+,=:@/?]|%[0-9A-Fa-f]{2})"
_TARGET = re.compile(rf"((?:/{_PCHAR}+)+)(?:\?({_QCHAR}+))?")
_DOTS = frozenset({".", ".."})
_FIRST_PRINTABLE = 0x20
_DELETE = 0x7F


@dataclass(frozen=True, slots=True)
class Target:
    """A canonical request target.

    Attributes:
        raw: The bytes as they came, path and query, as text.
        segments: The path's raw (escaped) segments.
        decoded: The same segments with escapes resolved.
    """

    raw: str
    segments: tuple[str, ...]
    decoded: tuple[str, ...]


def parse_target(raw: str) -> Target | None:
    """Take a request target apart.

    Args:
        raw: The target in origin form, exactly as in the request line.

    Returns:
        The target, or None if it is not canonical.
    """
    match = _TARGET.fullmatch(raw)
    if match is None:
        return None
    segments = tuple(match[1].split("/")[1:])
    try:
        decoded = tuple(unquote_to_bytes(segment).decode("utf-8") for segment in segments)
    except UnicodeDecodeError:
        return None
    if any(segment in _DOTS or _has_control(segment) for segment in decoded):
        return None
    return Target(raw, segments, decoded)


def _has_control(text: str) -> bool:
    return any(ord(char) < _FIRST_PRINTABLE or ord(char) == _DELETE for char in text)
