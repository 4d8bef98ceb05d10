"""Request bodies: read whole up to a limit, for the signature covers them."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from canonicaljson import encode_canonical_json

from rabta_gateway.refusals import RefusedError

_CHUNK = 65536


async def read_body(request: web.BaseRequest, *, limit: int, seconds: float) -> bytes:
    """Read a request's body.

    Args:
        request: The request.
        limit: Most bytes that are taken.
        seconds: How long the whole body may take.

    Raises:
        RefusedError: `body-too-large`, `body-encoded` or `body-timeout`.
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
                size += len(chunk)
                if size > limit:
                    raise RefusedError("body-too-large")
                parts.append(chunk)
    except TimeoutError as error:
        raise RefusedError("body-timeout") from error
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
