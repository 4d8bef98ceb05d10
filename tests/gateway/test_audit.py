"""Refusals and grants are chained, strangers cannot fill the disk, and no grant goes unwritten."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from rabta_audit import chains, read_lines, verify
from rabta_gateway.audit import NoJournal
from rabta_gateway.bodies import Waiting
from rabta_gateway.gateway import Gateway
from rabta_gateway.refusals import RefusedError

V1 = "/_matrix/federation/v1"
ITT, FIN, LAW = "itt.gov.test", "fin.gov.test", "law.gov.test"
PROFILE = f"{V1}/query/profile?user_id=%40a%3Aitt.gov.test"
JOIN = f"{V1}/make_join/!r:itt.gov.test/@a:fin.gov.test"


async def ask(network: Any, gateway: Gateway, target: str, by: str = FIN) -> Any:
    header = network.members[by].sign("GET", target)
    return await network.ask_in(gateway, "GET", target, [("Authorization", header)])


def records(directory: Path) -> list[dict[str, Any]]:
    (files,) = chains(directory).values()
    return [json.loads(line) for line in read_lines(files)]


async def test_a_grant_and_a_refusal_are_chained_without_the_query(
    network: Any, tmp_path: Path
) -> None:
    directory = tmp_path / "audit"
    directory.mkdir()
    network.actions = ["join"]
    port, _ = await network.recorder()
    gateway = await network.gateway(upstream_port=port, audit_directory=str(directory))

    await ask(network, gateway, JOIN)
    await ask(network, gateway, PROFILE)
    await ask(network, gateway, PROFILE, by=LAW)
    await gateway.stop()

    (files,) = chains(directory).values()
    assert list(chains(directory)) == [f"gateway-{ITT}"]
    head, broken = verify(read_lines(files))
    assert (head.seq, broken) == (3, [])
    said = [
        (r["path"], r["action"], r["verdict"], r["origin"], r.get("actor"), r.get("reasons"))
        for r in records(directory)
    ]
    actor = "@a:fin.gov.test"
    assert said == [
        ("gateway-inbound/make-join", "join", "allowed", FIN, actor, None),
        ("gateway-inbound/query-profile", "profile", "denied", FIN, None, ["no-permit"]),
        ("gateway-inbound/query-profile", "profile", "denied", LAW, None, ["server-unknown"]),
    ]
    assert b"user_id=" not in b"".join(read_lines(files))


async def test_a_grant_that_cannot_be_written_is_not_given(
    network: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(NoJournal, "append", full)
    port, seen = await network.recorder()
    gateway = await network.gateway(upstream_port=port)

    granted = await ask(network, gateway, PROFILE)
    refused = await ask(network, gateway, PROFILE, by=LAW)

    assert (granted.status, granted.reason) == (503, "audit-unwritable")
    assert granted.headers["Retry-After"] == "5"
    assert refused.status == 403
    assert seen == []


async def test_a_flood_of_strangers_does_not_fill_the_disk(
    network: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    directory = tmp_path / "audit"
    directory.mkdir()
    gateway = await network.gateway(audit_directory=str(directory))
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", gateway.inbound_port, ssl=network.tls_client(), server_hostname=ITT
    )

    for _ in range(700):
        writer.write(b"GET /_matrix/federation/v1/version HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"}")
    writer.close()
    await gateway.stop()

    name = "rabta_gateway_refusals_total"
    labels = {"direction": "inbound", "reason": "closed-endpoint"}
    assert gateway.metrics.registry.get_sample_value(name, labels) == 700
    assert 500 <= len(records(directory)) < 600
    assert capfd.readouterr().out.count("closed-endpoint") == len(records(directory))


def test_bodies_that_are_still_arriving_cannot_fill_the_memory() -> None:
    waiting = Waiting(100)
    waiting.take(60)

    with pytest.raises(RefusedError) as error:
        waiting.take(41)
    waiting.give_back(60)
    waiting.take(100)

    assert error.value.refusal.reason == "gateway-busy"
