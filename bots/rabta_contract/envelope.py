"""A signed request as one file: for an e-Office that no network reaches.

The file is the request as HTTP would carry it: header lines (`name: value`), an empty line, then
the raw body, byte for byte as it was signed. One file, so that one rename makes it whole.
"""

import re
from collections.abc import Mapping

from rabta_contract.faults import ContractError, Fault

MALFORMED_ENVELOPE = "malformed-envelope"

_LONGEST_HEAD = 8192
_NAME = re.compile(r"[A-Za-z0-9-]{1,64}")


def enveloped(headers: Mapping[str, str], body: bytes) -> bytes:
    """The file's bytes for a body and the headers that `sign` gave, with its content type.

    Raises:
        ValueError: A header cannot be written in one line.
    """
    for name, value in headers.items():
        if not _NAME.fullmatch(name) or not value.isprintable() or not value.isascii():
            raise ValueError(f"the header {name!r} cannot be written in one line")
    head = "".join(f"{name}: {value}\n" for name, value in headers.items())
    return f"{head}\n".encode() + body


def opened(raw: bytes) -> tuple[dict[str, str], bytes]:
    """Headers (names in lower case) and raw body of a file.

    Raises:
        ContractError: `malformed-envelope`.
    """
    found = re.search(rb"\r?\n\r?\n", raw[: _LONGEST_HEAD + 4])
    if found is None:
        raise ContractError(
            MALFORMED_ENVELOPE, [Fault("", "no empty line ends the headers in the first 8 KiB")]
        )
    headers: dict[str, str] = {}
    for number, line in enumerate(raw[: found.start()].splitlines(), 1):
        name, colon, value = line.decode("ascii", "replace").partition(":")
        known = name.lower()
        if not colon or not _NAME.fullmatch(name) or known in headers:
            raise ContractError(
                MALFORMED_ENVELOPE, [Fault(f"line {number}", "is no header, or one given twice")]
            )
        headers[known] = value.strip()
    return headers, raw[found.end() :]
