"""The door of the staff service: SCIM for whoever shows a token, the list for the operator.

It knows HTTP and tokens; the protocol is scim2-server's, what it does is the register's.
"""

import asyncio
import hmac
import json
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from scim2_models import PayloadTooLargeException, SCIMException, UnauthorizedException
from scim2_server.handler import ScimHandler
from scim2_server.requests import ScimRequest
from scim2_server.responses import ScimResponse
from scim2_server.service import ScimService

from rabta_contract.secrets_file import SecretError, load_token
from rabta_staff.auditing import CLIENT, Audit
from rabta_staff.carrying import Carrier
from rabta_staff.faults import Fault, StaffError
from rabta_staff.homeserver import HomeserverError
from rabta_staff.importing import LARGEST, carry_out
from rabta_staff.notes import Note
from rabta_staff.people import number_of
from rabta_staff.register import Register
from rabta_staff.settings import Settings
from rabta_staff.shapes import provider

log = structlog.get_logger("rabta.staff")

BASE = "/scim/v2"
TOKEN_REFUSED, REQUEST_REFUSED = "token-refused", "request-refused"
_LARGEST_BODY = 1024 * 1024
_OPERATOR = "operator"


class Door:
    """What the service answers.

    Args:
        settings: The service's.
        register: The register.
        carrier: Woken after each change; its faults are told.
        audit: Told of each refusal.
    """

    def __init__(
        self, settings: Settings, register: Register, carrier: Carrier, audit: Audit
    ) -> None:
        self._settings = settings
        self._register = register
        self._carrier = carrier
        self._audit = audit
        self._service = ScimService(provider())
        self._handler = ScimHandler(self._service, register)
        self._metrics = CollectorRegistry()
        self._refused = Counter(
            "rabta_staff_refused", "Requests refused.", ["reason"], registry=self._metrics
        )
        due = Gauge("rabta_staff_due", "Accounts to be carried.", registry=self._metrics)
        due.set_function(lambda: len(register.due()))
        faults = Gauge("rabta_staff_faults", "Accounts that fail.", registry=self._metrics)
        faults.set_function(lambda: len(carrier.faults))

    def app(self) -> web.Application:
        """The application."""
        app = web.Application(client_max_size=LARGEST)
        app.router.add_get("/health", self._health)
        app.router.add_get("/metrics", self._tell_metrics)
        app.router.add_post("/import", self._import)
        app.router.add_post("/password", self._password)
        app.router.add_route("*", f"{BASE}{{path:(?:/.*)?}}", self._scim)
        return app

    # -- SCIM --------------------------------------------------------------------------------

    async def _scim(self, request: web.Request) -> web.Response:
        try:
            self._let_in(request)
            told = await asyncio.to_thread(self._handler.handle, await self._read(request))
        except Exception as error:
            if not isinstance(error, SCIMException):
                log.exception("request-failed")
            told = self._service.error_response(error)
            self._note(told, error)
        self._carrier.wake()
        body = None if told.body is None else json.dumps(told.body).encode()
        headers = dict(told.headers)
        if body is None:
            headers.pop("Content-Type", None)
        return web.Response(status=told.status, headers=headers, body=body)

    def _let_in(self, request: web.Request) -> None:
        CLIENT.set(_who(request, self._settings.token_files))
        if CLIENT.get() is None:
            raise UnauthorizedException(detail="Show a bearer token that is in force")

    async def _read(self, request: web.Request) -> ScimRequest:
        body = await request.content.read(_LARGEST_BODY + 1)
        while len(body) <= _LARGEST_BODY and (more := await request.content.readany()):
            body += more
        if len(body) > _LARGEST_BODY:
            raise PayloadTooLargeException(detail=f"Send {_LARGEST_BODY} bytes at most")
        return ScimRequest(
            method=request.method,
            base_url=self._settings.public_url,
            path=request.match_info["path"] or "/",
            query=dict(request.query),
            headers=list(request.headers.items()),
            body=body,
            subject=CLIENT.get(),
        )

    def _note(self, told: ScimResponse, error: Exception) -> None:
        """Audit a refusal; that nothing is there is none."""
        if told.status in {HTTPStatus.NOT_FOUND, HTTPStatus.INTERNAL_SERVER_ERROR}:
            return
        unknown = told.status == HTTPStatus.UNAUTHORIZED
        reason = TOKEN_REFUSED if unknown else REQUEST_REFUSED
        self._refused.labels(reason).inc()
        kind = getattr(error, "scim_type", None)
        self._audit.refused("scim", reason, *([kind] if kind else []))

    # -- The operator's list -----------------------------------------------------------------

    def _is_operator(self, request: web.Request) -> bool:
        CLIENT.set(_who(request, {_OPERATOR: self._settings.import_token_file}))
        return CLIENT.get() is not None

    def _refuse(self, action: str, reason: str, status: int, *faults: Fault) -> web.Response:
        self._refused.labels(reason).inc()
        self._audit.refused(action, reason)
        told = {"reason": reason, "faults": [str(fault) for fault in faults]}
        return web.json_response(told, status=status)

    async def _password(self, request: web.Request) -> web.Response:
        action = "password"
        if not self._is_operator(request):
            return self._refuse(action, TOKEN_REFUSED, HTTPStatus.UNAUTHORIZED)
        user = self._register.user_called(request.query.get("user", ""))
        if user is None:
            return self._refuse(action, "no-such-person", HTTPStatus.UNPROCESSABLE_ENTITY)
        try:
            password = await self._carrier.give_password(user)
        except HomeserverError as error:
            return self._refuse(action, error.reason, HTTPStatus.UNPROCESSABLE_ENTITY)
        self._audit.done([Note("password-given", person=number_of(user))])
        return web.json_response({"password": password})

    async def _import(self, request: web.Request) -> web.Response:
        if not self._is_operator(request):
            return self._refuse("import", TOKEN_REFUSED, HTTPStatus.UNAUTHORIZED)
        whole, dry = ("whole" in request.query), ("dry_run" in request.query)
        raw = await request.read()
        try:
            notes = await asyncio.to_thread(
                carry_out, self._register, raw, whole=whole, dry_run=dry
            )
        except StaffError as error:
            status = HTTPStatus.UNPROCESSABLE_ENTITY
            return self._refuse("import", error.reason, status, *error.faults)
        self._carrier.wake()
        return web.json_response({"done": notes})

    # -- How it is ---------------------------------------------------------------------------

    async def _health(self, _request: web.Request) -> web.Response:
        told = {"due": len(self._register.due()), "faults": self._carrier.faults}
        return web.json_response(told)

    async def _tell_metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._metrics), content_type="text/plain")


def _who(request: web.Request, token_files: Mapping[str, Path]) -> str | None:
    """The name of the token that is shown. Files are read anew, so that a token can be replaced.

    A file that cannot be used lets nobody in.
    """
    kind, _, shown = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not shown.isascii():
        return None
    found = None
    for name, file in token_files.items():
        try:
            token = load_token(file)
        except SecretError as error:
            log.warning("token-unusable", client=name, says=str(error))
            continue
        if hmac.compare_digest(token, shown.strip()):
            found = name
    return found
