"""What reaches the homeserver from a peer, and what never does."""

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web
from signedjson.key import generate_signing_key

pytestmark = pytest.mark.hostile

V1 = "/_matrix/federation/v1"
ITT, FIN, LAW = "itt.gov.test", "fin.gov.test", "law.gov.test"
SEND = f"{V1}/send/1"
CONTENT = {"origin": FIN, "origin_server_ts": 1, "pdus": [], "edus": []}
BODY = json.dumps(CONTENT).encode()


def signed(
    network: Any, method: str, target: str, content: Any = None, **lies: Any
) -> tuple[str, str]:
    return "Authorization", network.members[lies.pop("by", FIN)].sign(
        method, target, content, **lies
    )


async def test_a_signed_transaction_reaches_the_homeserver_with_a_header_written_afresh(
    network: Any,
) -> None:
    port, seen = await network.recorder()
    gateway = await network.gateway(upstream_port=port)
    header = signed(network, "PUT", SEND, CONTENT)
    smuggled = [("X-Forwarded-For", "10.0.0.1"), ("Cookie", "a=b"), ("X-Matrix-Origin", ITT)]

    answer = await network.ask_in(gateway, "PUT", SEND, [header, *smuggled], BODY)

    assert (answer.status, answer.json) == (200, {"seen": 1})
    (request,) = seen
    assert (request.method, request.target) == ("PUT", SEND)
    assert json.loads(request.body) == CONTENT
    assert set(request.headers) == {
        "Host",
        "User-Agent",
        "Accept-Encoding",
        "X-Forwarded-For",
        "X-Forwarded-Proto",
        "Authorization",
        "Content-Type",
        "Content-Length",
    }
    assert request.headers["Host"] == ITT
    assert request.headers["X-Forwarded-For"] == "127.0.0.1"


async def test_an_answer_does_not_tell_which_homeserver_this_is(network: Any) -> None:
    port, _ = await network.recorder()
    gateway = await network.gateway(upstream_port=port)

    answer = await network.ask_in(gateway, "GET", "/_matrix/key/v2/server")

    assert answer.status == 200
    assert answer.headers["Server"] == "rabta"
    assert "Synapse" not in str(answer.headers)


async def test_the_target_reaches_the_homeserver_byte_for_byte(network: Any) -> None:
    port, seen = await network.recorder()
    gateway = await network.gateway(upstream_port=port)
    target = f"{V1}/backfill/%21r%3Aitt.gov.test?v=%24a%2Bb&v=$c+d&limit=10"

    answer = await network.ask_in(gateway, "GET", target, [signed(network, "GET", target)])

    assert answer.status == 200
    assert [request.target for request in seen] == [target]


@pytest.mark.parametrize(
    ("lie", "status", "reason"),
    [
        ({"key": generate_signing_key("1")}, 403, None),
        ({"key": generate_signing_key("2")}, 403, None),
        ({"destination": LAW}, 401, "wrong-destination"),
        ({"by": LAW}, 403, None),
        ({"origin": ITT}, 403, None),
        ({"origin": LAW}, 403, None),
    ],
)
async def test_a_peer_that_lies_is_refused_and_a_stranger_learns_nothing(
    network: Any, lie: dict[str, Any], status: int, reason: str | None
) -> None:
    port, seen = await network.recorder()
    gateway = await network.gateway(upstream_port=port)

    answer = await network.ask_in(
        gateway, "PUT", SEND, [signed(network, "PUT", SEND, CONTENT, **lie)], BODY
    )

    assert (answer.status, answer.reason) == (status, reason)
    assert seen == []


async def test_what_was_signed_for_one_request_does_not_pass_for_another(network: Any) -> None:
    port, seen = await network.recorder()
    gateway = await network.gateway(upstream_port=port)
    header = signed(network, "PUT", SEND, CONTENT)
    other = json.dumps({**CONTENT, "edus": [{}]}).encode()

    answers = [
        await network.ask_in(gateway, "PUT", f"{V1}/send/2", [header], BODY),
        await network.ask_in(gateway, "PUT", SEND, [header], other),
        await network.ask_in(gateway, "PUT", SEND + "?x=1", [header], BODY),
        await network.ask_in(gateway, "GET", f"{V1}/event/$e", [header]),
    ]

    assert [answer.status for answer in answers] == [403] * 4
    assert seen == []


