"""The pages: sign in, inbox, a file, a new file, the register of charges."""

import asyncio
from datetime import UTC, datetime
from typing import Any, NoReturn
from urllib.parse import quote
from zoneinfo import ZoneInfo

from aiohttp import web

from rabta_contract import ChargeKind, Grade, Priority, Purpose
from rabta_eoffice.acts import Act, Verb
from rabta_eoffice.desk import NewFile
from rabta_eoffice.documents import NewDocument
from rabta_eoffice.records import HeldCharge
from rabta_eoffice.rules import Reason, Refused
from rabta_eoffice.sessions import TooManyAttemptsError
from rabta_eoffice.web import documents, views
from rabta_eoffice.web.api import status_of
from rabta_eoffice.web.guard import FORM_TOKEN, set_cookie
from rabta_eoffice.web.keys import OFFICE, VISITOR

ZONE = ZoneInfo("Asia/Karachi")
# A return goes by its own button; a reference to another Division is not built here.
_PURPOSES = [purpose for purpose in Purpose if purpose not in {Purpose.RETURN, Purpose.REFER}]


def routes() -> list[web.RouteDef]:
    """The pages' addresses."""
    return [
        web.get("/", inbox),
        web.get("/sign-in", show_sign_in),
        web.post("/sign-in", sign_in),
        web.post("/sign-out", sign_out),
        web.get("/files/new", show_new_file),
        web.post("/files/new", open_file),
        web.get("/f/{file_id}", show_file),
        web.post("/f/{file_id}/documents", attach_document),
        web.get("/f/{file_id}/documents/{doc_id}", documents.show),
        web.post("/f/{file_id}/{verb}", act_on_file),
        web.get("/charges", show_charges),
        web.post("/charges", assume),
        web.post("/charges/{charge_id:[0-9]{1,9}}/relinquish", relinquish),
    ]


async def show_sign_in(request: web.Request) -> web.Response:
    """The sign-in form."""
    return page(request, "sign_in.html", next=_local(request.query.get("next", "/")), problem=None)


async def sign_in(request: web.Request) -> web.Response:
    """Begin a session under a new token, so that nobody can plant one beforehand."""
    office = request.app[OFFICE]
    form = await _form(request)
    goal = _local(form.get("next", "/"))
    try:
        token = await asyncio.to_thread(
            office.sessions.sign_in, form.get("person_id", "").strip(), form.get("password", "")
        )
    except TooManyAttemptsError:
        problem = "Too many wrong passwords. Wait five minutes."
        return page(request, "sign_in.html", status=429, next=goal, problem=problem)
    if token is None:
        problem = "Person or password is wrong."
        return page(request, "sign_in.html", status=401, next=goal, problem=problem)
    response = web.Response(status=303, headers={"Location": goal})
    set_cookie(response, token, secure=office.secure_cookies)
    return response


async def sign_out(request: web.Request) -> NoReturn:
    """End the session."""
    office = request.app[OFFICE]
    await asyncio.to_thread(office.sessions.sign_out, request[VISITOR].token)
    raise web.HTTPSeeOther("/sign-in")


async def inbox(request: web.Request) -> web.Response:
    """Files that are with my posts, and those that I sent away."""
    person = _signed_in(request)
    shown = await asyncio.to_thread(views.inbox, request.app[OFFICE].desk, person)
    return page(request, "inbox.html", inbox=shown, names=shown.names)


async def show_new_file(request: web.Request) -> web.Response:
    """The form that opens a file."""
    return await _new_file_page(request)


async def open_file(request: web.Request) -> web.Response:
    """Open a file and go to it."""
    person = _signed_in(request)
    office = request.app[OFFICE]
    form = await _form(request)
    try:
        wanted = NewFile(
            file_no=form.get("file_no", ""),
            subject=form.get("subject", ""),
            post_id=form.get("post_id", ""),
            grade=Grade(form.get("classification", "")),
            priority=Priority(form.get("priority", "")),
            section=form.get("section") or None,
            certificate_required="certificate_required" in form,
            note=form.get("note", ""),
        )
    except ValueError:
        raise web.HTTPBadRequest(text="no such grade or priority") from None
    opened = await asyncio.to_thread(office.desk.open_file, wanted, person)
    if isinstance(opened, Refused):
        return await _new_file_page(request, refused=opened)
    raise web.HTTPSeeOther(f"/f/{opened.file_id}")


async def show_file(request: web.Request) -> web.Response:
    """One file. Opened by the post that has it, it counts as received."""
    person = _signed_in(request)
    office = request.app[OFFICE]
    file_id = request.match_info["file_id"]
    shown = await asyncio.to_thread(views.file_view, office.desk, file_id, person)
    if shown is not None and shown.charge is not None and not shown.file.received:
        actor = (person, shown.file.holder)
        await asyncio.to_thread(office.desk.act, file_id, actor, Act(Verb.RECEIVE))
        shown = await asyncio.to_thread(views.file_view, office.desk, file_id, person)
    return await _file_page(request, shown)


async def act_on_file(request: web.Request) -> web.Response:
    """Do what one of the file page's buttons says."""
    person = _signed_in(request)
    office = request.app[OFFICE]
    file_id = request.match_info["file_id"]
    form = await _form(request)
    movement = form.get("movement_no", "")
    try:
        act = Act(
            verb=Verb(request.match_info["verb"]),
            to_post=form.get("to_post", ""),
            purpose=Purpose(form["purpose"]) if form.get("purpose") else None,
            note=form.get("note", ""),
            remarks=form.get("remarks", ""),
            movement_no=int(movement) if movement else None,
        )
    except ValueError:
        raise web.HTTPBadRequest(text="no such act") from None
    actor = (person, form.get("post_id", ""))
    done = await asyncio.to_thread(office.desk.act, file_id, actor, act)
    if isinstance(done, Refused):
        shown = await asyncio.to_thread(views.file_view, office.desk, file_id, person)
        return await _file_page(request, shown, refused=done)
    raise web.HTTPSeeOther(f"/f/{quote(file_id)}")


