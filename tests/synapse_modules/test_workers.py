"""A ministry of many processes: one policy in all, one audit chain in each, one that repairs."""

import json
import re
from collections.abc import Callable
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner
from hostile import Answer
from network import Network, Person

from rabta_deploy.cli import main
from rabta_deploy.jsonhttp import request as ask
from rabta_deploy.worker_config import MAIN, SMALL

pytestmark = pytest.mark.network

HOMESERVERS = ("ITT", "FIN")
BACKGROUND, GENERIC, PROCESSES = SMALL.runs_background, SMALL.generic, SMALL.processes
ITT_WITH_WORKERS = True
OPEN = {
    "preset": "public_chat",
    "initial_state": [{"type": "org.rabta.room.class", "content": {"class": "unclassified"}}],
}
CIPHER = {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "x", "session_id": "s"}
ANSWERING = (MAIN, *GENERIC)
"""The processes that answer people and other ministries."""


def metric(network: Network, process: str, name: str) -> float | None:
    """A value that a process of ITT tells, None when it tells none of that name."""
    url = urlsplit(network.homeservers["ITT"].metrics_urls[process])
    connection = HTTPConnection(url.netloc, timeout=10)
    try:
        connection.request("GET", url.path)
        told = connection.getresponse().read().decode()
    finally:
        connection.close()
    found = re.search(rf"^{re.escape(name)} (\S+)$", told, re.MULTILINE)
    return float(found[1]) if found else None


def in_all(network: Network, name: str) -> dict[str, float | None]:
    """That value in every process."""
    return {process: metric(network, process, name) for process in PROCESSES}


def chain_files(network: Network) -> dict[str, str]:
    """What stands in the audit of each process, by the name of its chain."""
    found: dict[str, str] = {}
    for path in sorted((network.audit / "ITT").glob("*.jsonl")):
        chain = re.sub(r"-\d+$", "", path.stem)
        found[chain] = found.get(chain, "") + path.read_text()
    return found


@pytest.fixture(scope="module")
def people(network: Network) -> tuple[Person, Person]:
    network.issue()
    network.start()
    return network.person("amna"), network.person("farah", "FIN")


@pytest.fixture(scope="module", params=ANSWERING)
def at(request: pytest.FixtureRequest, network: Network) -> str:
    """The URL of one process itself, around the router."""
    workers = network.homeservers["ITT"].settings.workers
    assert workers is not None
    return f"http://127.0.0.1:{workers.processes[request.param].http}"


@pytest.mark.usefixtures("people")
async def test_a_new_policy_is_in_force_in_every_process_within_seconds(
    network: Network, eventually: Any
) -> None:
    await eventually(network.in_force)
    serial = network.issue(open_to_law=True)
    everywhere = dict.fromkeys(PROCESSES, float(serial))
    await eventually(
        lambda: in_all(network, "rabta_door_policy_serial") == everywhere,
        within_s=5,
        what=f"serial {serial} in every process",
    )
    servers = in_all(network, "rabta_door_federating_servers")
    assert servers == dict.fromkeys(PROCESSES, 4.0)


@pytest.mark.usefixtures("people")
async def test_an_older_policy_is_refused_by_every_process(
    network: Network, eventually: Any
) -> None:
    network.issue()
    await eventually(network.in_force)
    network.issue(serial=1, open_to_law=True)
    refused = 'rabta_door_policy_refused_total{reason="policy-serial-too-low"}'
    await eventually(lambda: all(in_all(network, refused).values()), what="refusals everywhere")
    standing = in_all(network, "rabta_door_policy_serial")
    assert standing == dict.fromkeys(PROCESSES, float(network.serial))
    network.issue()
    await eventually(network.in_force)


async def test_a_denied_invite_is_refused_by_whichever_process_is_asked(
    people: tuple[Person, Person], at: str
) -> None:
    amna, _ = people
    room_id = amna.room()
    url = f"{at}/_matrix/client/v3/rooms/{room_id}/invite"
    body = {"user_id": "@x:war.gov.test"}
    refused = Answer(*ask("POST", url, json_body=body, token=amna.token))
    assert (refused.status, refused.reason) == (403, "no-permit")


async def test_a_stranger_learns_of_nobody_from_whichever_process_is_asked(
    network: Network, people: tuple[Person, Person], at: str, eventually: Any
) -> None:
    amna, _ = people
    network.issue(open_to_law=True)
    await eventually(network.in_force)
    port = urlsplit(at).port
    assert port is not None
    path = f"/_matrix/federation/v1/query/profile?user_id={amna.user_id}"
    refused = network.hostiles["LAW"].request(port, "itt.gov.test", "GET", path)
    assert (refused.status, refused.reason) == (403, "no-shared-room")
    refused = network.hostiles["WAR"].request(port, "itt.gov.test", "GET", path)
    assert refused.status == 403


async def test_two_ministries_talk(
    network: Network, people: tuple[Person, Person], eventually: Any
) -> None:
    amna, farah = people
    network.issue()
    await eventually(network.in_force)
    room_id = amna.room(invite=[farah.user_id])
    assert farah.join(room_id).status == 200
    await eventually(lambda: amna.members(room_id).get(farah.user_id) == "join")

    def hears(person: Person, ciphertext: str) -> Callable[[], bool]:
        return lambda: any(
            event["content"].get("ciphertext") == ciphertext for event in person.messages(room_id)
        )

    assert amna.send(room_id, "m.room.encrypted", {**CIPHER, "ciphertext": "one"}).status == 200
    await eventually(hears(farah, "one"), what="delivery to FIN")
    assert farah.send(room_id, "m.room.encrypted", {**CIPHER, "ciphertext": "two"}).status == 200
    await eventually(hears(amna, "two"), what="delivery to ITT")


@pytest.mark.parametrize("version", ["11", "12"])
async def test_exactly_one_process_puts_a_withdrawn_ministry_out(
    network: Network, people: tuple[Person, Person], eventually: Any, version: str
) -> None:
    amna, _ = people
    network.issue(open_to_law=True)
    await eventually(network.in_force)
    room_id = amna.room(**OPEN, room_version=version)
    made = network.make_join("LAW", room_id)
    assert network.send_join("LAW", room_id, made).status == 200
    spy = network.hostiles["LAW"].user("spy")
    await eventually(lambda: amna.members(room_id).get(spy) == "join")

    network.issue(withdrawn=("LAW",))
    await eventually(lambda: amna.members(room_id).get(spy) == "leave", within_s=30)

    def cuts() -> list[str]:
        """The chains that record a cut in this room, one for each cut."""
        return [
            chain
            for chain, text in chain_files(network).items()
            for line in map(json.loads, text.splitlines())
            if line.get("room") == room_id and line["path"] == "reconcile"
        ]

    await eventually(cuts)
    assert cuts() == [f"door-{BACKGROUND}"]


async def test_every_process_keeps_one_audit_chain_and_all_verify(
    network: Network, people: tuple[Person, Person], eventually: Any
) -> None:
    amna, _ = people
    amna.invite(amna.room(), "@x:war.gov.test")
    serial = network.issue()
    await eventually(network.in_force)
    known = f'"serial":{serial}'

    def complete() -> bool:
        found = chain_files(network)
        return found.keys() == {f"door-{name}" for name in PROCESSES} and all(
            known in text for text in found.values()
        )

    await eventually(complete, what="the serial in every chain")
    said = CliRunner().invoke(main, ["audit", "verify", str(network.audit / "ITT")])
    assert said.exit_code == 0, said.output
    assert [name for name in PROCESSES if f"door-{name}" not in said.output] == []