@pytest.mark.parametrize(
    ("method", "target", "status", "reason"),
    [
        ("GET", f"{V1}/version", 404, "closed-endpoint"),
        ("POST", f"{V1}/3pid/onbind", 404, "closed-endpoint"),
        ("PUT", f"{V1}/3pid/onbind", 404, "closed-endpoint"),
        ("GET", f"{V1}/openid/userinfo?access_token=t", 404, "closed-endpoint"),
        ("POST", "/_matrix/key/v2/query", 404, "closed-endpoint"),
        ("GET", "/_matrix/key/v2/query/fin.gov.test", 404, "closed-endpoint"),
        ("GET", "/.well-known/matrix/server", 404, "unknown-endpoint"),
        ("GET", "/_matrix/client/versions", 404, "unknown-endpoint"),
        ("GET", "/_synapse/admin/v1/server_version", 404, "unknown-endpoint"),
        ("POST", "/_synapse/client/rabta/room_class", 404, "unknown-endpoint"),
        ("GET", "/_matrix/federation/unstable/rooms/!r/complexity", 404, "unknown-endpoint"),
        ("GET", f"{V1}/query/client_keys?device_keys=x", 404, "unknown-endpoint"),
        ("GET", f"{V1}/query/profile?x=1;user_id=@a:itt.gov.test", 400, "malformed-target"),
        ("GET", f"{V1}/send/1", 405, "wrong-method"),
        ("PUT", f"{V1}/x/%2e%2e/send/1", 400, "malformed-target"),
        ("PUT", f"{V1}//send/1", 400, "malformed-target"),
        ("PUT", "//_matrix/federation/v1/send/1", 400, "malformed-target"),
        ("PUT", f"{V1}/%73end/1", 404, "unknown-endpoint"),
    ],
)
async def test_what_the_table_does_not_open_is_refused_even_well_signed(
    network: Any, method: str, target: str, status: int, reason: str
) -> None:
    port, seen = await network.recorder()
    gateway = await network.gateway(upstream_port=port)

    answer = await network.ask_in(gateway, method, target, [signed(network, method, target)])

    assert (answer.status, answer.reason) == (status, reason)
    assert seen == []


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ([], "authorization-missing"),
        ([("Authorization", "Bearer syt_token")], "authorization-malformed"),
        ([("Authorization", "X-Matrix origin=fin.gov.test")], "authorization-malformed"),
    ],
)
async def test_without_one_good_header_nothing_is_forwarded(
    network: Any, headers: list[tuple[str, str]], reason: str
) -> None:
    port, seen = await network.recorder()
    gateway = await network.gateway(upstream_port=port)

    answer = await network.ask_in(gateway, "PUT", SEND, headers, BODY)

    assert (answer.status, answer.reason) == (401, reason)
    assert seen == []


async def test_two_authorization_headers_are_one_too_many(network: Any) -> None:
    port, seen = await network.recorder()
    gateway = await network.gateway(upstream_port=port)
    good = signed(network, "PUT", SEND, CONTENT)
    forged = signed(network, "PUT", SEND, CONTENT, by=LAW)

    answer = await network.ask_in(gateway, "PUT", SEND, [good, forged], BODY)

    assert (answer.status, answer.reason) == (401, "authorization-repeated")
    assert seen == []


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"", 400, "body-not-json"),
        (b"[]", 400, "body-not-json"),
        (b'{"a": NaN}', 400, "body-not-json"),
        (b'{"a": "\\ud800"}', 400, "body-not-json"),
        (b"\xff{}", 400, "body-not-json"),
        (b'{"a":' * 100_000, 400, "body-not-json"),
        (b'{"a": ' + b"9" * 5000 + b"}", 400, "body-not-json"),
        (b'{"a": "' + b"a" * 70_000 + b'"}', 413, "body-too-large"),
    ],
)
async def test_a_body_that_is_no_object_of_fitting_size_is_refused(
    network: Any, body: bytes, status: int, reason: str
) -> None:
    port, seen = await network.recorder()
    gateway = await network.gateway(
        upstream_port=port, limits={"request_bytes": 65536 if reason == "body-too-large" else 2**20}
    )

    answer = await network.ask_in(gateway, "PUT", SEND, [signed(network, "PUT", SEND, {})], body)

    assert (answer.status, answer.reason) == (status, reason)
    assert seen == []


