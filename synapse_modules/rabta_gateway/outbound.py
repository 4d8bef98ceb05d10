"""Outbound: what the own homeserver asks of peers.

Synapse hands over `METHOD matrix-federation://SERVER/PATH` in clear with a bearer secret
(`outbound_federation_restricted_to`). The gateway finds SERVER in the signed policy and
nowhere else, and opens the only connections that leave this machine for federation.
"""

import re
from collections.abc import AsyncIterator
from hmac import compare_digest

import aiohttp
from aiohttp import web

from rabta_gateway.bodies import Waiting, read_body
from rabta_gateway.border import Border
from rabta_gateway.crossing import Crossing, Direction
from rabta_gateway.ledger import SERVER, Ledger
from rabta_gateway.media_answer import rewrite
from rabta_gateway.peers import Peers
from rabta_gateway.pinned_keys import checked_key_answer
from rabta_gateway.refusals import Refusal, RefusedError
from rabta_gateway.relay import check_answer, chunks, passed_headers, stream
from rabta_gateway.settings import Limits
from rabta_policy import Server

_TARGET = re.compile(r"matrix-federation://([A-Za-z0-9.:\-]{1,255})(/.*)", re.DOTALL)
_KEY_ANSWER_BYTES = 65536
_MEDIA = frozenset({"media-download", "media-thumbnail"})


class Outbound:
    """Handles the requests of the own homeserver.

    Args:
        border: The policy's answers.
        peers: Connections to peers.
        ledger: Counts and audits.
        secret: Synapse's `worker_replication_secret`.
        limits: Sizes and times.
    """

    def __init__(
        self, *, border: Border, peers: Peers, ledger: Ledger, secret: str, limits: Limits
    ) -> None:
        self._border = border
        self._peers = peers
        self._ledger = ledger
        self._credentials = f"Bearer {secret}".encode("ascii")
        self._limits = limits
        self._waiting = Waiting(limits.waiting_bytes)

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        crossing = self._ledger.open(Direction.OUTBOUND)
        try:
            return await self._cross(request, crossing)
        except RefusedError as error:
            return self._ledger.refused(crossing, error.refusal)
        except (aiohttp.ClientError, TimeoutError) as error:
            return self._ledger.refused(crossing, Refusal.because(peer_fault(error)))
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001 - closed, counted and told, never half open
            return self._ledger.failed(crossing, error)

    async def _cross(self, request: web.BaseRequest, crossing: Crossing) -> web.StreamResponse:
        given = request.headers.getall("Proxy-Authorization", [])
        if len(given) != 1 or not compare_digest(
            given[0].encode("utf-8", "surrogateescape"), self._credentials
        ):
            raise RefusedError("wrong-proxy-secret")
        crossing.verified = True
        crossing.origin = self._border.server_name
        target = _TARGET.fullmatch(request.raw_path)
        if target is None:
            raise RefusedError("not-a-federation-request")
        crossing.destination, raw_target = target[1], target[2]
        found = self._border.endpoint(crossing, request.method, raw_target)
        server = self._border.peer(crossing.destination)
        grant = self._border.judge(found, origin=crossing.origin, destination=crossing.destination)
        if grant is not None:
            self._ledger.granted(crossing, grant)
        body = await read_body(
            request,
            limit=self._limits.request_bytes,
            seconds=self._limits.request_seconds,
            waiting=self._waiting,
        )
        headers = {"User-Agent": SERVER, "Accept-Encoding": "identity"}
        for name in ("Authorization", "Content-Type"):
            if name in request.headers:
                headers[name] = request.headers[name]
        async with self._peers.request(
            server, request.method, raw_target, headers=headers, body=body
        ) as answer:
            return await self._pass_on(request, crossing, server, answer)

    async def _pass_on(
        self,
        request: web.BaseRequest,
        crossing: Crossing,
        server: Server,
        answer: aiohttp.ClientResponse,
    ) -> web.StreamResponse:
        """Give the peer's answer to the homeserver, checked where it could mislead it."""
        check_answer(answer, limit=self._limits.answer_bytes)
        headers = passed_headers(answer)
        body: AsyncIterator[bytes] = chunks(answer)
        length = answer.content_length
        successful = answer.status == web.HTTPOk.status_code
        if crossing.endpoint == "server-keys" and successful:
            told = await _at_most(answer, _KEY_ANSWER_BYTES)
            keys = checked_key_answer(told, server_name=server.name, pinned=server.verify_keys)
            body, length = _once(keys), len(keys)
        if crossing.endpoint in _MEDIA and successful:
            media = await rewrite(headers.get("Content-Type", ""), body)
            headers["Content-Type"] = media.content_type
            body, length = media.body, None
        return await stream(
            request,
            status=answer.status,
            headers=headers,
            body=body,
            length=length,
            limit=self._limits.answer_bytes,
            crossing=crossing,
            ledger=self._ledger,
        )


def peer_fault(error: Exception) -> str:
    """The reason code of a failed exchange with a peer."""
    match error:
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            return "peer-certificate"
        case TimeoutError():
            return "peer-timeout"
        case aiohttp.ClientConnectorError():
            return "peer-unreachable"
        case _:
            return "peer-answer-broken"


async def _at_most(answer: aiohttp.ClientResponse, limit: int) -> bytes:
    parts: list[bytes] = []
    async for chunk in chunks(answer):
        parts.append(chunk)
        if sum(map(len, parts)) > limit:
            raise RefusedError("peer-answer-too-large")
    return b"".join(parts)


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body
