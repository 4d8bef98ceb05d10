"""What the gateway answers when it does not forward: reason codes and their HTTP faces.

A denial of the judge keeps the judge's own code; the codes here are the border's. The
statuses are chosen for how Synapse takes them: it retries 5xx and 429 and then backs off
from the whole destination, backs off at once on 401, and does neither on 403 and 404. So a
refusal by rule is 403 (traffic goes on the second the policy changes) and only a peer that
cannot be reached is 5xx.
"""

from dataclasses import dataclass

from rabta_policy import Denied, ReasonCode
from rabta_policy.reasons import CATALOGUE


@dataclass(frozen=True, slots=True)
class Face:
    """How one reason looks to whoever asked: HTTP status, Matrix error code, one line."""

    status: int
    errcode: str
    text: str


REASONS: dict[str, Face] = {
    # What is asked
    "malformed-target": Face(400, "M_INVALID_PARAM", "The request target is not canonical."),
    "unknown-endpoint": Face(404, "M_UNRECOGNIZED", "No such endpoint at this border."),
    "closed-endpoint": Face(404, "M_UNRECOGNIZED", "No such endpoint at this border."),
    "wrong-method": Face(405, "M_UNRECOGNIZED", "This endpoint has no such method."),
    "body-too-large": Face(413, "M_TOO_LARGE", "The request body is too large."),
    "body-encoded": Face(415, "M_NOT_JSON", "The request body may not be encoded."),
    "body-not-json": Face(400, "M_NOT_JSON", "The request body is not one JSON object."),
    "body-unexpected": Face(400, "M_BAD_JSON", "This endpoint takes no request body."),
    "body-timeout": Face(408, "M_UNKNOWN", "The request body did not arrive in time."),
    "gateway-busy": Face(503, "M_UNKNOWN", "Too many requests are arriving at once."),
    "rate-limited": Face(429, "M_LIMIT_EXCEEDED", "Too many requests."),
    # Who asks
    "authorization-missing": Face(401, "M_UNAUTHORIZED", "An X-Matrix signature is needed."),
    "authorization-malformed": Face(401, "M_UNAUTHORIZED", "The X-Matrix header is malformed."),
    "authorization-repeated": Face(401, "M_UNAUTHORIZED", "Exactly one X-Matrix header is taken."),
    "wrong-destination": Face(401, "M_UNAUTHORIZED", "The request was signed for another server."),
    "unknown-key": Face(403, "M_FORBIDDEN", "The policy does not pin this key."),
    "bad-signature": Face(403, "M_FORBIDDEN", "The signature does not fit the request."),
    "own-server-closed": Face(403, "M_FORBIDDEN", "This server does not federate now."),
    # Our own homeserver's side
    "wrong-proxy-secret": Face(407, "M_UNAUTHORIZED", "The proxy secret is missing or wrong."),
    "not-a-federation-request": Face(400, "M_UNRECOGNIZED", "Only matrix-federation:// is served."),
    "homeserver-unreachable": Face(502, "M_UNKNOWN", "The homeserver does not answer."),
    "homeserver-timeout": Face(504, "M_UNKNOWN", "The homeserver did not answer in time."),
    # The peer's side
    "address-not-an-ip": Face(403, "M_FORBIDDEN", "The policy gives no IP address for the peer."),
    "peer-certificate": Face(502, "M_UNKNOWN", "The peer's certificate is not the policy's."),
    "peer-unreachable": Face(502, "M_UNKNOWN", "The peer cannot be reached."),
    "peer-timeout": Face(504, "M_UNKNOWN", "The peer did not answer in time."),
    "peer-answer-broken": Face(502, "M_UNKNOWN", "The peer's answer cannot be read."),
    "peer-answer-too-large": Face(502, "M_TOO_LARGE", "The peer's answer is too large."),
    "peer-redirects": Face(403, "M_FORBIDDEN", "The peer sends the caller elsewhere."),
    "key-mismatch": Face(403, "M_FORBIDDEN", "The peer's keys are not the policy's."),
    # Our own fault
    "audit-unwritable": Face(503, "M_UNKNOWN", "The audit cannot be written."),
    "internal-fault": Face(500, "M_UNKNOWN", "The gateway failed; the request was not forwarded."),
}

# What tells something about the registry is told only to whoever has shown who it is.
_OF_THE_REGISTRY = frozenset({"unknown-key", "bad-signature", "own-server-closed"})


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that is not forwarded, and why.

    Attributes:
        reason: Stable kebab-case code, the border's (`REASONS`) or the judge's.
        rule: Number of the policy rule that denied, when the judge did.
        text: One line for the caller, without content.
        status: HTTP status.
        errcode: Matrix error code.
        of_the_registry: Whether it tells something about the registry.
    """

    reason: str
    rule: str | None
    text: str
    status: int
    errcode: str
    of_the_registry: bool

    @classmethod
    def because(cls, reason: str) -> "Refusal":
        """The border's own refusal; `reason` is a key of `REASONS`."""
        face = REASONS[reason]
        registry = reason in _OF_THE_REGISTRY
        return cls(reason, None, face.text, face.status, face.errcode, registry)

    @classmethod
    def denied(cls, verdict: Denied) -> "Refusal":
        """The judge's denial, told with its first reason."""
        first = verdict.reasons[0]
        return cls(str(first.code), first.rule, first.text, 403, "M_FORBIDDEN", True)

    @classmethod
    def barred(cls, code: ReasonCode) -> "Refusal":
        """What bars a peer as a whole, in the judge's word."""
        text = "The two servers do not federate now."
        return cls(str(code), CATALOGUE[code].rule, text, 403, "M_FORBIDDEN", True)

    def body(self, *, told: bool) -> dict[str, str]:
        """The Matrix error object (client-server API, "Standard error response").

        Args:
            told: Whether the caller is known; a stranger learns nothing about the registry.
        """
        if not told and self.of_the_registry:
            return {"errcode": self.errcode, "error": "Refused at this border."}
        return {"errcode": self.errcode, "error": self.text, "rabta.reason": self.reason}


class RefusedError(Exception):
    """Carries a `Refusal` out of the steps of one request.

    Args:
        refusal: The refusal, or a reason code of `REASONS`.
    """

    def __init__(self, refusal: Refusal | str) -> None:
        self.refusal = Refusal.because(refusal) if isinstance(refusal, str) else refusal
        super().__init__(self.refusal.reason)
