"""A homeserver of many processes, against a real one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from pydantic import ValidationError

from rabta_deploy.homeserver import Homeserver
from rabta_deploy.jsonhttp import Answer, request
from rabta_deploy.ports import port_free
from rabta_deploy.process import until
from rabta_deploy.worker_config import MAIN, SMALL

pytestmark = pytest.mark.network

CLIENT = "/_matrix/client/v3"
GENERIC = SMALL.generic
(EVENT_PERSISTER,) = SMALL.event_persisters
WRITERS = {stream: names[0] for stream, names in SMALL.writers.items()}


@pytest.fixture(scope="module")
def homeserver(homeserver_factory: Callable[..., Homeserver]) -> Homeserver:
    return homeserver_factory("itt.gov.test", with_workers=True)


@pytest.fixture(scope="module")
def token(homeserver: Homeserver) -> str:
    homeserver.register("so-admn2", "a password of hers")
    return homeserver.admin.log_in("so-admn2", "a password of hers")


@pytest.fixture(scope="module")
def room(homeserver: Homeserver, token: str) -> str:
    made = request("POST", f"{homeserver.client_url}{CLIENT}/createRoom", json_body={}, token=token)
    return str(made.body["room_id"])


def handled_by(homeserver: Homeserver, words: str) -> set[str]:
    """The processes whose log tells of a request with these words."""
    return {
        name
        for name, log in homeserver.logs.items()
        if any("Processed request" in line and words in line for line in _lines(log))
    }


def _lines(log: Path) -> list[str]:
    return log.read_text().splitlines()


def handlers(homeserver: Homeserver, words: str) -> set[str]:
    """As `handled_by`, once there is one: the log is written after the answer."""
    assert until(lambda: handled_by(homeserver, words), within_s=10), words
    return handled_by(homeserver, words)


def test_it_runs_five_synapses_and_all_of_them_answer(homeserver: Homeserver) -> None:
    assert homeserver.children.keys() == {"homeserver", *SMALL.workers, "redis", "router"}
    assert homeserver.running
    assert len(homeserver.metrics_urls) == 5


def test_events_are_written_by_the_event_persister_alone(homeserver: Homeserver, room: str) -> None:
    assert room
    with psycopg.connect(homeserver.settings.database) as connection:
        rows = connection.execute(
            "SELECT instance_name FROM stream_positions WHERE stream_name = 'events'"
        ).fetchall()
        (writers,) = connection.execute("SELECT array_agg(DISTINCT instance_name) FROM events")
    assert rows == [(EVENT_PERSISTER,)]
    assert writers == ([EVENT_PERSISTER],)


@pytest.mark.parametrize(
    ("asked", "body", "processes"),
    [
        (f"GET {CLIENT}/sync?timeout=0", None, set(GENERIC)),
        ("PUT {room}/send/m.room.encrypted/1", {"ciphertext": "x"}, set(GENERIC)),
        ("GET {room}/messages?dir=b", None, set(GENERIC)),
        ("PUT {room}/typing/{user}", {"typing": True, "timeout": 1}, {WRITERS["typing"]}),
        (f"PUT {CLIENT}/sendToDevice/m.x/1", {"messages": {}}, {WRITERS["to_device"]}),
        (f"PUT {CLIENT}/user/{{user}}/account_data/x", {}, {WRITERS["account_data"]}),
        (f"POST {CLIENT}/keys/upload", {}, {WRITERS["device_lists"]}),
        ("GET /_matrix/client/v1/media/config", None, {MAIN}),
        # A slash in a name stays a part of the name all the way.
        (f"GET {CLIENT}/directory/room/%23a%2Fb%3Aitt.gov.test", None, set(GENERIC)),
    ],
)
def test_a_request_is_answered_by_the_process_that_is_there_for_it(
    homeserver: Homeserver, *, token: str, room: str, asked: str, body: Any, processes: set[str]
) -> None:
    method, _, path = asked.partition(" ")
    path = path.format(
        room=f"{CLIENT}/rooms/{room.replace('!', '%21').replace(':', '%3A')}",
        user="%40so-admn2%3Aitt.gov.test",
    )
    answer = request(method, f"{homeserver.client_url}{path}", json_body=body, token=token)
    assert answer.status == 200 or answer.body["errcode"] == "M_NOT_FOUND", answer
    found = handlers(homeserver, f"{method} {path.partition('?')[0]}")
    assert len(found) == 1
    assert found <= processes


def unknown(answer: Answer) -> bool:
    return answer.status == 404 and answer.body["errcode"] == "M_UNRECOGNIZED"


def test_each_face_shows_only_what_is_its_own(homeserver: Homeserver) -> None:
    client, federation = homeserver.client_url, homeserver.federation_url
    assert request("GET", f"{federation}/_matrix/key/v2/server").status == 200
    assert request("GET", f"{client}/_matrix/client/versions").status == 200
    for path in ("/_matrix/federation/v1/version", "/_matrix/key/v2/server"):
        assert unknown(request("GET", client + path)), path
    for path in ("/_matrix/client/versions", "/_synapse/admin/v1/server_version"):
        assert unknown(request("GET", federation + path)), path
    sneaked = "/_matrix/federation/..%2Fclient/versions"
    assert unknown(request("GET", federation + sneaked))
    for face in (client, federation):
        assert request("GET", f"{face}/_synapse/replication/x").status == 404


def test_everything_listens_on_the_loopback_alone(homeserver: Homeserver) -> None:
    started = [psutil.Process(child.pid) for child in homeserver.children.values()]
    processes = [*started, *(below for one in started for below in one.children())]
    addresses = {
        connection.laddr.ip
        for process in processes
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    }
    assert addresses == {"127.0.0.1"}


def test_no_secret_stands_in_a_rendered_file(homeserver: Homeserver) -> None:
    files = [path for path in homeserver.files.directory.rglob("*") if path.is_file()]
    secrets = [
        path.read_text().strip().rpartition(":")[2] for path in files if path.suffix == ".secret"
    ]
    rendered = [path for path in files if path.suffix in {".yaml", ".conf", ".acl", ".log"}]
    assert len(secrets) >= 6
    assert len(rendered) >= 10
    found = [p.name for p in rendered if any(secret in p.read_text() for secret in secrets)]
    assert found == []


def test_workers_without_postgresql_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="must be PostgreSQL"):
        Homeserver("itt.gov.test", tmp_path, client_port=1, federation_port=2, with_workers=True)


def test_when_a_worker_is_gone_the_other_answers_and_a_restart_mends_it(
    homeserver: Homeserver, token: str, room: str
) -> None:
    homeserver.children[GENERIC[0]].kill()
    assert not homeserver.running
    for _ in range(2):
        url = f"{homeserver.client_url}{CLIENT}/joined_rooms"
        assert request("GET", url, token=token).body == {"joined_rooms": [room]}

    pids = [child.pid for child in homeserver.children.values()]
    homeserver.stop()
    assert [pid for pid in pids if psutil.pid_exists(pid)] == []
    assert port_free(homeserver.settings.client_port)

    homeserver.start()
    homeserver.wait_ready()
    assert homeserver.running
    url = f"{homeserver.client_url}{CLIENT}/joined_rooms"
    assert request("GET", url, token=token).body == {"joined_rooms": [room]}
    said = [log.read_text() for log in homeserver.logs.values()]
    assert [text for text in said if "Traceback" in text] == []
