"""Inbound: what peers ask of the own homeserver.

A request reaches the homeserver only if its endpoint is in the table, its X-Matrix signature
fits a key that the policy pins for its origin, the two servers federate now, and the judge
grants the action where the endpoint is one. The homeserver then sees the verified body and
the verified header written afresh, and nothing else of what the peer sent.
"""

from urllib.parse import urlsplit

import aiohttp
from aiohttp import web

from rabta_gateway.bodies import JsonBody, Waiting, json_object, read_body
from rabta_gateway.border import Border
from rabta_gateway.crossing import Crossing, Direction
from rabta_gateway.endpoints import Match, Treatment
from rabta_gateway.ledger import SERVER, Ledger
from rabta_gateway.peers import encoded_url
from rabta_gateway.rate import RateLimiter
from rabta_gateway.refusals import Refusal, RefusedError
from rabta_gateway.relay import check_answer, chunks, passed_headers, stream
from rabta_gateway.settings import Limits
from rabta_gateway.x_matrix import XMatrix

_WITH_BODY = frozenset({"PUT", "POST"})


class Inbound:
    """Handles the requests of peers.

    Args:
        border: The policy's answers.
        homeserver: Session to the homeserver's plain listener.
        upstream: Its origin, `http://HOST:PORT`.
        ledger: Counts and audits.
        rate: Limits each peer.
        limits: Sizes and times.
    """

    def __init__(
        self,
        *,
        border: Border,
        homeserver: aiohttp.ClientSession,
        upstream: str,
        ledger: Ledger,
        rate: RateLimiter,
        limits: Limits,
    ) -> None:
        self._border = border
        self._homeserver = homeserver
        self._authority = urlsplit(upstream).netloc
        self._ledger = ledger
        self._rate = rate
        self._limits = limits
        self._waiting = Waiting(limits.waiting_bytes)

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        crossing = self._ledger.open(Direction.INBOUND)
        crossing.destination = self._border.server_name
        try:
            return await self._cross(request, crossing)
        except RefusedError as error:
            return self._ledger.refused(crossing, error.refusal)
        except TimeoutError:
            return self._ledger.refused(crossing, Refusal.because("homeserver-timeout"))
        except aiohttp.ClientError:
            return self._ledger.refused(crossing, Refusal.because("homeserver-unreachable"))
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001 - closed, counted and told, never half open
            return self._ledger.failed(crossing, error)

    async def _cross(self, request: web.BaseRequest, crossing: Crossing) -> web.StreamResponse:
        raw_target = request.raw_path
        found = self._border.endpoint(crossing, request.method, raw_target)
        headers = {
            "Host": self._border.server_name,
            "User-Agent": SERVER,
            "Accept-Encoding": "identity",
            "X-Forwarded-For": request.remote or "",
            "X-Forwarded-Proto": "https",
        }
        body = b""
        if found.endpoint.treatment is Treatment.OPEN:
            await self._admit_stranger(request)
        else:
            signed, given = await self._authenticate(request, crossing, found)
            headers["Authorization"] = signed.header()
            if given is not None:
                headers["Content-Type"] = "application/json"
                body = given.canonical
        async with self._homeserver.request(
            request.method,
            encoded_url("http", self._authority, raw_target),
            headers=headers,
            data=body or None,
            allow_redirects=False,
        ) as answer:
            check_answer(answer, limit=self._limits.answer_bytes)
            return await stream(
                request,
                status=answer.status,
                headers=passed_headers(answer),
                body=chunks(answer),
                length=answer.content_length,
                limit=self._limits.answer_bytes,
                crossing=crossing,
                ledger=self._ledger,
            )

    async def _admit_stranger(self, request: web.BaseRequest) -> None:
        """An endpoint that needs no signature takes no body, and few requests an address."""
        if request.body_exists:
            raise RefusedError("body-unexpected")
        if not self._rate.admits(f"address {request.remote}"):
            raise RefusedError("rate-limited")

    async def _authenticate(
        self, request: web.BaseRequest, crossing: Crossing, found: Match
    ) -> tuple[XMatrix, JsonBody | None]:
        """Verify who asks and judge what it asks; cheap questions come before the body."""
        signed = _x_matrix(request)
        crossing.origin = signed.origin
        if signed.destination != self._border.server_name:
            raise RefusedError("wrong-destination")
        server = self._border.peer(signed.origin)
        if signed.key_id not in server.verify_keys:
            raise RefusedError("unknown-key")
        body = await self._content(request)
        signed.verify(
            method=request.method,
            uri=request.raw_path,
            content=None if body is None else body.content,
            pinned=server.verify_keys,
        )
        crossing.verified = True
        if not self._rate.admits(signed.origin):
            raise RefusedError("rate-limited")
        grant = self._border.judge(found, origin=signed.origin, destination=signed.destination)
        if grant is not None:
            self._ledger.granted(crossing, grant)
        return signed, body

    async def _content(self, request: web.BaseRequest) -> JsonBody | None:
        """The JSON body, or None for methods whose signature covers no body."""
        if request.method not in _WITH_BODY:
            if request.body_exists:
                raise RefusedError("body-unexpected")
            return None
        return json_object(
            await read_body(
                request,
                limit=self._limits.request_bytes,
                seconds=self._limits.request_seconds,
                waiting=self._waiting,
            )
        )


def _x_matrix(request: web.BaseRequest) -> XMatrix:
    """The one X-Matrix header of a request."""
    given = request.headers.getall("Authorization", [])
    if not given:
        raise RefusedError("authorization-missing")
    if len(given) > 1:
        raise RefusedError("authorization-repeated")
    return XMatrix.parse(given[0])
