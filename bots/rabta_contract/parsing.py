"""From bytes to events: strict JSON, then the schema, then values. All faults at once."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from rabta_contract.answers import EventReason
from rabta_contract.event import MAX_SEQUENCE, Event
from rabta_contract.faults import ContractError, Fault
from rabta_contract.schema import schema_faults
from rabta_contract.wire_json import canonical, read, step

SINGLE_MEDIA_TYPE = "application/cloudevents+json"
BATCH_MEDIA_TYPE = "application/cloudevents-batch+json"


def parse_event(raw: bytes) -> Event:
    """Read one structured-mode CloudEvent.

    Raises:
        ContractError: `malformed-json` or `schema`, with every fault and its JSON pointer.
    """
    return event_of(read(raw, EventReason.MALFORMED_JSON))


def parse_batch(raw: bytes) -> tuple[Event, ...]:
    """Read a JSON array of events; one bad event refuses the whole batch.

    Raises:
        ContractError: As `parse_event`; paths begin with the index in the array.
    """
    documents = read(raw, EventReason.MALFORMED_JSON)
    if not isinstance(documents, list):
        raise ContractError(EventReason.SCHEMA, [Fault("", "a batch must be an array")])
    events: list[Event] = []
    faults: list[Fault] = []
    for index, document in enumerate(documents):
        try:
            events.append(event_of(document))
        except ContractError as error:
            faults += [Fault(f"/{index}{fault.path}", fault.message) for fault in error.faults]
    if faults:
        raise ContractError(EventReason.SCHEMA, faults)
    return tuple(events)


def event_of(document: Any) -> Event:
    """Build the event from a JSON document that was read strictly.

    Raises:
        ContractError: `schema`, with every fault.
    """
    faults = schema_faults(document)
    if not faults:
        faults = list(_out_of_range(document))
    if faults:
        raise ContractError(EventReason.SCHEMA, faults)
    try:
        return Event.model_validate(document)
    except ValidationError as error:
        raise ContractError(EventReason.SCHEMA, model_faults(error)) from None


def event_bytes(event: Event) -> bytes:
    """The body of a single event, in one fixed spelling."""
    return canonical(event.document())


def batch_bytes(events: Iterable[Event]) -> bytes:
    """The body of a batch, in one fixed spelling."""
    return canonical([event.document() for event in events])


def model_faults(error: ValidationError) -> list[Fault]:
    """A model's complaints as faults, without the values that caused them."""
    return [
        Fault("".join(f"/{step(key)}" for key in fault["loc"]), fault["msg"])
        for fault in error.errors(include_url=False, include_input=False, include_context=False)
    ]


def _out_of_range(document: Any) -> Iterator[Fault]:
    """Limits that the schema cannot say: a 64-bit sequence, times that exist in UTC."""
    if int(document["sequence"]) > MAX_SEQUENCE:
        yield Fault("/sequence", "is larger than 2^63 - 1")
    data = document["data"]
    places = [
        ("/time", document["time"]),
        ("/data/deadline/due", data.get("deadline", {}).get("due")),
        ("/data/charge/from", data.get("charge", {}).get("from")),
        ("/data/charge/until", data.get("charge", {}).get("until")),
    ]
    for path, text in places:
        if text is not None and not exists_in_utc(text):
            yield Fault(path, "is not a moment between the years 1 and 9999 in UTC")


def exists_in_utc(text: str) -> bool:
    """Whether an RFC 3339 text is a moment that a database in UTC can hold."""
    try:
        moment = datetime.fromisoformat(text.upper())
        moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return False
    return moment.tzinfo is not None
