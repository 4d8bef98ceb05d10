"""A policy must agree with itself: references, order in time, names used once, classes in order."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Protocol

from rabta_policy.classes import DECIDE, FEDERATION, HISTORY, RoomClasses
from rabta_policy.faults import Fault
from rabta_policy.permits import Permit
from rabta_policy.registry import Change, OrganisationEntry
from rabta_policy.states import state_at

_LONGEST_GRACE = timedelta(days=366)


class Head(Protocol):
    """The dates of a document."""

    @property
    def issued_at(self) -> datetime:
        """As in the document."""
        ...

    @property
    def not_after(self) -> datetime:
        """As in the document."""
        ...

    @property
    def grace(self) -> timedelta:
        """As in the document."""
        ...


class Dated(Protocol):
    """Something that opens and may close."""

    @property
    def opens(self) -> datetime:
        """As in the document."""
        ...

    @property
    def closes(self) -> datetime | None:
        """As in the document."""
        ...


@dataclass(frozen=True, slots=True)
class Sections:
    """What could be read of a document; numbers are places in its lists."""

    head: Head | None
    phases: Mapping[str, Dated]
    classes: RoomClasses | None
    organisations: list[tuple[int, OrganisationEntry]]
    known_codes: set[str]
    groups: Mapping[str, tuple[str, ...]]
    permits: list[tuple[int, Permit]]


def incoherences(found: Sections) -> Iterator[Fault]:
    """Every place where the document contradicts itself."""
    if found.head is not None:
        yield from _dates(found.head)
    for name, phase in found.phases.items():
        if phase.closes is not None and phase.closes <= phase.opens:
            yield Fault(f"phases.{name}.closes", "is not after `opens`.", "Put the dates in order.")
    if found.classes is not None:
        yield from _class_order(found.classes)
    yield from _twice(found.organisations)
    entries = {entry.code: entry for _, entry in found.organisations}
    for at, entry in found.organisations:
        yield from _organisation(f"organisations[{at}]", entry, found.known_codes, entries)
    for name, members in found.groups.items():
        for at, member in enumerate(members):
            if member not in found.known_codes:
                yield _unknown(f"groups.{name}[{at}]", member)
    for at, permit in found.permits:
        yield from _permit(f"permits[{at}]", permit, found)


def _dates(head: Head) -> Iterator[Fault]:
    if head.not_after <= head.issued_at:
        yield Fault(
            "not_after", "is not after `issued_at`.", "Give the policy time to be in force."
        )
    if head.not_after.year > 9000:  # noqa: PLR2004 - the calendar ends at 9999, and grace is added
        yield Fault("not_after", "lies beyond the year 9000.", "Choose a date people will see.")
    if not timedelta(0) <= head.grace <= _LONGEST_GRACE:
        yield Fault("grace", "is longer than 366 days.", "Issue a new policy in good time instead.")


def _class_order(classes: RoomClasses) -> Iterator[Fault]:
    rules = [
        ("unclassified", classes.unclassified),
        ("restricted", classes.restricted),
        ("confidential", classes.confidential),
    ]
    for (_, looser), (name, stricter) in pairwise(rules):
        pairs = [
            (
                "federation",
                FEDERATION.index(looser.federation),
                FEDERATION.index(stricter.federation),
            ),
            (
                "history_visibility",
                HISTORY.index(looser.history_visibility),
                HISTORY.index(stricter.history_visibility),
            ),
            ("encryption_required", -looser.encryption_required, -stricter.encryption_required),
            ("publish", looser.publish, stricter.publish),
            ("guests", looser.guests, stricter.guests),
            ("media.max_bytes", looser.media.max_bytes, stricter.media.max_bytes),
            ("card.subject", looser.card.subject, stricter.card.subject),
            ("card.remarks", looser.card.remarks, stricter.card.remarks),
            ("card.attachments", looser.card.attachments, stricter.card.attachments),
            ("card.decide", DECIDE.index(looser.card.decide), DECIDE.index(stricter.card.decide)),
        ]
        for field, below, above in pairs:
            if above > below:
                yield Fault(
                    f"classes.{name}.{field}",
                    "is looser than in the class below it.",
                    "A stricter class may never allow more; tighten it here or loosen it below.",
                )


def _twice(organisations: list[tuple[int, OrganisationEntry]]) -> Iterator[Fault]:
    codes = Counter(entry.code for _, entry in organisations)
    servers = Counter(entry.server.name for _, entry in organisations if entry.server)
    for at, entry in organisations:
        if codes[entry.code] > 1:
            yield Fault(
                f"organisations[{at}].code",
                f"{entry.code} stands in the registry more than once.",
                "Keep one entry; write what changed under its `changes`.",
            )
        if entry.server and servers[entry.server.name] > 1:
            yield Fault(
                f"organisations[{at}].server.name",
                f"{entry.server.name} belongs to more than one organisation.",
                "One server, one organisation; user ids are never handed over.",
            )


def _organisation(
    path: str, entry: OrganisationEntry, codes: set[str], entries: Mapping[str, OrganisationEntry]
) -> Iterator[Fault]:
    last = entry.from_
    steps: list[tuple[str, datetime, OrganisationEntry | Change]] = [(path, entry.from_, entry)]
    for at, change in enumerate(entry.changes):
        here = f"{path}.changes[{at}]"
        if change.from_ <= last:
            yield Fault(f"{here}.from", "is not after the one before.", "Put changes in order.")
        last = max(last, change.from_)
        steps.append((here, change.from_, change))
    for here, when, step in steps:
        named = [("parent", (step.parent,) if step.parent else ()), ("successors", step.successors)]
        for field, references in named:
            yield from (
                _unknown(f"{here}.{field}", code) for code in references if code not in codes
            )
        state = state_at(entry, when)
        if state and state.successors and state.status != "retired":
            yield Fault(
                f"{here}.successors",
                f"are named, but {entry.code} is {state.status} then.",
                "Only a retired organisation has successors; set `status: retired`.",
            )
        if step.parent and _returns(entry.code, when, entries, "parent"):
            yield Fault(
                f"{here}.parent", f"puts {entry.code} under itself.", "Break the circle of parents."
            )
        if step.successors and _returns(entry.code, when, entries, "successor"):
            yield Fault(f"{here}.successors", f"lead back to {entry.code}.", "Break the circle.")


def _returns(code: str, when: datetime, entries: Mapping[str, OrganisationEntry], by: str) -> bool:
    # A circle closes at the start of its youngest link: looking from there is enough.
    at: str | None = code
    for _ in range(len(entries) + 1):
        entry = entries.get(at) if at else None
        state = state_at(entry, when) if entry else None
        if state is None:
            return False
        at = state.parent if by == "parent" else next(iter(state.successors), None)
        if at == code:
            return True
    return False


def _permit(path: str, permit: Permit, found: Sections) -> Iterator[Fault]:
    parties: Iterable[tuple[str, str]] = (
        ("origin", permit.origin),
        ("destination", permit.destination),
    )
    for field, party in parties:
        if party not in found.known_codes and party not in found.groups:
            yield _unknown(f"{path}.{field}", party)
    if permit.until <= permit.from_:
        yield Fault(f"{path}.until", "is not after `from`.", "Put the dates in order.")
    rule = getattr(found.classes, permit.max_class, None) if found.classes else None
    if rule is not None and rule.federation == "none":
        yield Fault(
            f"{path}.max_class",
            f"is {permit.max_class}, which never leaves its server; the permit would be void.",
            "Lower `max_class`.",
        )


def _unknown(path: str, name: str) -> Fault:
    return Fault(
        path,
        f"{name} stands in no registry entry or group.",
        "Mend the name, or add the organisation or group.",
    )
