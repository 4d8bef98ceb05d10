"""The wire between homeservers under test or on the bench: each is handed what names it.

Stands in the place of the gateways' outbound side (`outbound_federation_restricted_to`): plain
HTTP on loopback, no TLS, no policy. It delivers everything, so that what is refused was refused
by the door.
"""

import json
import threading
from collections.abc import Callable
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import urlsplit


class Delivery(NamedTuple):
    """One federation request as a server sent it out."""

    method: str
    destination: str
    path: str
    body: dict[str, Any] | None


Peer = Callable[[Delivery], tuple[int, Any]]
"""A server that is not Synapse: takes a request, answers status and JSON."""


class Switchboard:
    """Delivers federation requests by server name.

    Attributes:
        port: Where homeservers send (`gateway_out_port`).
        sent: Every request seen, in order.
    """

    def __init__(self) -> None:
        self.sent: list[Delivery] = []
        self._ports: dict[str, int] = {}
        self._peers: dict[str, Peer] = {}
        board = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                """Say nothing."""

            def _deliver(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, answer = board._deliver(
                    self.command, self.path, raw, self.headers.get_all("Authorization") or []
                )
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_PUT = do_POST = do_DELETE = _deliver  # noqa: N815 - as http.server names them

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def homeserver(self, server_name: str, federation_port: int) -> None:
        """Deliver what is for this name to a Synapse's plain federation listener."""
        self._ports[server_name] = federation_port

    def peer(self, server_name: str, peer: Peer) -> None:
        """Deliver what is for this name to a server that is no Synapse."""
        self._peers[server_name] = peer

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _deliver(
        self, method: str, url: str, raw: bytes, authorization: list[str]
    ) -> tuple[int, bytes]:
        parts = urlsplit(url)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        body = json.loads(raw) if raw else None
        delivery = Delivery(method, parts.netloc, path, body)
        self.sent.append(delivery)
        if peer := self._peers.get(parts.netloc):
            status, answer = peer(delivery)
            return status, json.dumps(answer).encode()
        if port := self._ports.get(parts.netloc):
            return _forward(port, method, path, raw, authorization)
        return 502, b'{"errcode": "M_UNKNOWN", "error": "nobody of that name"}'


def _forward(
    port: int, method: str, path: str, raw: bytes, authorization: list[str]
) -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.putrequest(method, path)
        for value in authorization:
            connection.putheader("Authorization", value)
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(len(raw)))
        connection.endheaders(raw or None)
        response = connection.getresponse()
        return response.status, response.read()
    except OSError as error:
        return 502, json.dumps({"errcode": "M_UNKNOWN", "error": str(error)}).encode()
    finally:
        connection.close()
