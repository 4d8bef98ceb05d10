"""What every request passes: security headers, the visitor's cookie, the token of a form."""

import asyncio
import re
from collections.abc import Awaitable, Callable

from aiohttp import web

from rabta_eoffice.documents import LARGEST
from rabta_eoffice.sessions import Visitor, new_token
from rabta_eoffice.web.keys import OFFICE, VISITOR

COOKIE = "eoffice"
FORM_TOKEN = "form_token"  # noqa: S105 - the name of a field

# The one form that carries a document.
_UPLOAD = re.compile(r"/f/[^/]+/documents")
_FORM_AROUND = 64 * 1024

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# Addresses of machines: they carry their own credentials and never a cookie.
_MACHINES = ("/events", "/commands", "/documents", "/api/", "/health", "/static/", "/favicon.ico")

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@web.middleware
async def headers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Put the security headers on every answer, errors included."""
    try:
        response = await handler(request)
    except web.HTTPException as error:
        error.headers.update(_HEADERS)
        raise
    response.headers.update(_HEADERS)
    return response


@web.middleware
async def visitor(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Say who asks, and let no form through that does not come from our own page."""
    if request.path.startswith(_MACHINES):
        return await handler(request)
    if not _UPLOAD.fullmatch(request.path):
        return await _visited(request, handler)
    larger = request.clone(client_max_size=LARGEST + _FORM_AROUND)
    try:
        return await _visited(larger, handler)
    finally:
        # aiohttp closes what the request it made has read, not what its clone has.
        for field in (await larger.post()).values():
            if isinstance(field, web.FileField):
                field.file.close()


async def _visited(request: web.Request, handler: Handler) -> web.StreamResponse:
    office = request.app[OFFICE]
    offered = request.cookies.get(COOKIE, "")
    person = await asyncio.to_thread(office.sessions.person, offered) if offered else None
    known = Visitor(offered or new_token(), person)
    request[VISITOR] = known
    if request.method == "POST":
        form = await request.post()
        token = form.get(FORM_TOKEN, "")
        if not isinstance(token, str) or not office.sessions.form_token_matches(known.token, token):
            raise web.HTTPForbidden(text="This form is not from this page. Go back and reload.")
    try:
        response = await handler(request)
    except web.HTTPException as redirect:
        if not offered:
            set_cookie(redirect, known.token, secure=office.secure_cookies)
        raise
    if not offered and COOKIE not in response.cookies:
        set_cookie(response, known.token, secure=office.secure_cookies)
    return response


def set_cookie(response: web.StreamResponse, token: str, *, secure: bool) -> None:
    """Give the visitor a token that scripts cannot read and other sites cannot send."""
    response.set_cookie(COOKIE, token, httponly=True, samesite="Lax", secure=secure, path="/")
