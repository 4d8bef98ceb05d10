"""Passes one answer on, chunk by chunk, with few headers and a size limit."""

from collections.abc import AsyncIterator, Mapping

import aiohttp
from aiohttp import web

from rabta_gateway.crossing import Crossing
from rabta_gateway.ledger import SERVER, Ledger
from rabta_gateway.refusals import RefusedError

# Everything else is dropped: versions, cookies, redirects, hop-by-hop headers, CORS.
_PASSED = ("Content-Type", "Content-Disposition", "Retry-After")
_CHUNK = 65536
_REDIRECTS = range(300, 400)


def check_answer(answer: aiohttp.ClientResponse, *, limit: int) -> None:
    """Refuse an answer before its body is touched.

    Raises:
        RefusedError: `peer-redirects`, `peer-answer-broken` or `peer-answer-too-large`.
    """
    if answer.status in _REDIRECTS:
        raise RefusedError("peer-redirects")
    if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise RefusedError("peer-answer-broken")
    if (answer.content_length or 0) > limit:
        raise RefusedError("peer-answer-too-large")


def chunks(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The body of an answer as it comes."""
    return answer.content.iter_chunked(_CHUNK)


def passed_headers(answer: aiohttp.ClientResponse) -> dict[str, str]:
    """The headers of an answer that may cross the border."""
    return {name: answer.headers[name] for name in _PASSED if name in answer.headers}


async def stream(
    request: web.BaseRequest,
    *,
    status: int,
    headers: Mapping[str, str],
    body: AsyncIterator[bytes],
    length: int | None,
    limit: int,
    crossing: Crossing,
    ledger: Ledger,
) -> web.StreamResponse:
    """Answer `request` with a body that is still arriving.

    Once the first byte is out nothing can be refused any more, so a body that breaks or
    grows beyond `limit` ends the connection: the reader sees it cut, never whole.

    Raises:
        ConnectionAbortedError: After the connection was ended.
    """
    answer = web.StreamResponse(status=status, headers={**headers, "Server": SERVER})
    if length is not None:
        answer.content_length = length
    try:
        await answer.prepare(request)
        async for chunk in _limited(body, limit):
            await answer.write(chunk)
        await answer.write_eof()
    except (RefusedError, aiohttp.ClientError, TimeoutError) as error:
        if request.transport is None or request.transport.is_closing():
            ledger.left(crossing)
        else:
            own = error.refusal.reason if isinstance(error, RefusedError) else None
            ledger.cut(crossing, own or "peer-answer-broken")
            request.transport.abort()
        raise ConnectionAbortedError from error
    ledger.forwarded(crossing, status)
    return answer


async def _limited(body: AsyncIterator[bytes], limit: int) -> AsyncIterator[bytes]:
    size = 0
    async for chunk in body:
        size += len(chunk)
        if size > limit:
            raise RefusedError("peer-answer-too-large")
        yield chunk
