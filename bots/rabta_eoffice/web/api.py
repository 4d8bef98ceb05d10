"""A small JSON API over the same acts as the pages, for tests, the demo and scripts.

`GET /api/files/<id>` takes the feed token or a person's session; everything else is done as
the person whose session token (`POST /api/session`) is the bearer.
"""

import asyncio
from typing import Annotated, Any, Literal, TypeVar

from aiohttp import web
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from rabta_contract import (
    ChargeKind,
    ContractError,
    Deadline,
    EventType,
    Grade,
    Priority,
    Purpose,
    command_status,
    error_body,
)
from rabta_contract.answers import CommandReason
from rabta_contract.event import Dispatch, Draft, Receipt
from rabta_contract.parsing import model_faults
from rabta_contract.wire_json import read
from rabta_eoffice import records, tables
from rabta_eoffice.acts import Act, Verb
from rabta_eoffice.desk import NewFile
from rabta_eoffice.documents import KeptDocument, documents_of
from rabta_eoffice.entries import Entry
from rabta_eoffice.records import HeldCharge
from rabta_eoffice.rules import CaseFile, Reason, Refused
from rabta_eoffice.sessions import TooManyAttemptsError
from rabta_eoffice.tables import reading
from rabta_eoffice.web import documents
from rabta_eoffice.web.contract import bearer, bearer_matches, refusal
from rabta_eoffice.web.keys import OFFICE, Office

# The contract's statuses, and those of reasons that only people meet.
_STATUS = {
    Reason.UNKNOWN_PERSON: 404,
    Reason.UNKNOWN_CHARGE: 404,
    Reason.SAME_POST: 400,
    Reason.NOT_PUT_UP: 409,
    Reason.ALREADY_RECEIVED: 409,
    Reason.NOT_THE_SENDER: 403,
    Reason.NOT_ESTABLISHMENT: 403,
    Reason.CHARGE_OVERLAPS: 409,
    Reason.CHARGE_ENDED: 409,
    Reason.WRONG_STATUS: 409,
}


Body = TypeVar("Body", bound=BaseModel)


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _SignIn(_Body):
    person_id: str
    password: str


class _NewFile(_Body):
    post_id: str
    file_no: str
    subject: str
    classification: Grade = Grade.UNCLASSIFIED
    priority: Priority = Priority.ROUTINE
    section: str | None = None
    certificate_required: bool = False
    note: str = ""


class _Act(_Body):
    post_id: str
    to_post: str = ""
    purpose: Purpose | None = None
    note: Annotated[str, Field(max_length=20_000)] = ""
    remarks: Annotated[str, Field(max_length=2000)] = ""
    movement_no: Annotated[int, Field(ge=0, strict=True)] | None = None


class _Assume(_Body):
    by_post: str
    post_id: str
    person_id: str
    kind: ChargeKind
    from_: AwareDatetime = Field(alias="from")
    until: AwareDatetime | None = None
    order_no: str | None = None


class _Entry(_Body):
    post_id: str
    type: str
    file_id: str | None = None
    to_post: str | None = None
    purpose: Purpose = Purpose.FORWARD
    remarks: Annotated[str, Field(max_length=2000)] | None = None
    classification: Grade | None = None
    priority: Priority | None = None
    part: str | None = None
    volume: str | None = None
    linked: tuple[str, ...] | None = None
    record_category: Literal["A", "B", "C", "D"] | None = None
    receipt: Receipt | None = None
    draft: Draft | None = None
    dispatch: Dispatch | None = None
    deadline: Deadline | None = None


class _Relinquish(_Body):
    by_post: str


def status_of(reason: Reason) -> int:
    """The HTTP status of a refusal to a person."""
    return _STATUS.get(reason) or command_status(CommandReason(reason.value))


def routes() -> list[web.RouteDef]:
    """The API's addresses."""
    return [
        web.post("/api/session", sign_in),
        web.get("/api/files/{file_id}", show_file),
        web.post("/api/files", open_file),
        web.post("/api/files/{file_id}/documents", attach_document),
        web.post("/api/files/{file_id}/{verb}", act_on_file),
        web.post("/api/entries", enter),
        web.get("/api/charges", show_charges),
        web.post("/api/charges", assume),
        web.post("/api/charges/{charge_id:[0-9]{1,9}}/relinquish", relinquish),
    ]


