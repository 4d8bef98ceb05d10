"""The HTTP servers: aiohttp's low-level one with our error answers, and its Python parser."""

import asyncio
from typing import Any

from aiohttp import StreamReader, http_parser, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage
from yarl import URL

from rabta_gateway.ledger import SERVER

# As Twisted's, so that what Synapse can send and take passes here.
_LINE = 16384
_KEEPALIVE_S = 75.0
_LINGER_S = 2.0
_READ = 65536


class BorderProtocol(web.RequestHandler):
    """One connection; faults below the handler answer as Matrix errors without a version."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer a request that could not be parsed or whose handler failed."""
        # aiohttp logs the fault, and refuses to answer twice on one request.
        made = super().handle_error(request, status, exc, message)
        errcode = b"M_UNRECOGNIZED" if made.status < 500 else b"M_UNKNOWN"  # noqa: PLR2004 - HTTP
        answer = web.Response(
            status=made.status,
            body=b'{"errcode":"%b","error":"The request cannot be served."}' % errcode,
            content_type="application/json",
            headers={"Server": SERVER},
        )
        answer.force_close()
        return answer


class ClearProtocol(BorderProtocol):
    """As above, for `matrix-federation://` targets.

    aiohttp's C parser (llhttp) answers 400 to that scheme; its Python parser takes it.
    """

    def __init__(self, manager: web.Server, *, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(manager, loop=loop, **_protocol_settings())
        self._parser = http_parser.HttpRequestParserPy(
            self,
            loop,
            _READ,
            max_line_size=_LINE,
            max_field_size=_LINE,
            payload_exception=web.RequestPayloadError,
            auto_decompress=False,
        )


class BorderServer(web.Server):
    """Makes a `BorderProtocol` per connection, or a `ClearProtocol`."""

    def __init__(self, handler: Any, *, clear: bool = False) -> None:
        super().__init__(handler)
        self._clear = clear

    def _make_request(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: web.RequestHandler,
        writer: AbstractStreamWriter,
        task: "asyncio.Task[None]",
    ) -> web.BaseRequest:
        """Make the request object, also of a target whose host no URL can have.

        aiohttp would fail outside of every handler there and leave the connection open, unanswered.
        """
        try:
            return super()._make_request(message, payload, protocol, writer, task)
        except ValueError:
            harmless = message._replace(path="*", url=URL("*", encoded=True))
            return super()._make_request(harmless, payload, protocol, writer, task)

    def __call__(self) -> web.RequestHandler:
        """Make the protocol of one connection."""
        loop = asyncio.get_running_loop()
        if self._clear:
            return ClearProtocol(self, loop=loop)
        return BorderProtocol(self, loop=loop, **_protocol_settings())


def _protocol_settings() -> dict[str, Any]:
    return {
        "access_log": None,
        "auto_decompress": False,
        "keepalive_timeout": _KEEPALIVE_S,
        "lingering_time": _LINGER_S,
        "max_field_size": _LINE,
        "max_line_size": _LINE,
        "read_bufsize": _READ,
    }