async def attach_document(request: web.Request) -> web.Response:
    """Put a document on the file, as the post that has it."""
    person = _signed_in(request)
    office = request.app[OFFICE]
    file_id = request.match_info["file_id"]
    form = await request.post()
    given = form.get("document")
    if not isinstance(given, web.FileField):
        raise web.HTTPBadRequest(text="choose a document")
    content = await asyncio.to_thread(given.file.read)
    new = NewDocument(given.filename, given.content_type, content)
    actor = (person, str(form.get("post_id", "")))
    done = await asyncio.to_thread(office.desk.attach, file_id, actor, new)
    if isinstance(done, Refused):
        shown = await asyncio.to_thread(views.file_view, office.desk, file_id, person)
        return await _file_page(request, shown, refused=done)
    raise web.HTTPSeeOther(f"/f/{quote(file_id)}#documents")


async def show_charges(request: web.Request) -> web.Response:
    """The register of charges."""
    return await _charges_page(request)


async def assume(request: web.Request) -> web.Response:
    """Post a person."""
    person = _signed_in(request)
    form = await _form(request)
    try:
        wanted = HeldCharge(
            0,
            form.get("post_id", ""),
            form.get("person_id", ""),
            ChargeKind(form.get("kind", "")),
            _moment(form.get("from", "")) or request.app[OFFICE].desk.clock(),
            _moment(form.get("until", "")),
            form.get("order_no") or None,
        )
    except ValueError:
        fault = Refused(Reason.MALFORMED, "a kind or a date is not one")
        return await _charges_page(request, refused=fault)
    by = (person, form.get("by_post", ""))
    made = await asyncio.to_thread(request.app[OFFICE].establishment.assume, by, wanted)
    if isinstance(made, Refused):
        return await _charges_page(request, refused=made)
    raise web.HTTPSeeOther("/charges")


async def relinquish(request: web.Request) -> web.Response:
    """End a charge now."""
    person = _signed_in(request)
    form = await _form(request)
    by = (person, form.get("by_post", ""))
    ended = await asyncio.to_thread(
        request.app[OFFICE].establishment.relinquish, by, int(request.match_info["charge_id"])
    )
    if isinstance(ended, Refused):
        return await _charges_page(request, refused=ended)
    raise web.HTTPSeeOther("/charges")


def page(request: web.Request, template: str, *, status: int = 200, **shown: Any) -> web.Response:
    """Render a template with what every page needs."""
    office = request.app[OFFICE]
    known = request[VISITOR]
    text = office.templates.get_template(template).render(
        org=office.desk.org,
        person_id=known.person_id,
        form_token_name=FORM_TOKEN,
        form_token=office.sessions.form_token(known.token),
        **shown,
    )
    return web.Response(text=text, status=status, content_type="text/html")


def local_time(moment: datetime | None) -> str:
    """A moment as offices in Pakistan write it."""
    return "" if moment is None else moment.astimezone(ZONE).strftime("%d %b %Y, %H:%M")


def size_in_words(size: int) -> str:
    """A number of bytes as people read it."""
    kilobytes = size / 1024
    return f"{size} B" if kilobytes < 1 else f"{kilobytes:.0f} KB"


async def _file_page(
    request: web.Request, shown: views.FileView | None, refused: Refused | None = None
) -> web.Response:
    if shown is None:
        return page(request, "missing.html", status=404)
    return page(
        request,
        "file.html",
        status=200 if refused is None else status_of(refused.reason),
        view=shown,
        names=shown.names,
        file=shown.file,
        purposes=_PURPOSES,
        refused=refused,
    )


async def _new_file_page(request: web.Request, refused: Refused | None = None) -> web.Response:
    person = _signed_in(request)
    shown = await asyncio.to_thread(views.inbox, request.app[OFFICE].desk, person)
    return page(
        request,
        "new_file.html",
        status=200 if refused is None else status_of(refused.reason),
        inbox=shown,
        names=shown.names,
        grades=list(Grade),
        priorities=list(Priority),
        refused=refused,
    )


async def _charges_page(request: web.Request, refused: Refused | None = None) -> web.Response:
    person = _signed_in(request)
    shown = await asyncio.to_thread(views.register, request.app[OFFICE].desk, person)
    return page(
        request,
        "charges.html",
        status=200 if refused is None else status_of(refused.reason),
        register=shown,
        names=shown.names,
        kinds=list(ChargeKind),
        refused=refused,
    )


def _signed_in(request: web.Request) -> str:
    person = request[VISITOR].person_id
    if person is None:
        raise web.HTTPSeeOther(f"/sign-in?next={quote(request.path)}")
    return person


async def _form(request: web.Request) -> dict[str, str]:
    form = await request.post()
    return {name: value for name, value in form.items() if isinstance(value, str)}


def _local(goal: str) -> str:
    """A path of our own, never another site: a second slash of either kind leads away."""
    away = not goal.startswith("/") or goal[1:2] in {"/", "\\"}
    return "/" if away or not goal.isprintable() else goal


def _moment(text: str) -> datetime | None:
    """What a `datetime-local` field gives, in Pakistan's time."""
    return datetime.fromisoformat(text).replace(tzinfo=ZONE).astimezone(UTC) if text else None
