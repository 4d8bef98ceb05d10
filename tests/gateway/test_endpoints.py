"""The table of endpoints finds what the specification names, and the docs show the same table."""

import re
from pathlib import Path

import pytest

from rabta_gateway.endpoints import ENDPOINTS, Match, Treatment, match
from rabta_gateway.refusals import REASONS
from rabta_gateway.target import parse_target
from rabta_policy import ActionKind

PAGE = Path(__file__).parents[2] / "docs/reference/federation-endpoints.md"
V1 = "/_matrix/federation/v1"


def find(method: str, raw: str) -> Match | str:
    target = parse_target(raw)
    assert target is not None
    return match(method, target)


@pytest.mark.parametrize(
    ("method", "raw", "name", "action"),
    [
        ("PUT", f"{V1}/send/1700000000", "send", None),
        ("GET", f"{V1}/make_join/!r:itt.gov.test/@a:fin.gov.test", "make-join", ActionKind.JOIN),
        ("PUT", "/_matrix/federation/v2/send_join/!r/$e", "send-join", ActionKind.JOIN),
        ("PUT", "/_matrix/federation/v2/invite/!r/$e", "invite", ActionKind.INVITE),
        ("GET", f"{V1}/query/profile?user_id=@a:itt.gov.test", "query-profile", ActionKind.PROFILE),
        ("GET", f"{V1}/query/directory?room_alias=%23a", "query-alias", ActionKind.ALIAS),
        ("POST", f"{V1}/user/keys/claim", "keys-claim", ActionKind.KEYS),
        ("GET", f"{V1}/media/download/abc_DEF-1", "media-download", ActionKind.MEDIA),
        ("GET", f"{V1}/event/%24with%2Fslash", "event", None),
        ("GET", "/_matrix/key/v2/server", "server-keys", None),
    ],
)
def test_an_endpoint_is_found_with_its_action(
    method: str, raw: str, name: str, action: ActionKind | None
) -> None:
    found = find(method, raw)

    assert isinstance(found, Match)
    assert (found.endpoint.name, found.endpoint.action) == (name, action)


@pytest.mark.parametrize(
    ("method", "raw", "reason"),
    [
        ("GET", "/.well-known/matrix/server", "unknown-endpoint"),
        ("GET", "/_matrix/client/versions", "unknown-endpoint"),
        ("GET", "/_synapse/admin/v1/server_version", "unknown-endpoint"),
        ("GET", "/_matrix/media/v3/download/itt.gov.test/abc", "unknown-endpoint"),
        ("GET", "/_matrix/federation/unstable/rooms/!r/complexity", "unknown-endpoint"),
        ("POST", "/_matrix/policy/v1/sign", "unknown-endpoint"),
        ("GET", f"{V1}/query/custom", "unknown-endpoint"),
        ("PUT", f"{V1}/%73end/1", "unknown-endpoint"),
        ("PUT", "/_matrix/federation/V1/send/1", "unknown-endpoint"),
        ("GET", f"{V1}/media/download/%2e%2e%2fsecret", "unknown-endpoint"),
        ("GET", f"{V1}/make_join/room/@a:fin.gov.test", "unknown-endpoint"),
        ("GET", f"{V1}/user/devices/@{'a' * 200}:{'b' * 60}", "unknown-endpoint"),
        ("GET", f"{V1}/send/1", "wrong-method"),
        ("DELETE", f"{V1}/send/1", "wrong-method"),
        ("OPTIONS", f"{V1}/publicRooms", "wrong-method"),
    ],
)
def test_what_is_not_in_the_table_does_not_exist(method: str, raw: str, reason: str) -> None:
    assert find(method, raw) == reason


def test_every_judged_endpoint_names_its_action_and_no_other_does() -> None:
    judged = {endpoint.name for endpoint in ENDPOINTS if endpoint.treatment is Treatment.JUDGED}
    with_action = {endpoint.name for endpoint in ENDPOINTS if endpoint.action is not None}

    assert judged == with_action


def test_the_reference_page_shows_exactly_the_table() -> None:
    rows = re.findall(
        r"^\| `([a-z0-9-]+)` \| ([^|]+) \| `([A-Z]+) ([^`]+)` \| ([a-z]+) \| ([^|]+) \|$",
        PAGE.read_text(encoding="utf-8"),
        re.MULTILINE,
    )

    expected = [
        (
            endpoint.name,
            endpoint.section,
            endpoint.method,
            endpoint.template,
            str(endpoint.treatment),
            f"`{endpoint.action}`" if endpoint.action else "-",
        )
        for endpoint in ENDPOINTS
    ]
    assert rows == expected


def test_the_reference_page_explains_every_reason_code_and_no_other() -> None:
    text = PAGE.read_text(encoding="utf-8")
    told = re.findall(r"^\| `([a-z-]+)` \| (\d{3}) \|", text, re.MULTILINE)

    assert told == [(code, str(face.status)) for code, face in REASONS.items()]
