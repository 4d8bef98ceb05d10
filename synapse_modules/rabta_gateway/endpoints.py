"""The table of federation endpoints: what each is, and what the border does with it.

Sections are headings of the server-server API v1.15; `docs/reference/federation-endpoints.md`
shows the same table and a test compares the two. What is not in the table does not exist at
this border: unstable prefixes, the policy server, the client API, legacy media, `.well-known`.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from rabta_gateway.target import Target
from rabta_policy import ActionKind


class Treatment(StrEnum):
    """What the border does with a request to an endpoint."""

    OPEN = "open"  # inbound without a signature; outbound as CARRIED
    CARRIED = "carried"  # two federating servers suffice; the door judges what is inside
    JUDGED = "judged"  # the endpoint is one action of the policy
    CLOSED = "closed"  # refused in both directions


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint of the federation API.

    Attributes:
        name: Stable short name; the bounded label of metrics and audit lines.
        section: Heading of the server-server API v1.15 that defines it.
        method: HTTP method.
        template: Path with `{placeholders}` from `_GRAMMAR`.
        treatment: What the border does.
        action: The judge's action, when judged. Its origin is the server that asks, its
            destination the server that is asked, in both directions.
    """

    name: str
    section: str
    method: str
    template: str
    treatment: Treatment
    action: ActionKind | None = None


def _carried(name: str, section: str, method: str, template: str) -> Endpoint:
    return Endpoint(name, section, method, template, Treatment.CARRIED)


def _closed(name: str, section: str, method: str, template: str) -> Endpoint:
    return Endpoint(name, section, method, template, Treatment.CLOSED)


def _judged(action: ActionKind, name: str, section: str, method: str, template: str) -> Endpoint:
    return Endpoint(name, section, method, template, Treatment.JUDGED, action)


_V1 = "/_matrix/federation/v1"
_V2 = "/_matrix/federation/v2"
_KEYS = "Retrieving server keys"
_EVENTS = "Retrieving events"
_JOIN = "Joining Rooms"
_LEAVE = "Leaving Rooms (Rejecting Invites)"
_KNOCK = "Knocking upon a room"
_INVITE = "Inviting to a room"
_BACKFILL = "Backfilling and retrieving missing events"
_QUERY = "Querying for information"
_E2EE = "End-to-End Encryption"
_MEDIA = "Content Repository"
_DIRECTORY = "Public Room Directory"

