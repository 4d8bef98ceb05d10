"""Speaks the client-server API: raises every failure, waits for 429 only within a bound."""

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp

from rabta_bots.matrix.errors import MatrixError

CLIENT_API = "/_matrix/client/v3"

_OK = 200
_TOO_MANY_REQUESTS = 429
_UNAUTHORISED = 401
_CLIENT_FAULT = 400
_SERVER_FAULT = 500
_RATE_LIMIT_PATIENCE = timedelta(seconds=20)
_DEFAULT_RETRY = timedelta(seconds=1)

# A large file takes what it takes; a line that stands still for so long is dead.
_STREAM_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=60)


class RefusedError(MatrixError):
    """The homeserver understood and said no.

    Args:
        status: HTTP status.
        body: The decoded error body; `errcode` names the refusal.
    """

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        self.status = status
        self.body = body
        self.errcode = str(body.get("errcode", "M_UNKNOWN"))
        reason = {
            "M_FORBIDDEN": "forbidden",
            "M_TOO_LARGE": "content-too-large",
            "M_UNKNOWN_TOKEN": "token-refused",
            "M_MISSING_TOKEN": "token-refused",
            "M_NOT_FOUND": "not-found",
        }.get(self.errcode, "refused")
        super().__init__(reason, f"{status} {self.errcode}", permanent=True)


class Wire:
    """One connection pool to one homeserver.

    Args:
        homeserver_url: Base URL without a trailing slash.
        ca_file: PEM bundle replacing the system's authorities, or None.
    """

    def __init__(self, homeserver_url: str, ca_file: Path | None = None) -> None:
        self._url = homeserver_url
        self._ca_file = ca_file
        self._session: aiohttp.ClientSession | None = None
        self.access_token: str | None = None

    async def open(self) -> None:
        """Open the connection pool."""
        tls = ssl.create_default_context(cafile=str(self._ca_file)) if self._ca_file else True
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls))

    async def close(self) -> None:
        """Close the connection pool."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def call(
        self,
        method: str,
        *path: str,
        body: Mapping[str, Any] | str | None = None,
        query: Mapping[str, str] | None = None,
        timeout: timedelta = timedelta(seconds=30),  # noqa: ASYNC109 - a bound per request
        root: str = CLIENT_API,
    ) -> dict[str, Any]:
        """Make one call and give its JSON object; an array comes under the key `array`.

        Args:
            method: HTTP method.
            path: Segments after `root`, each quoted here.
            body: A JSON object, or the exact text to send.
            query: Query parameters.
            timeout: Bound of one attempt.
            root: What the path begins with.

        Raises:
            RefusedError: a 4xx answer.
            MatrixError: not permanent `homeserver-unreachable`, `homeserver-failed`,
                `rate-limited`.
        """
        waited = timedelta(0)
        while True:
            status, answer = await self._attempt(method, (root, *path), body, query, timeout)
            if status == _TOO_MANY_REQUESTS:
                waited += _retry_after(answer)
                if waited <= _RATE_LIMIT_PATIENCE:
                    await asyncio.sleep(_retry_after(answer).total_seconds())
                    continue
            _raise_refusal(status, answer)
            return answer

    async def send_stream(
        self, path: str, body: AsyncIterable[bytes], *, size: int, media_type: str
    ) -> dict[str, Any]:
        """Make one POST whose body is made as it goes, and give its JSON object.

        Args:
            path: The whole path, quoted.
            body: The bytes, taken once.
            size: Their number.
            media_type: Of the body.

        Raises:
            RefusedError, MatrixError: As `call`; nothing is tried again here.
        """
        headers = {"Content-Type": media_type, "Content-Length": str(size)}
        async with self._exchange("POST", path, body, headers, timeout=_STREAM_TIMEOUT) as response:
            status, answer = _decoded(response.status, await response.read())
        _raise_refusal(status, answer)
        return answer

    async def take_stream(self, path: str, *, piece: int) -> AsyncGenerator[bytes]:
        """Make one GET and give its body in pieces of at most `piece` bytes.

        Args:
            path: The whole path, quoted.
            piece: Bytes.

        Raises:
            RefusedError, MatrixError: As `call`; nothing is tried again here.
        """
        async with self._exchange("GET", path, None, {}, timeout=_STREAM_TIMEOUT) as response:
            if response.status != _OK:
                _raise_refusal(*_decoded(response.status, await response.read()))
                raise MatrixError("homeserver-failed", f"HTTP {response.status}", permanent=False)
            async for part in response.content.iter_chunked(piece):
                yield part

    async def _attempt(
        self,
        method: str,
        path: tuple[str, ...],
        body: Mapping[str, Any] | str | None,
        query: Mapping[str, str] | None,
        timeout: timedelta,  # noqa: ASYNC109 - handed to aiohttp
    ) -> tuple[int, dict[str, Any]]:
        root, *parts = path
        quoted = "/".join([root, *(quote(part, safe="") for part in parts)])
        data = body if body is None or isinstance(body, str) else json.dumps(body)
        headers = {"Content-Type": "application/json"}
        bound = aiohttp.ClientTimeout(total=timeout.total_seconds())
        async with self._exchange(
            method, quoted, data, headers, timeout=bound, query=query
        ) as response:
            return _decoded(response.status, await response.read())

    @asynccontextmanager
    async def _exchange(
        self,
        method: str,
        path: str,
        data: str | AsyncIterable[bytes] | None,
        headers: dict[str, str],
        *,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - handed to aiohttp
        query: Mapping[str, str] | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """One request with our token; what fails under it is `homeserver-unreachable`."""
        if self._session is None:
            raise MatrixError("not-started", permanent=False)
        if self.access_token:
            headers = {**headers, "Authorization": f"Bearer {self.access_token}"}
        try:
            async with self._session.request(
                method,
                f"{self._url}{path}",
                data=data,
                params=query,
                headers=headers,
                allow_redirects=False,
                timeout=timeout,
            ) as response:
                yield response
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            raise MatrixError(
                "homeserver-unreachable", type(error).__name__, permanent=False
            ) from error


def _decoded(status: int, raw: bytes) -> tuple[int, dict[str, Any]]:
    try:
        answer = json.loads(raw) if raw else {}
    except (ValueError, RecursionError) as error:
        if status >= _CLIENT_FAULT and status != _UNAUTHORISED:  # a proxy's HTML page
            return max(status, _SERVER_FAULT), {}
        raise MatrixError("homeserver-failed", "not JSON", permanent=False) from error
    return status, answer if isinstance(answer, dict) else {"array": answer}


def _raise_refusal(status: int, answer: Mapping[str, Any]) -> None:
    if status == _TOO_MANY_REQUESTS:
        raise MatrixError("rate-limited", permanent=False, retry_after=_retry_after(answer))
    if status >= _SERVER_FAULT:
        raise MatrixError("homeserver-failed", f"HTTP {status}", permanent=False)
    if status >= _CLIENT_FAULT:
        raise RefusedError(status, answer)


def _retry_after(answer: Mapping[str, Any]) -> timedelta:
    value = answer.get("retry_after_ms")
    if isinstance(value, int) and value > 0:
        return timedelta(milliseconds=value)
    return _DEFAULT_RETRY
