"""Standard Webhooks 1.0.0 over raw bytes: sign with every live secret, verify with any.

The `standardwebhooks` library makes the signatures. Its own `verify` is not used: it reads
the wall clock, ignores stray characters in base64 and lets parsing errors through, so
headers are read here, strictly, and the signatures are compared as text.
"""

import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from standardwebhooks.webhooks import Webhook

from rabta_contract.secrets_file import SigningSecrets

ID_HEADER = "webhook-id"
TIMESTAMP_HEADER = "webhook-timestamp"
SIGNATURE_HEADER = "webhook-signature"

WINDOW = timedelta(minutes=5)

_ID = re.compile(r"[\x21-\x7e]{1,256}")
_TIMESTAMP = re.compile(r"[1-9][0-9]{0,11}")
# One signature is 47 characters; nobody has more than a few live secrets.
_SIGNATURES_LONGEST = 1024

BAD_SIGNATURE = "bad-signature"
STALE_TIMESTAMP = "stale-timestamp"


class SignatureError(Exception):
    """A request is not from a holder of a live secret, or is not fresh.

    `reason` is `bad-signature` or `stale-timestamp`, a member of both reason tables.
    """

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(f"{reason}: {detail}")


def sign(message_id: str, body: bytes, secrets: SigningSecrets, now: datetime) -> dict[str, str]:
    """The three headers for `body`, which must be UTF-8; `now` is timezone-aware.

    Raises:
        ValueError: The id cannot travel in a header (printable ASCII, 1 to 256 characters).
    """
    if not _ID.fullmatch(message_id):
        raise ValueError("a webhook id is 1 to 256 printable ASCII characters without spaces")
    return {
        ID_HEADER: message_id,
        TIMESTAMP_HEADER: str(int(now.timestamp())),
        SIGNATURE_HEADER: " ".join(_signatures(message_id, body.decode("utf-8"), secrets, now)),
    }


def verify(
    headers: Mapping[str, str],
    body: bytes,
    secrets: SigningSecrets,
    now: datetime,
    *,
    window: timedelta | None = WINDOW,
) -> str:
    """Check the raw `body` against the headers; gives the `webhook-id`.

    `window` None takes a signature of any age: for files, which travel slowly, and only where
    every id is remembered for good.

    The signature is checked before the timestamp, so only a holder of a secret ever learns
    that a clock is off.

    Raises:
        SignatureError: Whatever is wrong; no other exception comes out.
    """
    named = {name.lower(): value for name, value in headers.items()}
    message_id = named.get(ID_HEADER, "")
    timestamp = named.get(TIMESTAMP_HEADER, "")
    offered = named.get(SIGNATURE_HEADER, "")
    if not (message_id and timestamp and offered):
        raise SignatureError(BAD_SIGNATURE, "a webhook header is missing")
    if (
        not _ID.fullmatch(message_id)
        or not _TIMESTAMP.fullmatch(timestamp)
        or len(offered) > _SIGNATURES_LONGEST
    ):
        raise SignatureError(BAD_SIGNATURE, "a webhook header is malformed")
    try:
        sent = datetime.fromtimestamp(int(timestamp), tz=UTC)
        made = _signatures(message_id, body.decode("utf-8"), secrets, sent)
    except (ValueError, OverflowError, OSError):
        raise SignatureError(BAD_SIGNATURE, "the body or the timestamp cannot be signed") from None
    matches = [
        hmac.compare_digest(ours.encode(), theirs.encode("utf-8", "surrogatepass"))
        for ours in made
        for theirs in offered.split(" ")
    ]
    if not any(matches):
        raise SignatureError(BAD_SIGNATURE, "no live secret made this signature")
    if window is not None and abs(now - sent) > window:
        raise SignatureError(STALE_TIMESTAMP, "the timestamp is more than five minutes off")
    return message_id


def _signatures(message_id: str, text: str, secrets: SigningSecrets, now: datetime) -> list[str]:
    # The library takes the wall-clock reading for UTC, whatever its zone: hand it UTC.
    moment = now.astimezone(UTC)
    return [Webhook(key).sign(message_id, moment, text) for key in secrets.keys]
