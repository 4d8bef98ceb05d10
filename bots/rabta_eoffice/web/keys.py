"""What every handler finds in its application and request."""

from dataclasses import dataclass

import jinja2
from aiohttp import web

from rabta_contract import SigningSecrets
from rabta_eoffice.desk import Desk
from rabta_eoffice.establishment import Establishment
from rabta_eoffice.sessions import Sessions, Visitor


@dataclass(frozen=True, slots=True)
class Office:
    """The parts that the handlers call."""

    desk: Desk
    establishment: Establishment
    sessions: Sessions
    command_secrets: SigningSecrets
    feed_token: str
    templates: jinja2.Environment
    secure_cookies: bool


OFFICE: web.AppKey[Office] = web.AppKey("office", Office)
VISITOR: web.RequestKey[Visitor] = web.RequestKey("visitor", Visitor)
