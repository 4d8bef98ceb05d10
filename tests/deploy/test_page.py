"""The server of the officer's page: files and one config, and nothing beyond its directory."""

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from rabta_deploy.jsonhttp import answers
from rabta_deploy.ports import free_port
from rabta_deploy.process import Child, spawn

CONFIG = {"homeservers": {"itt.gov.test": "http://127.0.0.1:8008"}}


@pytest.fixture
def built(tmp_path: Path) -> Path:
    page = tmp_path / "dist"
    page.mkdir()
    (page / "index.html").write_text("<!doctype html><title>Rabta</title>")
    (page / "engine.wasm").write_bytes(b"\0asm")
    (tmp_path / "secret").write_text("not for the page")
    return page


@pytest.fixture
def port(tmp_path: Path, built: Path) -> Iterator[int]:
    number = free_port()
    file = tmp_path / "page.yaml"
    settings = {
        "port": number,
        "directory": str(built),
        "config": CONFIG,
        "connect_to": ["http://127.0.0.1:8008"],
    }
    file.write_text(yaml.safe_dump(settings))
    child: Child = spawn(
        [sys.executable, "-m", "rabta_deploy.page", file], name="page", log_file=tmp_path / "log"
    )
    child.wait_ready(lambda: answers(f"http://127.0.0.1:{number}/health"), within_s=30)
    yield number
    child.stop()


def get(port: int, path: str) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", path)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response, body


def test_it_serves_the_page_its_engine_and_its_config(port: int) -> None:
    assert b"<title>Rabta</title>" in get(port, "/")[1]
    assert json.loads(get(port, "/config.json")[1]) == CONFIG
    engine, _ = get(port, "/engine.wasm")
    assert (engine.status, engine.headers["Content-Type"]) == (200, "application/wasm")


def test_the_page_may_talk_to_its_homeservers_only(port: int) -> None:
    headers = get(port, "/")[0].headers

    policy = dict(
        part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";")
    )
    assert policy["connect-src"] == "'self' http://127.0.0.1:8008"
    assert policy["script-src"] == "'self' 'wasm-unsafe-eval'"
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["/../secret", "/%2e%2e/secret", "//etc/passwd", "/..%2fsecret"])
def test_nothing_outside_its_directory_is_served(port: int, path: str) -> None:
    response, body = get(port, path)

    assert response.status in {403, 404}
    assert b"not for the page" not in body


def test_a_page_that_is_not_built_is_refused_in_words(tmp_path: Path) -> None:
    file = tmp_path / "page.yaml"
    document = {"port": free_port(), "directory": str(tmp_path), "config": {}, "connect_to": []}
    file.write_text(yaml.safe_dump(document))

    refused = subprocess.run(
        [sys.executable, "-m", "rabta_deploy.page", file],
        capture_output=True,
        text=True,
        check=False,
    )

    assert refused.returncode == 1
    assert json.loads(refused.stderr)["reason"] == "page-not-built"
