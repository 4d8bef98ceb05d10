"""One JSON request over HTTP to a server of our own network; plain HTTP is for loopback."""

import http.client
import json
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

_TIMEOUT_S = 60


class Answer(NamedTuple):
    """Status code and parsed JSON body (None when the body is not JSON)."""

    status: int
    body: Any


def request(
    method: str,
    url: str,
    *,
    json_body: object = None,
    body: bytes | None = None,
    token: str | None = None,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = _TIMEOUT_S,
) -> Answer:
    """Send one request and read the whole answer.

    Args:
        method: HTTP method.
        url: `http://host:port/path?query`, or `https://`, verified by the machine's CAs.
        json_body: Sent as JSON when not None.
        body: Sent as it is where there is no `json_body`; `headers` say what it is.
        token: Sent as `Authorization: Bearer`.
        headers: Further headers.
        timeout_s: For connecting and for each read, in seconds.

    Raises:
        OSError: The server cannot be reached or hangs up.
    """
    parts = urlsplit(url)
    sent = {"Accept": "application/json", **(headers or {})}
    if token:
        sent["Authorization"] = f"Bearer {token}"
    payload = body if json_body is None else json.dumps(json_body).encode()
    if json_body is not None:
        sent["Content-Type"] = "application/json"
    over = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = over(parts.hostname or "", parts.port, timeout=timeout_s)
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    try:
        connection.request(method, target, payload, sent)
        response = connection.getresponse()
        raw = response.read()
    except http.client.HTTPException as error:
        raise ConnectionError(f"{url}: not an HTTP answer") from error
    finally:
        connection.close()
    return Answer(response.status, _parsed(raw))


def answers(url: str) -> bool:
    """Whether `url` answers 200 now; the usual readiness probe."""
    try:
        return request("GET", url, timeout_s=2).status == http.client.OK
    except OSError:
        return False


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return None
