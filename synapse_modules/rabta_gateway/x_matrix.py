"""The X-Matrix header: parsed strictly, verified against pinned keys, written afresh.

Source: server-server API, "Request Authentication". Never fetches a key.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from signedjson.key import decode_verify_key_bytes
from signedjson.sign import SignatureVerifyException, verify_signed_json
from unpaddedbase64 import decode_base64

from rabta_gateway.refusals import RefusedError

_SCHEME = re.compile(r"X-Matrix[ \t]+", re.IGNORECASE)
_PARAMETER = re.compile(
    r"[ \t]*([A-Za-z_]+)[ \t]*=[ \t]*"
    r"(?:\"([^\"\\]*)\"|([^\s\",=]+))"
    r"[ \t]*(?:,|$)"
)
_SERVER_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.\-]{0,228}[a-z0-9])?(?::[0-9]{1,5})?")
_KEY_ID = re.compile(r"ed25519:[A-Za-z0-9_]{1,100}")
_SIGNATURE = re.compile(r"[A-Za-z0-9+/]{86}(?:==)?")


@dataclass(frozen=True, slots=True)
class XMatrix:
    """One valid X-Matrix header; its values hold no character that needs quoting.

    Attributes:
        origin: Server name that claims to ask.
        destination: Server name that it asks.
        key_id: For example `ed25519:a_1`.
        signature: Unpadded base64, 86 characters.
    """

    origin: str
    destination: str
    key_id: str
    signature: str

    @classmethod
    def parse(cls, header: str) -> "XMatrix":
        """Read a header value.

        Raises:
            RefusedError: `authorization-malformed`.
        """
        given = _parameters(header)
        grammar = {
            "origin": _SERVER_NAME,
            "destination": _SERVER_NAME,
            "key": _KEY_ID,
            "sig": _SIGNATURE,
        }
        if any(pattern.fullmatch(given.get(name, "")) is None for name, pattern in grammar.items()):
            raise RefusedError("authorization-malformed")
        signature = given["sig"].rstrip("=")
        return cls(given["origin"], given["destination"], given["key"], signature)

    def header(self) -> str:
        """The header written afresh, so that the homeserver reads what was verified."""
        return (
            f'X-Matrix origin="{self.origin}",key="{self.key_id}",'
            f'sig="{self.signature}",destination="{self.destination}"'
        )

    def verify(
        self, *, method: str, uri: str, content: Mapping[str, Any] | None, pinned: Mapping[str, str]
    ) -> None:
        """Check the signature over method, uri, origin, destination and content.

        Args:
            method: HTTP method.
            uri: Path and query exactly as in the request line.
            content: The parsed JSON body, None when there is none.
            pinned: The origin's keys from the policy, key id -> unpadded base64.

        Raises:
            RefusedError: `unknown-key` or `bad-signature`.
        """
        if self.key_id not in pinned:
            raise RefusedError("unknown-key")
        signed = {
            "method": method,
            "uri": uri,
            "origin": self.origin,
            "destination": self.destination,
            "signatures": {self.origin: {self.key_id: self.signature}},
        }
        if content is not None:
            signed["content"] = content
        try:
            verify_signed_json(signed, self.origin, verify_key(self.key_id, pinned[self.key_id]))
        except SignatureVerifyException as error:
            raise RefusedError("bad-signature") from error


@lru_cache(maxsize=4096)
def verify_key(key_id: str, key: str) -> Any:
    """The key object of signedjson for a key of the policy."""
    return decode_verify_key_bytes(key_id, decode_base64(key))


def _parameters(header: str) -> dict[str, str]:
    """The auth-params of the header; each name once (RFC 9110, 11.4)."""
    scheme = _SCHEME.match(header)
    if scheme is None:
        raise RefusedError("authorization-malformed")
    found: dict[str, str] = {}
    position = scheme.end()
    while position < len(header):
        parameter = _PARAMETER.match(header, position)
        if parameter is None or parameter[1].lower() in found:
            raise RefusedError("authorization-malformed")
        quoted, token = parameter[2], parameter[3]
        found[parameter[1].lower()] = token if quoted is None else quoted
        position = parameter.end()
    return found