async def sign_in(request: web.Request) -> web.Response:
    """Give a session token for a person's password."""
    office = request.app[OFFICE]
    wanted = await _body(request, _SignIn)
    try:
        token = await asyncio.to_thread(office.sessions.sign_in, wanted.person_id, wanted.password)
    except TooManyAttemptsError:
        return refusal(429, "too-many-attempts", "wait five minutes")
    if token is None:
        return refusal(401, "wrong-password", "person or password is wrong")
    return web.json_response({"token": token})


async def show_file(request: web.Request) -> web.Response:
    """The file's state, its movements and its ledger of decisions; never subject or notes."""
    office = request.app[OFFICE]
    if not bearer_matches(request, office.feed_token):
        await _person(request)
    file_id = request.match_info["file_id"]
    document = await asyncio.to_thread(_file_document, office, file_id)
    if document is None:
        return refusal(404, Reason.UNKNOWN_FILE, "no such file")
    return web.json_response(document)


async def open_file(request: web.Request) -> web.Response:
    """Open a file."""
    office = request.app[OFFICE]
    person = await _person(request)
    wanted = await _body(request, _NewFile)
    new = NewFile(
        file_no=wanted.file_no,
        subject=wanted.subject,
        post_id=wanted.post_id,
        grade=wanted.classification,
        priority=wanted.priority,
        section=wanted.section,
        certificate_required=wanted.certificate_required,
        note=wanted.note,
    )
    opened = await asyncio.to_thread(office.desk.open_file, new, person)
    return _answer(opened, 201)


async def act_on_file(request: web.Request) -> web.Response:
    """Do one act: put-up, mark, return, approve, not-approve, seen, discuss, and so on."""
    office = request.app[OFFICE]
    person = await _person(request)
    if request.match_info["verb"] not in set(Verb):
        return refusal(404, "unknown-act", "one of " + ", ".join(Verb))
    wanted = await _body(request, _Act)
    act = Act(
        verb=Verb(request.match_info["verb"]),
        to_post=wanted.to_post,
        purpose=wanted.purpose,
        note=wanted.note,
        remarks=wanted.remarks,
        movement_no=wanted.movement_no,
    )
    done = await asyncio.to_thread(
        office.desk.act, request.match_info["file_id"], (person, wanted.post_id), act
    )
    return _answer(done, 200)


async def attach_document(request: web.Request) -> web.Response:
    """Put a document on a file: the raw body, `?post_id=` and `?name=`."""
    person = await _person(request)
    done = await documents.attach(request, person)
    if isinstance(done, Refused):
        return refusal(status_of(done.reason), done.reason, done.detail)
    return web.json_response(_document(done), status=201)


async def enter(request: web.Request) -> web.Response:
    """Make an entry in a register: a receipt, a draft, a dispatch, the life of a file."""
    office = request.app[OFFICE]
    person = await _person(request)
    wanted = await _body(request, _Entry)
    kind = f"eoffice.{wanted.type}.v1"
    if kind not in set(EventType):
        return refusal(404, "unknown-type", "write it as draft.submitted")
    given = {name: getattr(wanted, name) for name in wanted.model_fields_set}
    about = {name: value for name, value in given.items() if name in _ENTRY_FIELDS}
    entry = Entry(kind=EventType(kind), grade=wanted.classification, **about)
    try:
        told = await asyncio.to_thread(office.desk.enter, (person, wanted.post_id), entry)
    except ContractError as error:
        return refusal(400, Reason.MALFORMED, error.detail)
    if isinstance(told, Refused):
        return refusal(status_of(told.reason), told.reason, told.detail)
    return web.json_response({"event_id": told.id, "sequence": told.sequence}, status=201)


_ENTRY_FIELDS = frozenset(Entry.__slots__) - {"kind", "grade"}


async def show_charges(request: web.Request) -> web.Response:
    """The register of charges."""
    office = request.app[OFFICE]
    await _person(request)

    def gather() -> list[HeldCharge]:
        with reading(office.desk.engine) as connection:
            return records.all_charges(connection)

    found = await asyncio.to_thread(gather)
    return web.json_response([_charge_document(charge) for charge in found])


