"""Speaks Mayan's REST interface (`/api/v4/`), with a token of its own for each speaker."""

import json
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import aiohttp

LARGEST_ANSWER_BYTES = 8 * 1024 * 1024
PAGE = 100


class MayanError(Exception):
    """Mayan could not be asked, or did not answer with what it documents.

    Args:
        reason: `mayan-unreachable`, `mayan-refused`, `mayan-unknown` or `mayan-malformed`.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Mayan:
    """One Mayan.

    Args:
        url: Its base, without `/api`.
        session: An open client session, owned by the caller.
        tls: The authorities to trust, or True for the system's.
    """

    url: str
    session: Callable[[], aiohttp.ClientSession]
    tls: ssl.SSLContext | bool = True

    async def get(self, token: str, path: str, **query: int) -> dict[str, Any]:
        """One resource.

        Raises:
            MayanError: `mayan-unknown` where there is none for this token.
        """
        return await self._ask("GET", token, path, query=query)

    async def pages(self, token: str, path: str) -> AsyncIterator[dict[str, Any]]:
        """Every item of a list, in Mayan's order; numbered pages, never an address it names."""
        number = 1
        while True:
            page = await self._ask("GET", token, path, query={"page": number, "page_size": PAGE})
            results = page.get("results")
            if not isinstance(results, list):
                raise MayanError("mayan-malformed")
            for item in results:
                if not isinstance(item, dict):
                    raise MayanError("mayan-malformed")
                yield item
            if not page.get("next"):
                return
            number += 1

    async def post(self, token: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Make something.

        Raises:
            MayanError: `mayan-refused` where Mayan did not do it.
        """
        return await self._ask("POST", token, path, body=body)

    async def _ask(
        self,
        method: str,
        token: str,
        path: str,
        *,
        query: Mapping[str, int] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        try:
            async with self.session().request(
                method,
                f"{self.url}/api/v4/{path}",
                params=query,
                json=body,
                headers={"Authorization": f"Token {token}", "Accept": "application/json"},
                ssl=self.tls,
                allow_redirects=False,
            ) as answer:
                raw = await answer.content.read(LARGEST_ANSWER_BYTES + 1)
                while len(raw) <= LARGEST_ANSWER_BYTES and not answer.content.at_eof():
                    raw += await answer.content.read(LARGEST_ANSWER_BYTES + 1 - len(raw))
                status = answer.status
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise MayanError("mayan-unreachable") from error
        if status == HTTPStatus.NOT_FOUND:
            raise MayanError("mayan-unknown")
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise MayanError("mayan-unreachable")
        if status not in {HTTPStatus.OK, HTTPStatus.CREATED}:
            raise MayanError("mayan-refused")
        try:
            told = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise MayanError("mayan-malformed") from error
        if not isinstance(told, dict):
            raise MayanError("mayan-malformed")
        return told
