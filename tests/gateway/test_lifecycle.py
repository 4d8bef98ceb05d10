"""A new policy opens and closes within a second; a faulty one leaves the last good in force."""

import asyncio
import json
import socket
import ssl
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from signedjson.key import encode_verify_key_base64, generate_signing_key, get_verify_key

from rabta_gateway.gateway import Gateway
from rabta_gateway.settings import Settings, SettingsError

V1 = "/_matrix/federation/v1"
ITT, FIN, LAW = "itt.gov.test", "fin.gov.test", "law.gov.test"
SEND = f"{V1}/send/1"
CONTENT: dict[str, Any] = {"pdus": []}
BODY = json.dumps(CONTENT).encode()


async def send(network: Any, gateway: Gateway, by: str = FIN) -> Any:
    header = network.members[by].sign("PUT", SEND, CONTENT)
    return await network.ask_in(gateway, "PUT", SEND, [("Authorization", header)], BODY)


async def reload(network: Any, gateway: Gateway) -> None:
    network.publish()
    await network.until(lambda: gateway.policy.policy.serial == network.serial)


async def test_a_policy_that_names_a_third_server_lets_it_in_and_a_later_one_out_again(
    network: Any,
) -> None:
    port, seen = await network.recorder()
    gateway = await network.gateway(upstream_port=port)
    before = await send(network, gateway, by=LAW)

    network.members[LAW].named = True
    await reload(network, gateway)
    named = await send(network, gateway, by=LAW)

    network.members[LAW].status = "suspended"
    await reload(network, gateway)
    suspended = await send(network, gateway, by=LAW)

    network.members[LAW].named = False
    await reload(network, gateway)
    removed = await send(network, gateway, by=LAW)

    statuses = [answer.status for answer in (before, named, suspended, removed)]
    assert statuses == [403, 200, 403, 403]
    assert len(seen) == 1


async def test_a_key_is_rotated_by_pinning_both_then_the_new_one_alone(network: Any) -> None:
    port, seen = await network.recorder()
    fin = network.members[FIN]
    old, new = fin.key, generate_signing_key("2")
    gateway = await network.gateway(upstream_port=port)

    async def statuses() -> list[int]:
        found = []
        for fin.key in (old, new):
            found.append((await send(network, gateway)).status)
        return found

    before = await statuses()
    fin.pinned = fin.pinned | {"ed25519:2": encode_verify_key_base64(get_verify_key(new))}
    await reload(network, gateway)
    both = await statuses()
    del fin.pinned["ed25519:1"]
    await reload(network, gateway)
    after = await statuses()

    assert [before, both, after] == [[200, 403], [200, 200], [403, 200]]
    assert len(seen) == 4


async def test_outbound_follows_the_policy_to_a_new_address(network: Any) -> None:
    old, _ = await network.recorder(tls=network.tls_server(FIN))
    new, seen = await network.recorder(tls=network.tls_server(FIN))
    network.members[FIN].port = old
    network.publish()
    gateway = await network.gateway()
    assert (await network.ask_out(gateway, "PUT", SEND, body=BODY)).status == 200

    network.members[FIN].port = new
    await reload(network, gateway)

    assert (await network.ask_out(gateway, "PUT", SEND, body=BODY)).status == 200
    assert len(seen) == 1


async def test_an_expired_policy_closes_both_directions_by_itself(network: Any) -> None:
    port, seen = await network.recorder()
    gateway = await network.gateway(upstream_port=port)
    assert (await send(network, gateway)).status == 200
    assert (await fetch(network, gateway, "/health"))[0] == 200

    network.now = network.not_after + timedelta(days=7)

    assert (await send(network, gateway)).status == 403
    outbound = await network.ask_out(gateway, "PUT", SEND, body=BODY)
    assert (outbound.status, outbound.reason) == (403, "policy-expired")
    status, body = await fetch(network, gateway, "/health")
    assert status == 503
    assert json.loads(body) == {"federating": 0, "serial": 1, "standing": "expired"}
    assert len(seen) == 1


async def test_in_the_days_of_grace_rooms_go_on_and_nothing_new_begins(network: Any) -> None:
    port, _ = await network.recorder()
    gateway = await network.gateway(upstream_port=port)
    network.now = network.not_after + timedelta(days=1)
    target = f"{V1}/make_join/!r:itt.gov.test/@a:fin.gov.test"
    header = network.members[FIN].sign("GET", target)

    join = await network.ask_in(gateway, "GET", target, [("Authorization", header)])

    assert (await send(network, gateway)).status == 200
    assert (join.status, join.reason) == (403, "policy-in-grace")