async def test_a_key_written_twice_reaches_the_homeserver_once(network: Any) -> None:
    port, seen = await network.recorder()
    gateway = await network.gateway(upstream_port=port)
    body = b'{"pdus": [1], "pdus": []}'

    answer = await network.ask_in(
        gateway, "PUT", SEND, [signed(network, "PUT", SEND, {"pdus": []})], body
    )

    assert answer.status == 200
    assert [request.body for request in seen] == [b'{"pdus":[]}']


@pytest.mark.parametrize(
    "smuggling",
    [
        [("Transfer-Encoding", "chunked")],
        [("Content-Length", "5")],
        [("Transfer-Encoding", "identity, chunked ")],
        [("Content-Length : 0\r\nX", "y")],
    ],
)
async def test_a_request_with_two_lengths_is_not_served(
    network: Any, smuggling: list[tuple[str, str]]
) -> None:
    port, seen = await network.recorder()
    gateway = await network.gateway(upstream_port=port)
    hidden = BODY + b"GET /_matrix/federation/v1/version HTTP/1.1\r\nHost: x\r\n\r\n"

    answer = await network.ask_in(
        gateway, "PUT", SEND, [signed(network, "PUT", SEND, CONTENT), *smuggling], hidden
    )

    assert answer.status == 400
    assert answer.headers["Server"] == "rabta"
    assert seen == []


async def test_a_body_where_none_is_signed_is_refused(network: Any) -> None:
    port, seen = await network.recorder()
    gateway = await network.gateway(upstream_port=port)
    target = f"{V1}/event/$e"

    with_signature = await network.ask_in(
        gateway, "GET", target, [signed(network, "GET", target)], b"{}"
    )
    keys = await network.ask_in(gateway, "GET", "/_matrix/key/v2/server", [], b"{}")

    assert [with_signature.reason, keys.reason] == ["body-unexpected"] * 2
    assert seen == []


async def test_a_compressed_body_is_refused(network: Any) -> None:
    port, seen = await network.recorder()
    gateway = await network.gateway(upstream_port=port)
    headers = [signed(network, "PUT", SEND, CONTENT), ("Content-Encoding", "gzip")]

    answer = await network.ask_in(gateway, "PUT", SEND, headers, BODY)

    assert (answer.status, answer.reason) == (415, "body-encoded")
    assert seen == []


async def test_a_body_that_never_ends_is_given_up(network: Any) -> None:
    port, seen = await network.recorder()
    gateway = await network.gateway(upstream_port=port, limits={"request_seconds": 0.2})
    headers = [signed(network, "PUT", SEND, CONTENT), ("Content-Length", "1000")]

    answer = await network.ask_in(gateway, "PUT", SEND, headers)

    assert (answer.status, answer.reason) == (408, "body-timeout")
    assert seen == []


async def test_a_peer_that_floods_is_slowed_and_the_homeserver_spared(network: Any) -> None:
    port, seen = await network.recorder()
    gateway = await network.gateway(
        upstream_port=port, rate_limit={"per_second": 0.001, "burst": 2}
    )
    header = signed(network, "PUT", SEND, CONTENT)

    answers = [await network.ask_in(gateway, "PUT", SEND, [header], BODY) for _ in range(3)]

    assert [answer.status for answer in answers] == [200, 200, 429]
    assert answers[2].headers["Retry-After"] == "1"
    assert len(seen) == 2


