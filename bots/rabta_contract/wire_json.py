"""Strict JSON: one reading per document, nothing that a database or another reader chokes on."""

import json
import math
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from rabta_contract.faults import ContractError, Fault

# Deeper than any message of the contract, far less than the interpreter's stack.
_MAX_DEPTH = 32
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_]{1,40}")


def read(raw: bytes, reason: str) -> Any:
    """Read `raw` as strict JSON.

    Refused besides bad syntax: duplicate keys (two readers could see two grades), NaN and
    infinities, lone surrogates and NUL (PostgreSQL stores neither), nesting beyond 32.

    Raises:
        ContractError: With `reason`; nothing else is ever raised, whatever the bytes.
    """
    try:
        document = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_distinct,
            parse_constant=_no_constant,
            parse_float=_finite,
        )
    except (ValueError, RecursionError) as fault:
        message = str(fault) if isinstance(fault, _StrictnessError) else "not a JSON document"
        raise ContractError(reason, [Fault("", message)]) from None
    faults = list(_unstorable(document, "", 0))
    if faults:
        raise ContractError(reason, faults)
    return document


def canonical(document: Any) -> bytes:
    """Write `document` in one fixed spelling: sorted keys, no spaces, UTF-8."""
    return json.dumps(
        document, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
    ).encode()


def step(key: object) -> str:
    """One step of a fault's path; a key that is no plain word is shown as `*`, for logs' sake."""
    text = str(key)
    return text if _PLAIN_KEY.fullmatch(text) else "*"


class _StrictnessError(ValueError):
    """A rule of ours, worth telling; its text holds no content."""


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    built = dict(pairs)
    if len(built) != len(pairs):
        raise _StrictnessError("an object has a key twice")
    return built


def _no_constant(_: str) -> NoReturn:
    raise _StrictnessError("NaN and infinities are not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _StrictnessError("a number is out of range")
    return number


def _unstorable(value: Any, path: str, depth: int) -> Iterator[Fault]:
    if depth > _MAX_DEPTH:
        yield Fault("", "nested too deeply")
    elif isinstance(value, str):
        if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
            yield Fault(path, "holds NUL or half a surrogate pair")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unstorable(item, f"{path}/{index}", depth + 1)
    elif isinstance(value, dict):
        for number, (key, item) in enumerate(value.items()):
            if "\x00" in key or any("\ud800" <= character <= "\udfff" for character in key):
                yield Fault(path, f"key {number} holds NUL or half a surrogate pair")
            else:
                yield from _unstorable(item, f"{path}/{step(key)}", depth + 1)
