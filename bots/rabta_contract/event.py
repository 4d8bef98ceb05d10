"""Values of one e-Office event: who did what to which paper, addressed to which posts.

Built by `rabta_contract.parsing` from checked documents, or by a sender from its own facts.
Unknown fields are kept in `model_extra`, as CloudEvents asks.
"""

from datetime import date, datetime
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from rabta_contract.vocabulary import (
    ChargeKind,
    DeadlineKind,
    DeadlineLevel,
    DecisionOutcome,
    EventType,
    FileStatus,
    Grade,
    Priority,
    Purpose,
    SignatureKind,
)

# What a 64-bit signed column holds.
MAX_SEQUENCE = 2**63 - 1


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow", populate_by_name=True)


class Post(_Part):
    """A post of an organisation, not the person in it. `reports_to` is its superior post."""

    post_id: str
    designation: str
    designation_ur: str | None = None
    org: str
    wing: str | None = None
    section: str | None = None
    bps: int | None = None
    reports_to: str | None = None


class Party(_Part):
    """The post that acted, and where known the person in it."""

    post: Post
    person_id: str | None = None
    person_name: str | None = None
    charge: ChargeKind | None = None


class File(_Part):
    """A case file. `file_no` is free text and never parsed."""

    file_id: str
    file_no: str
    subject: str | None = None
    part: str | None = None
    volume: str | None = None
    owner_org: str
    section: str | None = None
    status: FileStatus | None = None
    note_para: int | None = None
    page: str | None = None
    puc: str | None = None
    flags: tuple[str, ...] | None = None
    linked: tuple[str, ...] | None = None
    record_category: str | None = None


class Receipt(_Part):
    """An incoming paper (dak) under its diary number."""

    receipt_id: str
    diary_no: str
    diary_date: date
    subject: str | None = None
    sender: str | None = None
    sender_ref: str | None = None
    letter_date: date | None = None
    form: str | None = None
    mode: str | None = None
    file_id: str | None = None


class Draft(_Part):
    """A draft for approval (DFA)."""

    draft_id: str
    file_id: str
    version: int
    form: str | None = None
    addressees: tuple[str, ...] | None = None


class Dispatch(_Part):
    """An issued paper under its dispatch number."""

    dispatch_id: str
    dispatch_no: str
    form: str
    addressees: tuple[str, ...] | None = None
    mode: str | None = None
    issued_on: date | None = None


class Movement(_Part):
    """One step of a file or receipt from a post to posts; `movement_no` rises by one per step."""

    from_: Post = Field(alias="from")
    to: tuple[Post, ...]
    cc: tuple[Post, ...] | None = None
    purpose: Purpose
    movement_no: int
    remarks: str | None = None


class Decision(_Part):
    """What was decided, and the note paragraph (n/N) that records it."""

    outcome: DecisionOutcome
    note_para: int
    signature: SignatureKind | None = None
    remarks: str | None = None


class Deadline(_Part):
    """By when, and how near it is."""

    kind: DeadlineKind
    due: AwareDatetime
    elapsed_ratio: float | None = None
    level: DeadlineLevel | None = None
    escalate_to: Post | None = None


class Charge(_Part):
    """A person's dated hold on a post. `until` None is open-ended."""

    post: Post
    person_id: str
    kind: ChargeKind
    from_: AwareDatetime = Field(alias="from")
    until: AwareDatetime | None = None
    order_no: str | None = None
    may_decide: bool | None = None

    @property
    def decides(self) -> bool:
        """Whether the holder may decide: both the kind and the order must let it."""
        return self.kind.may_decide and self.may_decide is not False

    def covers(self, now: datetime) -> bool:
        """Whether the charge is held at `now` (from inclusive, until exclusive)."""
        return self.from_ <= now and (self.until is None or now < self.until)


class Document(_Part):
    """An attachment by reference; `size` in bytes."""

    doc_id: str
    name: str
    media_type: str
    size: int
    sha256: str
    href: str | None = None
    page: str | None = None
    flag: str | None = None


class Link(_Part):
    """A link into e-Office, such as `rel` "open"."""

    rel: str
    href: str

    @property
    def leads_to_web(self) -> bool:
        """Whether it may be shown as a link at all: `javascript:` and friends may not."""
        return self.href.lower().startswith(("https://", "http://")) and not any(
            character.isspace() for character in self.href
        )


class SourceState(_Part):
    """Health of the source: how far it has sent, or what a gap lacks."""

    last_sequence: str | None = None
    missing_from: str | None = None
    missing_to: str | None = None


class EventData(_Part):
    """The payload: always who, how secret and how urgent; then the papers concerned."""

    actor: Party
    on_behalf_of: Post | None = None
    classification: Grade
    priority: Priority
    file: File | None = None
    receipt: Receipt | None = None
    draft: Draft | None = None
    dispatch: Dispatch | None = None
    movement: Movement | None = None
    decision: Decision | None = None
    deadline: Deadline | None = None
    charge: Charge | None = None
    source: SourceState | None = None
    documents: tuple[Document, ...] | None = None
    links: tuple[Link, ...] | None = None


class Event(_Part):
    """One CloudEvent of the contract. `sequence` keeps the spelling of the source."""

    specversion: str = "1.0"
    id: str
    source: str
    type: str
    subject: str
    time: AwareDatetime
    datacontenttype: str = "application/json"
    dataschema: str | None = None
    sequence: str
    traceparent: str | None = None
    data: EventData

    @property
    def kind(self) -> EventType | None:
        """The known type, or None for one that this contract does not know: ignore and audit."""
        return EventType(self.type) if self.type in _KNOWN_TYPES else None

    @property
    def org(self) -> str:
        """Code of the organisation that sends (`/eoffice/ITT` -> `ITT`)."""
        return self.source.rpartition("/")[2]

    @property
    def sequence_no(self) -> int:
        """The sequence as a number, at most `MAX_SEQUENCE`."""
        return int(self.sequence)

    @property
    def file_id(self) -> str | None:
        """The file whose order this event belongs to, if any."""
        if self.data.file is not None:
            return self.data.file.file_id
        if self.data.draft is not None:
            return self.data.draft.file_id
        return self.data.receipt.file_id if self.data.receipt is not None else None

    def document(self) -> dict[str, Any]:
        """The event as a JSON document; fields that were absent stay absent."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


_KNOWN_TYPES = frozenset(EventType)
