"""The JSON Schema of an event, and what in a document breaks it."""

import json
import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend

from rabta_contract.faults import Fault
from rabta_contract.wire_json import step

SCHEMA_FILE = "event.schema.json"


@cache
def event_schema() -> dict[str, Any]:
    """The packaged schema (draft 2020-12). Read only: it is shared."""
    text = files("rabta_contract").joinpath(SCHEMA_FILE).read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def schema_faults(document: Any) -> list[Fault]:
    """All that is wrong with `document` under the event schema, ordered by path."""
    faults = {
        Fault("".join(f"/{step(key)}" for key in error.absolute_path), _words(error))
        for error in _validator().iter_errors(document)
    }
    return sorted(faults, key=lambda fault: (fault.path, fault.message))


@cache
def _validator() -> Validator:
    exact = extend(Draft202012Validator, {"pattern": _pattern})  # type: ignore[no-untyped-call] # the stubs leave it out
    formats = FormatChecker(("date-time", "date"))
    validator: Validator = exact(event_schema(), format_checker=formats)
    return validator


def _pattern(
    _: Validator, pattern: str, instance: Any, __: dict[str, Any]
) -> Iterator[ValidationError]:
    """Match as ECMA-262 says: Python's `$` would let a trailing line feed through."""
    python = re.sub(r"\$$", r"\\Z", pattern)
    if isinstance(instance, str) and not re.search(python, instance):
        yield ValidationError("does not match the pattern")


_SAYINGS = {
    "anyOf": "names none of file, receipt, draft, dispatch, charge or source",
    "not": "carries content (subject, remarks or documents) although it is SECRET or above",
    "pattern": "does not match the pattern {value}",
    "enum": "is none of {value}",
    "const": "must be {value}",
    "type": "must be of type {value}",
    "format": "is not a {value}",
    "maxLength": "is longer than {value}",
    "minLength": "is shorter than {value}",
    "maximum": "is greater than {value}",
    "minimum": "is less than {value}",
    "minItems": "has fewer than {value} items",
}


def _words(error: ValidationError) -> str:
    """Say which rule was broken. The library's own messages quote the value: content leaks."""
    rule = str(error.validator)
    if rule == "required":
        wanted: Any = error.validator_value
        present: Any = error.instance
        missing = [key for key in wanted if key not in present]
        return f"lacks {', '.join(missing)}"
    return _SAYINGS.get(rule, "breaks the rule " + rule).format(value=error.validator_value)
