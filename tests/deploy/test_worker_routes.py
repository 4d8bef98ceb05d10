"""Which process answers what, as a table."""

import re

import pytest
from pydantic import ValidationError

from rabta_deploy.router import document
from rabta_deploy.worker_config import MAIN, SMALL, Plan
from rabta_deploy.worker_routes import ANY, BY_ROOM, MEDIA, routes

WRITERS = {stream: names[0] for stream, names in SMALL.writers.items()}
PROCESSES = SMALL.processes
ROOM = "/_matrix/client/v3/rooms/%21a%3Aitt.gov.test"


def goes_to(request: str, plan: Plan = SMALL) -> str:
    """The upstream that nginx's map chooses: the first pattern that matches from the start."""
    found = (upstream for pattern, upstream in routes(plan) if re.match(pattern, request))
    return next(found, MAIN)


@pytest.mark.parametrize(
    ("request_line", "process"),
    [
        ("GET /_matrix/client/v3/sync", ANY),
        ("POST /_matrix/client/unstable/org.matrix.simplified_msc3575/sync", ANY),
        ("POST /_matrix/client/v3/createRoom", ANY),
        ("POST /_matrix/client/v3/login", ANY),
        ("GET /_matrix/client/v3/login", ANY),
        (f"PUT {ROOM}/send/m.room.encrypted/1", ANY),
        (f"PUT {ROOM}/state/m.room.topic/", ANY),
        (f"GET {ROOM}/state", ANY),
        (f"POST {ROOM}/invite", ANY),
        ("POST /_matrix/client/v3/join/%21a%3Aitt.gov.test", ANY),
        ("GET /_matrix/client/v3/directory/room/%23a%2Fb%3Aitt.gov.test", ANY),
        ("POST /_matrix/client/v3/keys/query", ANY),
        ("PUT /_matrix/client/v3/room_keys/keys", ANY),
        ("POST /_matrix/client/v3/user_directory/search", ANY),
        (f"GET {ROOM}/messages", BY_ROOM),
        (f"PUT {ROOM}/typing/%40a%3Aitt.gov.test", WRITERS["typing"]),
        (f"POST {ROOM}/receipt/m.read/%24e", WRITERS["receipts"]),
        (f"POST {ROOM}/read_markers", WRITERS["receipts"]),
        ("PUT /_matrix/client/v3/presence/%40a%3Aitt.gov.test/status", WRITERS["presence"]),
        ("PUT /_matrix/client/v3/sendToDevice/m.room_key/1", WRITERS["to_device"]),
        ("PUT /_matrix/client/v3/user/%40a/account_data/m.direct", WRITERS["account_data"]),
        ("PUT /_matrix/client/v3/user/%40a/rooms/%21a/tags/m.fav", WRITERS["account_data"]),
        ("PUT /_matrix/client/v3/pushrules/global/room/%21a", WRITERS["push_rules"]),
        ("POST /_matrix/client/v3/keys/upload", WRITERS["device_lists"]),
        ("POST /_matrix/client/v3/keys/signatures/upload", WRITERS["device_lists"]),
        ("DELETE /_matrix/client/v3/devices/ABC", WRITERS["device_lists"]),
        ("PUT /_matrix/federation/v1/send/1", ANY),
        ("PUT /_matrix/federation/v2/send_join/%21a/%24e", ANY),
        ("PUT /_matrix/federation/v2/invite/%21a/%24e", ANY),
        ("GET /_matrix/federation/v1/make_join/%21a/%40b", ANY),
        ("GET /_matrix/federation/v1/query/profile", ANY),
        ("GET /_matrix/federation/v1/user/devices/%40a", ANY),
        # What Synapse lists for no worker, or for another kind of worker.
        ("POST /_matrix/federation/v1/user/keys/query", MAIN),
        ("GET /_matrix/federation/v1/media/download/abc", MAIN),
        ("GET /_matrix/key/v2/server", MAIN),
        ("GET /_matrix/client/v1/media/download/itt.gov.test/abc", MAIN),
        ("POST /_matrix/media/v3/upload", MAIN),
        ("POST /_matrix/client/v3/logout", MAIN),
        (f"POST {ROOM}/upgrade", MAIN),
        (f"POST {ROOM}/forget", MAIN),
        ("POST /_synapse/admin/v1/register", MAIN),
        ("GET /health", MAIN),
        # A room or a user whose name looks like a path.
        ("GET /_matrix/client/v3/profile/%40a%2Ftyping%2F", ANY),
        (f"POST {ROOM}%2Finvite/upgrade", MAIN),
    ],
)
def test_a_request_goes_to_the_process_that_synapse_names_for_it(
    request_line: str, process: str
) -> None:
    assert goes_to(request_line) == process


@pytest.mark.parametrize(
    "request_line",
    [
        "GET /_matrix/client/v1/media/download/itt.gov.test/abc",
        "POST /_matrix/media/v3/upload",
        "GET /_matrix/federation/v1/media/download/abc",
        "DELETE /_synapse/admin/v1/media/itt.gov.test/abc",
    ],
)
def test_media_goes_to_the_media_process_where_there_is_one(request_line: str) -> None:
    assert goes_to(request_line, Plan(media=("media1",))) == MEDIA


def test_every_process_of_a_plan_has_a_name_of_its_own() -> None:
    with pytest.raises(ValidationError, match="generic1: each process has a name of its own"):
        Plan(media=("generic1",))


def test_every_stream_that_a_worker_writes_has_its_own_routes_or_none_in_synapse() -> None:
    routed = {upstream for _, upstream in routes(SMALL)}
    # Events come to their writer from the other processes, never from outside.
    assert {writer for stream, writer in WRITERS.items() if stream != "events"} <= routed
    assert WRITERS["events"] not in routed


def test_every_listener_and_every_upstream_of_the_router_is_on_the_loopback() -> None:
    ports = {name: 20_000 + number for number, name in enumerate(PROCESSES)}
    text = document(plan=SMALL, client_port=20_100, federation_port=20_101, http_ports=ports)
    assert re.findall(r"listen (\S+);", text) == ["127.0.0.1:20100", "127.0.0.1:20101"]
    upstreams = re.findall(r"upstream \w+ \{.*?\}", text)
    assert {found for one in upstreams for found in re.findall(r"\bserver (\S+)", one)} == {
        f"127.0.0.1:{port}" for port in ports.values()
    }


def test_the_router_writes_no_request_down() -> None:
    text = document(
        plan=SMALL, client_port=1, federation_port=2, http_ports=dict.fromkeys(PROCESSES, 3)
    )
    for said in ("access_log off;", "proxy_max_temp_file_size 0;", "proxy_request_buffering off;"):
        assert said in text