async def test_a_suspended_ministry_talks_to_nobody(network: Any) -> None:
    port, seen = await network.recorder()
    network.members[ITT].status = "suspended"
    gateway = await network.gateway(upstream_port=port)

    inbound = await send(network, gateway)
    outbound = await network.ask_out(gateway, "PUT", SEND, body=BODY)

    assert (inbound.status, outbound.reason) == (403, "own-server-closed")
    assert seen == []


def fault_count(gateway: Gateway, reason: str) -> float:
    value = gateway.metrics.registry.get_sample_value(
        "rabta_gateway_policy_faults_total", {"reason": reason}
    )
    return value or 0.0


@pytest.mark.parametrize(
    ("reason", "spoil"),
    [
        ("policy-serial-too-low", lambda n: n.publish(serial=1)),
        ("policy-signature-bad", lambda n: n.publish(key=generate_signing_key("authority"))),
        ("policy-signer-unknown", lambda n: n.publish(key=generate_signing_key("other"))),
        ("policy-malformed", lambda n: n.policy_file.write_bytes(b"{")),
        ("policy-unreadable", lambda n: n.policy_file.unlink()),
    ],
)
async def test_a_faulty_policy_file_leaves_the_last_good_policy_in_force(
    network: Any, reason: str, spoil: Any
) -> None:
    network.serial = 4
    port, _ = await network.recorder()
    gateway = await network.gateway(upstream_port=port)

    spoil(network)
    await network.until(lambda: fault_count(gateway, reason) == 1)

    assert gateway.policy.policy.serial == 5
    assert (await send(network, gateway)).status == 200


async def test_a_lower_serial_is_refused_after_a_restart_too(network: Any) -> None:
    network.serial = 4
    gateway = await network.gateway()
    await gateway.stop()
    settings = network.settings()

    network.publish(serial=3)

    with pytest.raises(SettingsError, match="policy-serial-too-low"):
        Gateway(Settings.model_validate(settings))


@pytest.mark.parametrize("state", ["", "{}", '{"serial": "5"}', '{"serial": -1}', "[1]", "\xff"])
def test_a_broken_state_file_is_never_taken_for_serial_0(network: Any, state: str) -> None:
    settings = network.settings()
    Path(settings["state_file"]).write_text(state)

    with pytest.raises(SettingsError, match="last serial"):
        Gateway(Settings.model_validate(settings))


async def test_a_renewed_certificate_is_shown_to_new_connections(network: Any) -> None:
    gateway = await network.gateway()
    first = await shown_certificate(network, gateway)

    network.leaf(ITT)

    async def renewed() -> bool:
        return await shown_certificate(network, gateway) != first

    await network.until(renewed)


async def test_half_a_pair_leaves_the_old_certificate(network: Any) -> None:
    gateway = await network.gateway()
    first = await shown_certificate(network, gateway)

    (network.directory / f"{ITT}.key").write_text("half")
    name = "rabta_gateway_certificate_faults_total"
    await network.until(lambda: gateway.metrics.registry.get_sample_value(name) == 1)

    assert await shown_certificate(network, gateway) == first


async def test_a_request_under_way_ends_before_the_gateway_does(network: Any) -> None:
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_: Any) -> Any:
        arrived.set()
        await go_on.wait()
        return web.json_response({})

    port, _ = await network.recorder(slow)
    gateway = await network.gateway(upstream_port=port)
    under_way = asyncio.create_task(send(network, gateway))
    await arrived.wait()

    stopping = asyncio.create_task(gateway.stop())
    await network.until(lambda: not accepts(gateway.inbound_port))
    go_on.set()
    await stopping

    assert (await under_way).status == 200


async def test_metrics_count_by_endpoint_and_reason_and_name_no_peer(network: Any) -> None:
    port, _ = await network.recorder()
    gateway = await network.gateway(upstream_port=port)
    await send(network, gateway)
    await send(network, gateway, by=LAW)

    status, body = await fetch(network, gateway, "/metrics")

    text = body.decode()
    assert status == 200
    forwarded = 'direction="inbound",endpoint="send",outcome="forwarded"'
    assert f"rabta_gateway_requests_total{{{forwarded}}} 1.0" in text
    assert 'rabta_gateway_refusals_total{direction="inbound",reason="server-unknown"} 1.0' in text
    assert ".gov.test" not in text


async def fetch(network: Any, gateway: Gateway, path: str) -> tuple[int, bytes]:
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = await network.plain(gateway.metrics_port, request.encode())
    return answer.status, answer.body


async def shown_certificate(network: Any, gateway: Gateway) -> bytes:
    _, writer = await asyncio.open_connection(
        "127.0.0.1", gateway.inbound_port, ssl=network.tls_client(), server_hostname=ITT
    )
    shown: ssl.SSLObject = writer.get_extra_info("ssl_object")
    certificate = shown.getpeercert(binary_form=True)
    writer.close()
    assert certificate is not None
    return certificate


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
