"""Request bodies: read whole up to a limit, for the signature covers them."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from canonicaljson import encode_canonical_json

from rabta_gateway.refusals import RefusedError

_CHUNK = 65536


class Waiting:
    """Counts the bytes of bodies that are still arriving, for one direction.

    A body is read before its signature can be checked. So a crowd that claims to be a peer
    could fill the memory; beyond `limit` bytes new pieces are refused. Slow senders count
    only for what they have sent.
    """

    def __init__(self, limit: int) -> None:
        self._left = limit

    def take(self, size: int) -> None:
        """Count `size` bytes more.

        Raises:
            RefusedError: `gateway-busy`.
        """
        if size > self._left:
            raise RefusedError("gateway-busy")
        self._left -= size

    def give_back(self, size: int) -> None:
        """Count `size` bytes less."""
        self._left += size


async def read_body(
    request: web.BaseRequest, *, limit: int, seconds: float, waiting: Waiting
) -> bytes:
    """Read a request's body.

    Args:
        request: The request.
        limit: Most bytes that are taken.
        seconds: How long the whole body may take.
        waiting: Counts it while it arrives.

    Raises:
        RefusedError: `body-too-large`, `body-encoded`, `body-timeout` or `gateway-busy`.
    """
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise RefusedError("body-encoded")
    if (request.content_length or 0) > limit:
        raise RefusedError("body-too-large")
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.content.iter_chunked(_CHUNK):
                if size + len(chunk) > limit:
                    raise RefusedError("body-too-large")
                waiting.take(len(chunk))
                size += len(chunk)
                parts.append(chunk)
    except TimeoutError as error:
        raise RefusedError("body-timeout") from error
    finally:
        waiting.give_back(size)
    return b"".join(parts)


@dataclass(frozen=True, slots=True)
class JsonBody:
    """One JSON object and its canonical bytes: what is verified is what is passed on."""

    content: dict[str, Any]
    canonical: bytes


def json_object(body: bytes) -> JsonBody:
    """Parse a body that must be one JSON object.

    Raises:
        RefusedError: `body-not-json`.
    """
    try:
        content = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
        if isinstance(content, dict):
            return JsonBody(content, encode_canonical_json(content))
    except (ValueError, RecursionError) as error:
        raise RefusedError("body-not-json") from error
    raise RefusedError("body-not-json")


def _refuse_constant(name: str) -> None:
    """NaN and Infinity are Python's, not JSON's."""
    raise ValueError(name)
