"""Moments and spans as a policy writes them: RFC 3339 with an offset, ISO 8601 durations."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_MOMENT = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,6})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)
_SPAN = re.compile(r"P(?:(\d{1,4})D)?(?:T(?:(\d{1,5})H)?(?:(\d{1,6})M)?(?:(\d{1,7})S)?)?", re.ASCII)

_NO_MOMENT = "is not a date and time with an offset, like 2026-07-01T00:00:00+05:00"


def read_moment(value: object) -> datetime:
    """Read an RFC 3339 date and time with its offset, as UTC.

    Raises:
        ValueError: When it is anything else, a bare date or a number too.
    """
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC)
    if not isinstance(value, str):
        raise ValueError(_NO_MOMENT)  # noqa: TRY004 - pydantic makes a fault of a ValueError alone
    return _read_text(value)


# Thousands of entries carry the same few dates: one object for each of them.
@lru_cache(maxsize=4096)
def _read_text(value: str) -> datetime:
    if not _MOMENT.fullmatch(value):
        raise ValueError(_NO_MOMENT)
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"is no moment of the calendar: {value}") from error


def write_moment(value: datetime) -> str:
    """Write a moment as RFC 3339 in UTC."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def read_span(value: object) -> timedelta:
    """Read a duration such as `P7D`, `PT12H` or `P1DT6H`.

    Raises:
        ValueError: When it is anything else. Months and years have no fixed length and are refused.
    """
    if isinstance(value, timedelta):
        return value
    found = _SPAN.fullmatch(value) if isinstance(value, str) else None
    if found is None or not any(found.groups()):
        raise ValueError("is not a duration in days, hours, minutes or seconds, like P7D or PT12H")
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def write_span(value: timedelta) -> str:
    """Write a duration in days and seconds, as `P7D` or `P1DT3600S`."""
    seconds = f"T{value.seconds}S" if value.seconds else ""
    days = f"{value.days}D" if value.days or not seconds else ""
    return f"P{days}{seconds}"


Moment = Annotated[
    datetime,
    BeforeValidator(read_moment),
    PlainSerializer(write_moment, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""A moment with an offset, kept in UTC."""

Span = Annotated[
    timedelta,
    BeforeValidator(read_span),
    PlainSerializer(write_span, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "duration"}),
]
"""A fixed length of time."""
