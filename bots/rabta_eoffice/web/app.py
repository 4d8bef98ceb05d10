"""Puts the web application together."""

import asyncio

import jinja2
from aiohttp import web

from rabta_contract import SigningSecrets
from rabta_eoffice import outbox
from rabta_eoffice.desk import Desk
from rabta_eoffice.establishment import Establishment
from rabta_eoffice.sessions import Sessions
from rabta_eoffice.tables import reading
from rabta_eoffice.web import api, contract, documents, guard, pages
from rabta_eoffice.web.keys import OFFICE, Office

# Forms carry notes; documents have addresses of their own, which read to their own limit.
_BODY_LARGEST = 256 * 1024


def build(
    desk: Desk,
    *,
    sessions: Sessions,
    command_secrets: SigningSecrets,
    feed_token: str,
    secure_cookies: bool,
) -> web.Application:
    """The application, ready to be served."""
    app = web.Application(middlewares=[guard.headers, guard.visitor], client_max_size=_BODY_LARGEST)
    app[OFFICE] = Office(
        desk=desk,
        establishment=Establishment(desk),
        sessions=sessions,
        command_secrets=command_secrets,
        feed_token=feed_token,
        templates=_templates(),
        secure_cookies=secure_cookies,
    )
    app.add_routes(
        [
            web.get("/health", health),
            web.get("/events", contract.feed),
            web.post("/commands", contract.commands),
            web.get("/documents/{doc_id}", documents.serve),
            web.post("/documents", documents.take),
            web.get("/static/style.css", style),
            web.get("/favicon.ico", no_icon),
            *api.routes(),
            *pages.routes(),
        ]
    )
    return app


async def health(request: web.Request) -> web.Response:
    """Whether the database answers, and how many events the bridge has not taken."""
    desk = request.app[OFFICE].desk

    def count() -> int:
        with reading(desk.engine) as connection:
            return outbox.count_waiting(connection)

    return web.json_response({"status": "ok", "events_waiting": await asyncio.to_thread(count)})


async def style(request: web.Request) -> web.Response:
    """The one style sheet."""
    env = request.app[OFFICE].templates
    return web.Response(text=env.get_template("style.css").render(), content_type="text/css")


async def no_icon(_: web.Request) -> web.Response:
    """Browsers ask for an icon unbidden; there is none, and that is no fault."""
    return web.Response(status=204)


def _templates() -> jinja2.Environment:
    env = jinja2.Environment(
        loader=jinja2.PackageLoader("rabta_eoffice", "web/templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters["local_time"] = pages.local_time
    env.filters["bytes"] = pages.size_in_words
    env.filters["words"] = lambda code: str(code).replace("_", " ").lower()
    return env