ENDPOINTS: tuple[Endpoint, ...] = (
    _closed("version", "Server implementation", "GET", f"{_V1}/version"),
    Endpoint("server-keys", _KEYS, "GET", "/_matrix/key/v2/server", Treatment.OPEN),
    _closed("notary-batch", _KEYS, "POST", "/_matrix/key/v2/query"),
    _closed("notary", _KEYS, "GET", "/_matrix/key/v2/query/{server_name}"),
    _carried("send", "Transactions", "PUT", f"{_V1}/send/{{txn_id}}"),
    _carried("event-auth", "PDUs", "GET", f"{_V1}/event_auth/{{room_id}}/{{event_id}}"),
    _carried("backfill", _BACKFILL, "GET", f"{_V1}/backfill/{{room_id}}"),
    _carried("missing-events", _BACKFILL, "POST", f"{_V1}/get_missing_events/{{room_id}}"),
    _carried("event", _EVENTS, "GET", f"{_V1}/event/{{event_id}}"),
    _carried("state", _EVENTS, "GET", f"{_V1}/state/{{room_id}}"),
    _carried("state-ids", _EVENTS, "GET", f"{_V1}/state_ids/{{room_id}}"),
    _carried("timestamp-to-event", _EVENTS, "GET", f"{_V1}/timestamp_to_event/{{room_id}}"),
    _judged(ActionKind.JOIN, "make-join", _JOIN, "GET", f"{_V1}/make_join/{{room_id}}/{{user_id}}"),
    _judged(
        ActionKind.JOIN, "send-join-v1", _JOIN, "PUT", f"{_V1}/send_join/{{room_id}}/{{event_id}}"
    ),
    _judged(
        ActionKind.JOIN, "send-join", _JOIN, "PUT", f"{_V2}/send_join/{{room_id}}/{{event_id}}"
    ),
    _judged(
        ActionKind.KNOCK, "make-knock", _KNOCK, "GET", f"{_V1}/make_knock/{{room_id}}/{{user_id}}"
    ),
    _judged(
        ActionKind.KNOCK, "send-knock", _KNOCK, "PUT", f"{_V1}/send_knock/{{room_id}}/{{event_id}}"
    ),
    _judged(
        ActionKind.INVITE, "invite-v1", _INVITE, "PUT", f"{_V1}/invite/{{room_id}}/{{event_id}}"
    ),
    _judged(ActionKind.INVITE, "invite", _INVITE, "PUT", f"{_V2}/invite/{{room_id}}/{{event_id}}"),
    # Who may not stay must be able to go: leaving needs no grant.
    _carried("make-leave", _LEAVE, "GET", f"{_V1}/make_leave/{{room_id}}/{{user_id}}"),
    _carried("send-leave-v1", _LEAVE, "PUT", f"{_V1}/send_leave/{{room_id}}/{{event_id}}"),
    _carried("send-leave", _LEAVE, "PUT", f"{_V2}/send_leave/{{room_id}}/{{event_id}}"),
    # Unauthenticated in the specification (PUT) and in Synapse (POST).
    _closed("3pid-onbind", "Third-party invites", "PUT", f"{_V1}/3pid/onbind"),
    _closed("3pid-onbind-post", "Third-party invites", "POST", f"{_V1}/3pid/onbind"),
    _closed(
        "3pid-exchange",
        "Third-party invites",
        "PUT",
        f"{_V1}/exchange_third_party_invite/{{room_id}}",
    ),
    _judged(ActionKind.DIRECTORY, "public-rooms", _DIRECTORY, "GET", f"{_V1}/publicRooms"),
    _judged(ActionKind.DIRECTORY, "public-rooms-search", _DIRECTORY, "POST", f"{_V1}/publicRooms"),
    _judged(ActionKind.DIRECTORY, "hierarchy", "Spaces", "GET", f"{_V1}/hierarchy/{{room_id}}"),
    _judged(ActionKind.ALIAS, "query-alias", _QUERY, "GET", f"{_V1}/query/directory"),
    _judged(ActionKind.PROFILE, "query-profile", _QUERY, "GET", f"{_V1}/query/profile"),
    # Unauthenticated by design, and its query holds a token: not across the border.
    _closed("openid-userinfo", "OpenID", "GET", f"{_V1}/openid/userinfo"),
    _judged(
        ActionKind.KEYS,
        "user-devices",
        "Device Management",
        "GET",
        f"{_V1}/user/devices/{{user_id}}",
    ),
    _judged(ActionKind.KEYS, "keys-claim", _E2EE, "POST", f"{_V1}/user/keys/claim"),
    _judged(ActionKind.KEYS, "keys-query", _E2EE, "POST", f"{_V1}/user/keys/query"),
    _judged(
        ActionKind.MEDIA, "media-download", _MEDIA, "GET", f"{_V1}/media/download/{{media_id}}"
    ),
    _judged(
        ActionKind.MEDIA, "media-thumbnail", _MEDIA, "GET", f"{_V1}/media/thumbnail/{{media_id}}"
    ),
)

# What a decoded placeholder may be; 255 bytes is the specification's limit for identifiers.
_GRAMMAR: dict[str, re.Pattern[str]] = {
    "room_id": re.compile(r"![^\s]{1,254}"),
    "event_id": re.compile(r"\$[^\s]{1,254}"),
    "user_id": re.compile(r"(?=.{3,255}$)@[^\s:]*:[^\s]+"),
    "txn_id": re.compile(r"[^\s/]{1,255}"),
    "media_id": re.compile(r"[A-Za-z0-9_\-]{1,255}"),
    "server_name": re.compile(r"[^\s/]{1,255}"),
}


@dataclass(frozen=True, slots=True)
class Match:
    """An endpoint that a request asks for, with its decoded path parameters."""

    endpoint: Endpoint
    parameters: dict[str, str]


def match(method: str, target: Target) -> Match | str:
    """Find the endpoint of a request.

    Args:
        method: HTTP method, upper case.
        target: The canonical target.

    Returns:
        The match, or the reason code `unknown-endpoint` or `wrong-method`.
    """
    reason = "unknown-endpoint"
    for endpoint, pattern in _BY_LENGTH.get(len(target.segments), ()):
        parameters = _parameters(pattern, target)
        if parameters is None:
            continue
        if endpoint.method == method:
            return Match(endpoint, parameters)
        reason = "wrong-method"
    return reason


def _parameters(pattern: tuple[str, ...], target: Target) -> dict[str, str] | None:
    """Compare segment by segment; literals match raw, so an escaped literal is unknown."""
    found: dict[str, str] = {}
    for expected, raw, decoded in zip(pattern, target.segments, target.decoded, strict=True):
        if not expected.startswith("{"):
            if expected != raw:
                return None
            continue
        name = expected.strip("{}")
        if _GRAMMAR[name].fullmatch(decoded) is None:
            return None
        found[name] = decoded
    return found


def _by_length() -> dict[int, list[tuple[Endpoint, tuple[str, ...]]]]:
    table: dict[int, list[tuple[Endpoint, tuple[str, ...]]]] = {}
    for endpoint in ENDPOINTS:
        pattern = tuple(endpoint.template.split("/")[1:])
        table.setdefault(len(pattern), []).append((endpoint, pattern))
    return table


_BY_LENGTH = _by_length()
