"""A trial site on this machine: real PostgreSQL, Redis, nginx, gateway and five workers."""

import ssl
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from rabta_deploy.fault import YardError
from rabta_deploy.jsonhttp import answers, request
from rabta_deploy.process import until
from rabta_deploy.site.description import load
from rabta_deploy.site.layout import below
from rabta_deploy.site.running import Running
from rabta_deploy.site.trial import Trial, make

pytestmark = pytest.mark.network

CLIENT = "/_matrix/client/v3"


@pytest.fixture(scope="module")
def trial() -> Iterator[Trial]:
    # Below /tmp itself: user postgres must pass through every directory above.
    with TemporaryDirectory(prefix="rabta-site-") as name:
        home = Path(name)
        home.chmod(0o711)
        made = Trial(home / "itt", home / "network", "ITT", "itt.gov.test")
        make(made, lambda: datetime.now(UTC), {})  # noqa: TID251 - certificates hold today
        yield made


@pytest.fixture(scope="module")
def site(trial: Trial, missing_part: Callable[[str], None]) -> Iterator[Running]:
    running = Running(load(trial.file), below(trial.directory))
    try:
        running.up()
    except YardError as fault:
        if fault.reason != "program-missing":
            raise
        missing_part(str(fault))
    yield running
    running.down()


@pytest.fixture(scope="module")
def token(site: Running) -> str:
    site.admin.register("so-admn2", "a long password of hers")
    return site.admin.log_in("so-admn2", "a long password of hers")


def test_a_client_is_answered_by_tls_and_led_there_by_the_server_name(
    site: Running, trial: Trial
) -> None:
    context = ssl.create_default_context(cafile=str(trial.network / "ca/ca.pem"))
    port = site.site.client.port

    def get(path: str) -> bytes:
        url = f"https://127.0.0.1:{port}{path}"
        with urllib.request.urlopen(url, context=context, timeout=30) as answer:
            body: bytes = answer.read()
            return body

    assert b"v1.11" in get("/_matrix/client/versions")
    assert f"https://chat.itt.gov.test:{port}".encode() in get("/.well-known/matrix/client")
    with pytest.raises(urllib.error.HTTPError, match="404"):
        get("/_synapse/admin/v1/server_version")


def test_a_second_run_of_the_same_site_is_refused_with_the_ports_named(site: Running) -> None:
    with pytest.raises(YardError) as caught:
        Running(site.site, site.layout).up()
    assert caught.value.reason == "port-taken"
    assert f"{site.ports['postgres']} (postgres sql)" in caught.value.text


def test_a_program_that_is_not_installed_is_named_with_its_package(trial: Trial) -> None:
    described = load(trial.file)
    running = Running(described, below(trial.directory))
    running.parts["redis"] = replace(running.parts["redis"], command=("/nowhere/redis-server",))
    with pytest.raises(YardError) as caught:
        running.up()
    assert caught.value.reason == "program-missing"
    assert "/nowhere/redis-server" in caught.value.text
    assert "apt-get install redis-server" in caught.value.cure


def test_what_was_acknowledged_is_there_after_each_part_was_killed(
    site: Running, token: str
) -> None:
    room = str(
        request("POST", f"{site.client_url}{CLIENT}/createRoom", json_body={}, token=token).body[
            "room_id"
        ]
    )
    acknowledged = []

    def said(number: int) -> bool:
        url = f"{site.client_url}{CLIENT}/rooms/{room}/send/m.room.encrypted/{number}"
        try:
            answer = request("PUT", url, json_body={"ciphertext": "x"}, token=token, timeout_s=10)
        except OSError:
            return False
        if answer.status != 200:
            return False
        acknowledged.append(answer.body["event_id"])
        return True

    for number, name in enumerate(list(site.children)):
        child = site.children[name]
        child.kill()

        def recovered(number: int = number, name: str = name) -> bool:
            site.look()
            return site.restarts[name] == 1 and site.children[name].running and said(number)

        assert until(recovered, within_s=120, every_s=0.2), name
    url = f"{site.client_url}{CLIENT}/rooms/{room}/messages?dir=b&limit=100"
    assert until(lambda: answers(f"{site.client_url}/health"), within_s=60)
    told = {event["event_id"] for event in request("GET", url, token=token).body["chunk"]}
    assert set(acknowledged) <= told
    assert len(acknowledged) == len(site.parts)
