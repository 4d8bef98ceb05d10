"""Speaks the client-server API: raises every failure, waits for 429 only within a bound."""

import asyncio
import json
import ssl
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp

from rabta_bots.matrix.errors import MatrixError

_TOO_MANY_REQUESTS = 429
_UNAUTHORISED = 401
_SERVER_FAULT = 500
_RATE_LIMIT_PATIENCE = timedelta(seconds=20)
_DEFAULT_RETRY = timedelta(seconds=1)


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
    ) -> dict[str, Any]:
        """Make one call and give its JSON object; an array comes under the key `array`.

        Args:
            method: HTTP method.
            path: Segments after `/_matrix/client/v3`, each quoted here.
            body: A JSON object, or the exact text to send.
            query: Query parameters.
            timeout: Bound of one attempt.

        Raises:
            RefusedError: a 4xx answer.
            MatrixError: not permanent `homeserver-unreachable`, `homeserver-failed`,
                `rate-limited`.
        """
        waited = timedelta(0)
        while True:
            status, answer = await self._attempt(method, path, body, query, timeout)
            if status == _TOO_MANY_REQUESTS:
                wait = _retry_after(answer)
                waited += wait
                if waited > _RATE_LIMIT_PATIENCE:
                    raise MatrixError("rate-limited", permanent=False, retry_after=wait)
                await asyncio.sleep(wait.total_seconds())
                continue
            if status >= _SERVER_FAULT:
                raise MatrixError("homeserver-failed", f"HTTP {status}", permanent=False)
            if status >= 400:  # noqa: PLR2004 - the first of the 4xx
                raise RefusedError(status, answer)
            return answer

    async def _attempt(
        self,
        method: str,
        path: tuple[str, ...],
        body: Mapping[str, Any] | str | None,
        query: Mapping[str, str] | None,
        timeout: timedelta,  # noqa: ASYNC109 - handed to aiohttp
    ) -> tuple[int, dict[str, Any]]:
        if self._session is None:
            raise MatrixError("not-started", permanent=False)
        headers = {"Content-Type": "application/json"}
        if self.access_token:
            headers["Authorization"] = f"Bearer {self.access_token}"
        url = "/".join([f"{self._url}/_matrix/client/v3", *(quote(part, safe="") for part in path)])
        data = body if body is None or isinstance(body, str) else json.dumps(body)
        try:
            async with self._session.request(
                method,
                url,
                data=data,
                params=query,
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=timeout.total_seconds()),
            ) as response:
                raw = await response.read()
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise MatrixError(
                "homeserver-unreachable", type(error).__name__, permanent=False
            ) from error
        try:
            answer = json.loads(raw) if raw else {}
        except (ValueError, RecursionError) as error:
            if status >= 400 and status != _UNAUTHORISED:  # noqa: PLR2004 - a proxy's HTML page
                return max(status, _SERVER_FAULT), {}
            raise MatrixError("homeserver-failed", "not JSON", permanent=False) from error
        return status, answer if isinstance(answer, dict) else {"array": answer}


def _retry_after(answer: Mapping[str, Any]) -> timedelta:
    value = answer.get("retry_after_ms")
    if isinstance(value, int) and value > 0:
        return timedelta(milliseconds=value)
    return _DEFAULT_RETRY