async def assume(request: web.Request) -> web.Response:
    """Post a person, as an Establishment post."""
    office = request.app[OFFICE]
    person = await _person(request)
    wanted = await _body(request, _Assume)
    charge = HeldCharge(
        0,
        wanted.post_id,
        wanted.person_id,
        wanted.kind,
        wanted.from_,
        wanted.until,
        wanted.order_no,
    )
    made = await asyncio.to_thread(office.establishment.assume, (person, wanted.by_post), charge)
    return _answer(made, 201)


async def relinquish(request: web.Request) -> web.Response:
    """End a charge now, as an Establishment post."""
    office = request.app[OFFICE]
    person = await _person(request)
    wanted = await _body(request, _Relinquish)
    charge_id = int(request.match_info["charge_id"])
    ended = await asyncio.to_thread(
        office.establishment.relinquish, (person, wanted.by_post), charge_id
    )
    return _answer(ended, 200)


async def _person(request: web.Request) -> str:
    office = request.app[OFFICE]
    person = await asyncio.to_thread(office.sessions.person, bearer(request))
    if person is None:
        raise web.HTTPUnauthorized(
            text='{"reason":"bad-token","detail":"sign in first"}',
            content_type="application/json",
        )
    return person


async def _body(request: web.Request, model: type[Body]) -> Body:
    try:
        return model.model_validate(read(await request.read(), "malformed"))
    except ValidationError as error:
        fault = ContractError("malformed", model_faults(error))
    except ContractError as error:
        fault = error
    raise web.HTTPBadRequest(
        text=error_body(fault.reason, fault.detail).decode(), content_type="application/json"
    )


def _answer(done: CaseFile | HeldCharge | Refused, status: int) -> web.Response:
    if isinstance(done, Refused):
        return refusal(status_of(done.reason), done.reason, done.detail)
    if isinstance(done, HeldCharge):
        return web.json_response(_charge_document(done), status=status)
    return web.json_response(_state(done), status=status)


def _state(file: CaseFile) -> dict[str, Any]:
    return {
        "file_id": file.file_id,
        "file_no": file.file_no,
        "classification": file.grade,
        "priority": file.priority,
        "status": file.status,
        "initiator": file.initiator,
        "holder": file.holder,
        "received": file.received,
        "movement_no": file.movement_no,
        "note_para": file.note_para,
        "certificate_required": file.certificate_required,
    }


def _document(kept: KeptDocument) -> dict[str, Any]:
    return {
        "doc_id": kept.doc_id,
        "name": kept.name,
        "media_type": kept.media_type,
        "size": kept.size,
        "sha256": kept.sha256,
        "post_id": kept.post_id,
        "person_id": kept.person_id,
        "channel": kept.channel,
        "time": kept.added_at.isoformat(),
    }


def _charge_document(charge: HeldCharge) -> dict[str, Any]:
    return {
        "charge_id": charge.charge_id,
        "post_id": charge.post_id,
        "person_id": charge.person_id,
        "kind": charge.kind,
        "from": charge.held_from.isoformat(),
        "until": None if charge.held_until is None else charge.held_until.isoformat(),
        "order_no": charge.order_no,
    }


def _file_document(office: Office, file_id: str) -> dict[str, Any] | None:
    with reading(office.desk.engine) as connection:
        file = records.find_file(connection, file_id)
        if file is None:
            return None
        movements = records.rows_of(connection, tables.movements, file_id)
        decisions = records.rows_of(connection, tables.decisions, file_id)
        kept = documents_of(connection, file_id)
    return {
        **_state(file),
        "documents": [_document(document) for document in kept],
        "movements": [
            {
                "movement_no": row.number,
                "from": row.from_post,
                "to": row.to_post,
                "purpose": row.purpose,
                "time": row.moved_at.isoformat(),
            }
            for row in movements
        ],
        "decisions": [
            {
                "outcome": row.outcome,
                "movement_no": row.movement_no,
                "note_para": row.note_para,
                "post_id": row.post_id,
                "person_id": row.person_id,
                "charge": row.charge,
                "channel": row.channel,
                "command_id": row.command_id,
                "matrix_user": row.matrix_user,
                "time": row.decided_at.isoformat(),
            }
            for row in decisions
        ],
    }
