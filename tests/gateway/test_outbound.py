"""What the own homeserver may ask of whom, and that nothing else is ever connected to."""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from http.client import IncompleteRead
from typing import Any

import pytest
import trustme
from aiohttp import web
from signedjson.key import encode_verify_key_base64, generate_signing_key, get_verify_key
from signedjson.sign import sign_json

pytestmark = pytest.mark.hostile

V1 = "/_matrix/federation/v1"
ITT, FIN, LAW = "itt.gov.test", "fin.gov.test", "law.gov.test"
SEND = f"{V1}/send/1"
BODY = b'{"edus":[],"pdus":[]}'
Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@pytest.fixture(autouse=True)
def no_name_is_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail the test when anything asks for the address of a name."""

    def refuse(host: Any, *args: Any, **further: Any) -> Any:
        if host not in {"127.0.0.1", "127.0.0.2", "::1", None, ""}:
            raise AssertionError(f"somebody asked for the address of {host!r}")
        return real(host, *args, **further)

    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


async def peer(network: Any, answer: Answer | None = None, **further: Any) -> list[Any]:
    """A border for fin.gov.test where the policy says that it is."""
    tls = network.tls_server(further.pop("name", FIN), **further)
    port, seen = await network.recorder(answer, tls=tls)
    network.members[FIN].port = port
    network.publish()
    found: list[Any] = seen
    return found


async def test_a_request_reaches_the_peer_at_the_address_of_the_policy(network: Any) -> None:
    seen = await peer(network)
    gateway = await network.gateway()

    answer = await network.ask_out(gateway, "PUT", SEND, body=BODY)

    assert (answer.status, answer.json) == (200, {"seen": 1})
    (request,) = seen
    assert (request.method, request.target, request.body) == ("PUT", SEND, BODY)
    assert request.headers["Host"] == FIN
    assert request.headers["Authorization"].startswith('X-Matrix origin="itt.gov.test"')
    assert "Proxy-Authorization" not in request.headers
    assert "Synapse" not in str(answer.headers)


async def test_the_target_reaches_the_peer_byte_for_byte(network: Any) -> None:
    seen = await peer(network)
    gateway = await network.gateway()
    target = f"{V1}/backfill/%21r%3Aitt.gov.test?v=%24a%2Bb&v=$c+d&limit=10"

    answer = await network.ask_out(gateway, "GET", target)

    assert answer.status == 200
    assert [request.target for request in seen] == [target]


@pytest.mark.parametrize("secret", [None, "", "wrong", "ü", "a-made-up-proxy-secret2"])
async def test_without_the_secret_nothing_leaves(network: Any, secret: str | None) -> None:
    seen = await peer(network)
    gateway = await network.gateway()

    answer = await network.ask_out(gateway, "PUT", SEND, body=BODY, secret=secret)

    assert (answer.status, answer.reason) == (407, "wrong-proxy-secret")
    assert seen == []


async def test_a_server_outside_the_registry_is_never_connected_to(network: Any) -> None:
    touched: list[Any] = []

    async def touch(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        touched.append(writer.get_extra_info("sockname"))
        writer.close()

    trap = await asyncio.start_server(touch, ["127.0.0.1", "127.0.0.2"], 0)
    port = trap.sockets[0].getsockname()[1]
    await peer(network)
    gateway = await network.gateway()

    destinations = [
        LAW,
        "matrix.org.test",
        "localhost",
        f"127.0.0.1:{port}",
        f"{FIN}:{port}",
        f"{FIN}@127.0.0.1:{port}",
        f"user:password@127.0.0.1:{port}",
        "FIN.gov.test",
        f"{FIN}.",
        "[::1]",
        "f\u00efn.gov.test",
        "a" * 300,
        ITT,
    ]
    answers = [
        await network.ask_out(gateway, "PUT", SEND, body=BODY, destination=name)
        for name in destinations
    ]
    trap.close()

    assert {answer.status for answer in answers} <= {400, 403}
    assert answers[0].reason == "server-unknown"
    assert touched == []


@pytest.mark.parametrize(
    "target",
    [
        f"http://fin.gov.test{SEND}",
        f"https://fin.gov.test{SEND}",
        f"file://fin.gov.test{SEND}",
        SEND,
        "matrix-federation://fin.gov.test",
    ],
)
async def test_only_the_scheme_of_synapse_is_served(network: Any, target: str) -> None:
    seen = await peer(network)
    gateway = await network.gateway()
    secret = "a-made-up-proxy-secret"
    lines = f"PUT {target} HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Bearer {secret}\r\n"

    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.outbound_port)
    writer.write(f"{lines}Connection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"not-a-federation-request" in answer
    assert seen == []


@pytest.mark.parametrize(
    "target",
    [
        "/_matrix/key/v2/query/law.gov.test",
        f"{V1}/version",
        f"{V1}/openid/userinfo?access_token=t",
        "/_matrix/media/v3/download/fin.gov.test/abc",
        "/_matrix/federation/unstable/rooms/!r/complexity",
        "/.well-known/matrix/server",
    ],
)
async def test_what_the_table_does_not_open_does_not_leave(network: Any, target: str) -> None:
    seen = await peer(network)
    gateway = await network.gateway()

    answer = await network.ask_out(gateway, "GET", target)

    assert (answer.status, answer.json["errcode"]) == (404, "M_UNRECOGNIZED")
    assert seen == []


async def test_what_the_judge_does_not_grant_does_not_leave(network: Any) -> None:
    network.actions = ["invite"]
    seen = await peer(network)
    gateway = await network.gateway()

    profile = await network.ask_out(gateway, "GET", f"{V1}/query/profile?user_id=%40a%3A{FIN}")
    send = await network.ask_out(gateway, "PUT", SEND, body=BODY)

    assert (profile.status, profile.reason) == (403, "no-permit")
    assert send.status == 200
    assert [request.target for request in seen] == [SEND]


async def test_a_certificate_of_another_ca_is_not_believed(network: Any) -> None:
    seen = await peer(network, ca=trustme.CA())
    gateway = await network.gateway()

    answer = await network.ask_out(gateway, "PUT", SEND, body=BODY)

    assert (answer.status, answer.reason) == (502, "peer-certificate")
    assert seen == []


async def test_a_certificate_for_another_name_is_not_believed(network: Any) -> None:
    seen = await peer(network, name=LAW)
    gateway = await network.gateway()

    answer = await network.ask_out(gateway, "PUT", SEND, body=BODY)

    assert (answer.status, answer.reason) == (502, "peer-certificate")
    assert seen == []


async def test_a_peer_that_is_down_is_told_as_502(network: Any) -> None:
    gateway = await network.gateway()

    answer = await network.ask_out(gateway, "PUT", SEND, body=BODY)

    assert (answer.status, answer.reason) == (502, "peer-unreachable")


async def test_an_address_that_is_a_name_is_refused(network: Any) -> None:
    network.members[FIN].host = "fin.gov.test"
    gateway = await network.gateway()

    answer = await network.ask_out(gateway, "PUT", SEND, body=BODY)

    assert (answer.status, answer.reason) == (403, "address-not-an-ip")


async def test_an_ipv6_address_of_the_policy_is_reached(network: Any) -> None:
    arrived: list[Any] = []

    async def note(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    tls = network.tls_server(FIN)
    tls.sni_callback = lambda _socket, name, _context: arrived.append(name)
    server = await asyncio.start_server(note, "::1", 0, ssl=tls)
    network.members[FIN].host = "::1"
    network.members[FIN].port = server.sockets[0].getsockname()[1]
    gateway = await network.gateway()

    await network.ask_out(gateway, "PUT", SEND, body=BODY)
    server.close()

    assert arrived[0] == FIN


async def test_a_silent_peer_is_told_as_504(network: Any) -> None:
    ended = asyncio.Event()

    async def silence(_: web.BaseRequest) -> web.StreamResponse:
        await ended.wait()
        return web.Response()

    await peer(network, silence)
    gateway = await network.gateway(limits={"answer_seconds": 0.2})

    answer = await network.ask_out(gateway, "PUT", SEND, body=BODY)
    ended.set()

    assert (answer.status, answer.reason) == (504, "peer-timeout")


async def test_a_peer_s_error_is_passed_on_as_it_is(network: Any) -> None:
    async def refuse(_: web.BaseRequest) -> web.StreamResponse:
        return web.json_response({"errcode": "M_FORBIDDEN"}, status=403)

    await peer(network, refuse)
    gateway = await network.gateway()

    answer = await network.ask_out(gateway, "PUT", SEND, body=BODY)

    assert (answer.status, answer.json) == (403, {"errcode": "M_FORBIDDEN"})


async def test_a_redirect_is_not_passed_on(network: Any) -> None:
    async def redirect(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": "http://127.0.0.1:1/"})

    await peer(network, redirect)
    gateway = await network.gateway()

    answer = await network.ask_out(gateway, "GET", f"{V1}/media/download/abc")

    assert (answer.status, answer.reason) == (403, "peer-redirects")
    assert "Location" not in answer.headers


async def test_a_request_body_beyond_the_limit_does_not_leave(network: Any) -> None:
    seen = await peer(network)
    gateway = await network.gateway(limits={"request_bytes": 65536})

    answer = await network.ask_out(gateway, "PUT", SEND, body=b'"' + b"a" * 70_000 + b'"')

    assert (answer.status, answer.reason) == (413, "body-too-large")
    assert seen == []


async def test_an_answer_that_grows_beyond_the_limit_is_cut_and_never_whole(network: Any) -> None:
    async def endless(request: web.BaseRequest) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        await answer.prepare(request)
        for _ in range(100):
            await answer.write(b"a" * 10_000)
        return answer

    await peer(network, endless)
    gateway = await network.gateway(limits={"answer_bytes": 65536})

    with pytest.raises((IncompleteRead, ConnectionError)):
        await network.ask_out(gateway, "GET", f"{V1}/state/!r")


def multipart(*, location: bool) -> Answer:
    part = (
        b"Location: http://127.0.0.1:1/\r\n\r\n" if location else b"Content-Type: a/b\r\n\r\nfile"
    )
    body = (
        b"\r\n--b\r\nContent-Type: application/json\r\n\r\n{}\r\n--b\r\n" + part + b"\r\n--b--\r\n"
    )

    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=body, headers={"Content-Type": "multipart/mixed; boundary=b"})

    return answer


async def test_a_media_file_passes_under_another_boundary(network: Any) -> None:
    await peer(network, multipart(location=False))
    gateway = await network.gateway()

    answer = await network.ask_out(gateway, "GET", f"{V1}/media/download/abc")

    boundary = answer.headers["Content-Type"].partition("boundary=")[2]
    assert answer.status == 200
    assert len(boundary) == 32
    assert answer.body.split(f"\r\n--{boundary}".encode())[2].endswith(b"\r\n\r\nfile")


async def test_a_media_answer_that_points_elsewhere_is_refused(network: Any) -> None:
    await peer(network, multipart(location=True))
    gateway = await network.gateway()

    answer = await network.ask_out(gateway, "GET", f"{V1}/media/thumbnail/abc?width=1&height=1")

    assert (answer.status, answer.reason) == (403, "peer-redirects")


@pytest.mark.parametrize("honest", [True, False])
async def test_a_peer_s_keys_pass_only_as_the_policy_pins_them(network: Any, honest: bool) -> None:
    key = network.members[FIN].key if honest else generate_signing_key("1")
    told = {
        "server_name": FIN,
        "verify_keys": {"ed25519:1": {"key": encode_verify_key_base64(get_verify_key(key))}},
        "valid_until_ts": 4_000_000_000_000,
    }
    signed = sign_json(told, FIN, key)

    async def keys(_: web.BaseRequest) -> web.StreamResponse:
        return web.json_response(signed)

    await peer(network, keys)
    gateway = await network.gateway()

    answer = await network.ask_out(gateway, "GET", "/_matrix/key/v2/server")

    if honest:
        assert (answer.status, answer.json) == (200, json.loads(json.dumps(signed)))
    else:
        assert (answer.status, answer.reason) == (403, "key-mismatch")
