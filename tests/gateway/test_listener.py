"""The outbound listener takes Synapse's scheme although aiohttp's fast parser does not."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import http_parser, web

from rabta_deploy.process import spawn, until
from rabta_gateway.listener import BorderServer


async def test_the_fast_parser_is_in_use_everywhere_but_in_the_outbound_listener() -> None:
    async def handle(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response()

    # Else the tests of the outbound side would prove nothing about an ordinary installation.
    assert http_parser.HttpRequestParser is not http_parser.HttpRequestParserPy
    clear = BorderServer(handle, clear=True)()
    border = BorderServer(handle)()

    assert type(clear._parser) is http_parser.HttpRequestParserPy
    assert type(border._parser) is http_parser.HttpRequestParser


async def test_the_fast_parser_still_refuses_the_scheme(network: Any) -> None:
    port, seen = await network.recorder()
    target = "matrix-federation://fin.gov.test/_matrix/key/v2/server"

    answer = await network.plain(port, f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())

    assert (answer.status, seen) == (400, [])


@pytest.mark.parametrize("host", ["f\u00efn.gov.test", "xn--a", "[::1", "a\u3002b", "\ud800"])
@pytest.mark.parametrize("scheme", ["matrix-federation", "http", "https"])
async def test_a_target_with_a_host_that_cannot_be_is_answered_on_both_sides(
    network: Any, scheme: str, host: str
) -> None:
    gateway = await network.gateway()
    target = f"{scheme}://{host}/_matrix/federation/v1/send/1"
    data = f"PUT {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    raw = data.encode("utf-8", "surrogatepass")

    async with asyncio.timeout(10):
        outbound = await network.plain(gateway.outbound_port, raw)
        inbound = await network.stranger(gateway, raw)

    assert outbound.status in {400, 407}
    assert inbound.status == 400


async def test_the_command_serves_until_sigterm_and_ends_with_0(
    network: Any, tmp_path: Path
) -> None:
    file = network.directory / "gateway.yaml"
    file.write_text(yaml.safe_dump(network.settings()))
    log = tmp_path / "gateway.log"

    rabta = Path(sys.executable).with_name("rabta")
    child = spawn([rabta, "gateway", "run", "--config", file], name="gateway", log_file=log)
    try:
        assert until(lambda: '"event": "listening"' in child.log_tail(), within_s=30)
        child.terminate()
        child.wait(grace_s=15)
    finally:
        child.kill()

    assert child.exit_code == 0
    assert '"event": "stopped"' in child.log_tail()