@pytest.mark.parametrize(
    ("method", "target", "action"),
    [
        ("GET", f"{V1}/query/profile?user_id=%40a%3Aitt.gov.test", "profile"),
        ("GET", f"{V1}/query/directory?room_alias=%23a%3Aitt.gov.test", "alias"),
        ("GET", f"{V1}/publicRooms", "directory"),
        ("GET", f"{V1}/user/devices/@a:itt.gov.test", "keys"),
        ("GET", f"{V1}/media/download/abc", "media"),
        ("GET", f"{V1}/make_join/!r:itt.gov.test/@a:fin.gov.test?ver=11", "join"),
        ("GET", f"{V1}/make_knock/!r:itt.gov.test/@a:fin.gov.test?ver=11", "knock"),
    ],
)
async def test_an_endpoint_that_is_one_action_passes_only_if_the_judge_grants_it(
    network: Any, method: str, target: str, action: str
) -> None:
    port, seen = await network.recorder()
    gateway = await network.gateway(upstream_port=port)
    header = signed(network, method, target)
    assert (await network.ask_in(gateway, method, target, [header])).status == 200

    network.actions = [each for each in network.actions if each != action]
    network.publish()
    await network.until(lambda: gateway.policy.policy.serial == network.serial)
    refused = await network.ask_in(gateway, method, target, [header])

    assert (refused.status, refused.json["errcode"]) == (403, "M_FORBIDDEN")
    assert refused.reason is not None
    assert len(seen) == 1


async def test_an_invite_passes_only_if_the_judge_grants_it(network: Any) -> None:
    port, seen = await network.recorder()
    gateway = await network.gateway(upstream_port=port)
    target = "/_matrix/federation/v2/invite/!r:fin.gov.test/$e"
    header = signed(network, "PUT", target, CONTENT)
    assert (await network.ask_in(gateway, "PUT", target, [header], BODY)).status == 200

    network.actions = ["profile"]
    network.publish()
    await network.until(lambda: gateway.policy.policy.serial == network.serial)

    assert (await network.ask_in(gateway, "PUT", target, [header], BODY)).status == 403
    assert len(seen) == 1


async def test_leaving_needs_no_grant(network: Any) -> None:
    port, seen = await network.recorder()
    network.actions = ["profile"]
    gateway = await network.gateway(upstream_port=port)
    target = f"{V1}/make_leave/!r:itt.gov.test/@a:fin.gov.test"

    answer = await network.ask_in(gateway, "GET", target, [signed(network, "GET", target)])

    assert (answer.status, len(seen)) == (200, 1)


async def test_a_homeserver_that_is_down_is_told_as_502(network: Any) -> None:
    gateway = await network.gateway(upstream_port=9)

    answer = await network.ask_in(
        gateway, "PUT", SEND, [signed(network, "PUT", SEND, CONTENT)], BODY
    )

    assert (answer.status, answer.reason) == (502, "homeserver-unreachable")


async def test_a_homeserver_that_is_silent_is_told_as_504(network: Any) -> None:
    ended = asyncio.Event()

    async def silence(_: web.BaseRequest) -> web.StreamResponse:
        await ended.wait()
        return web.Response()

    port, _ = await network.recorder(silence)
    gateway = await network.gateway(upstream_port=port, limits={"answer_seconds": 0.2})

    answer = await network.ask_in(
        gateway, "PUT", SEND, [signed(network, "PUT", SEND, CONTENT)], BODY
    )
    ended.set()

    assert (answer.status, answer.reason) == (504, "homeserver-timeout")


async def test_media_of_the_homeserver_streams_through_whole(network: Any) -> None:
    file = bytes(range(256)) * 20_000

    async def media(request: web.BaseRequest) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "multipart/mixed; boundary=x"})
        await answer.prepare(request)
        for start in range(0, len(file), 100_000):
            await answer.write(file[start : start + 100_000])
        await answer.write_eof()
        return answer

    port, _ = await network.recorder(media)
    gateway = await network.gateway(upstream_port=port)
    target = f"{V1}/media/download/abc"

    answer = await network.ask_in(gateway, "GET", target, [signed(network, "GET", target)])

    assert answer.status == 200
    assert answer.headers["Content-Type"] == "multipart/mixed; boundary=x"
    assert answer.body == file
