"""The router, run by nginx in front of processes that come and go."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from rabta_deploy.fault import YardError
from rabta_deploy.jsonhttp import request
from rabta_deploy.ports import free_port
from rabta_deploy.router import Router
from rabta_deploy.worker_config import SMALL

pytestmark = pytest.mark.network


class Process:
    """Answers at a port with its name, while it is there."""

    def __init__(self, name: str, port: int) -> None:
        self._port = port

        class Answering(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                body = f'{{"process": "{name}"}}'.encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST  # noqa: N815 - the name that http.server calls

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._answering = Answering
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), self._answering)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()


@pytest.fixture
def ports() -> dict[str, int]:
    found: dict[str, int] = {}
    for name in SMALL.processes:
        found[name] = free_port(found.values())
    return found


@pytest.fixture
def processes(ports: dict[str, int]) -> Iterator[dict[str, Process]]:
    started = {name: Process(name, port) for name, port in ports.items()}
    for process in started.values():
        process.start()
    yield started
    for process in started.values():
        process.stop()


@pytest.fixture
def client_url(
    ports: dict[str, int], processes: dict[str, Process], missing_part: Callable[[str], None]
) -> Iterator[str]:
    client = free_port(ports.values())
    # Below /tmp itself: nginx's working process must pass through every directory above.
    with TemporaryDirectory(prefix="rabta-router-") as name:
        Path(name).chmod(0o711)
        assert processes.keys() == ports.keys()
        router = Router(
            Path(name) / "router",
            plan=SMALL,
            name="router",
            client_port=client,
            federation_port=free_port({client, *ports.values()}),
            http_ports=ports,
        )
        try:
            router.start()
        except YardError as fault:
            if fault.reason != "nginx-missing":
                raise
            missing_part(str(fault))
        router.wait_ready()
        yield f"http://127.0.0.1:{client}"
        router.stop()


@pytest.mark.parametrize("caller", ["one", "two", "three", "four"])
def test_generic_processes_restarted_in_turn_leave_nobody_without_an_answer(
    client_url: str, processes: dict[str, Process], caller: str
) -> None:
    """With nginx's own `max_fails` the last of these would be 502: both count as away."""

    def answered() -> str:
        url = f"{client_url}/_matrix/client/v3/createRoom"
        answer = request("POST", url, json_body={}, token=caller)
        assert answer.status == 200, answer
        return str(answer.body["process"])

    usual = answered()
    first, second = sorted(SMALL.generic, key=lambda name: name != usual)
    processes[first].stop()
    assert answered() == second
    processes[first].start()
    processes[second].stop()
    assert answered() == first
