"""A third homeserver: nothing in or out while no policy names it, and no restart to let it in."""

import http.client
import json
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from rabta_deploy.authority import NetworkAuthority
from rabta_deploy.homeserver import Homeserver
from rabta_deploy.jsonhttp import Answer, request
from rabta_deploy.ministry import PORT_USES, Ministry
from rabta_deploy.network import Network
from rabta_deploy.ports import free_port
from rabta_deploy.process import until

pytestmark = pytest.mark.network

LAW = "law.gov.test"
LAW_ENTRY = {
    "code": "LAW",
    "from": "2026-01-01T00:00:00+05:00",
    "kind": "division",
    "name": "Law and Justice Division",
    "name_ur": "قانون و انصاف ڈویژن",
    "phase": "pilot",
    "status": "active",
    "ceiling": "confidential",
}
PASSWORD = "a password of this test"


def with_law(network: Network, law: Ministry) -> dict[str, object]:
    document = network.policy_document()
    server = law.pinned.model_dump(mode="json", exclude_none=True)
    return document | {
        "organisations": [*document["organisations"], LAW_ENTRY | {"server": server}]
    }


@pytest.fixture(scope="module")
def law(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ministry]:
    """A third ministry, open on its own side: its own authority names all three."""
    home = tmp_path_factory.mktemp("law")
    own_authority = NetworkAuthority(home / "policy")
    ports: dict[str, int] = {}
    for use in PORT_USES:
        ports[use] = free_port(taken=ports.values())
    ministry = Ministry(
        LAW, home, ports=ports, policy=own_authority.files, ca=network.ca, clock=network.clock
    )
    own_authority.publish(with_law(network, ministry), now=network.clock())
    ministry.start()
    ministry.wait_ready()
    yield ministry
    for child in ministry.children.values():
        child.stop()


class Person:
    """A person with a plain access token: these tests look at doors, not at content."""

    def __init__(self, homeserver: Homeserver, localpart: str) -> None:
        self.user_id = homeserver.register(localpart, PASSWORD)
        self._url = f"{homeserver.client_url}/_matrix/client/v3"
        self._token = homeserver.admin.log_in(localpart, PASSWORD)
        self._synced = ""
        self._invites: set[str] = set()

    def ask(self, method: str, path: str, body: object = None) -> Answer:
        return request(method, f"{self._url}/{path}", json_body=body, token=self._token)

    def create_room(self) -> str:
        made = self.ask("POST", "createRoom", {"preset": "private_chat"})
        assert made.status == 200, made.body
        return str(made.body["room_id"])

    def invite(self, room: str, user_id: str) -> Answer:
        return self.ask("POST", f"rooms/{quote(room)}/invite", {"user_id": user_id})

    def invited_to(self, room: str) -> bool:
        since = f"&since={self._synced}" if self._synced else ""
        news = self.ask("GET", f"sync?timeout=0{since}").body
        self._synced = news["next_batch"]
        self._invites |= set(news.get("rooms", {}).get("invite", {}))
        return room in self._invites


@pytest.fixture(scope="module")
def lawyer(law: Ministry) -> Person:
    return Person(law.homeserver, "rehana")


@pytest.fixture(scope="module")
def officer(network: Network) -> Person:
    return Person(network.home_ministry.homeserver, "guest.of.the.test")


def gateway_log(ministry: Ministry) -> list[dict[str, object]]:
    log: Path = ministry.gateway_directory / "gateway.log"
    return [json.loads(line) for line in log.read_text().splitlines()]


def counted(ministry: Ministry, metric: str, direction: str) -> list[str]:
    """The gateway's lines of one metric in one direction, as Prometheus reads them."""
    host, _, path = ministry.gateway_metrics_url.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host)
    connection.request("GET", f"/{path}")
    text = connection.getresponse().read().decode()
    connection.close()
    return [
        line
        for line in text.splitlines()
        if line.startswith(f"{metric}{{") and f'direction="{direction}"' in line
    ]


def test_an_unnamed_homeserver_gets_no_invite_profile_or_key_in(
    network: Network, lawyer: Person, officer: Person
) -> None:
    room = lawyer.create_room()

    invited = lawyer.invite(room, officer.user_id)
    profile = lawyer.ask("GET", f"profile/{officer.user_id}")
    keys = lawyer.ask("POST", "keys/query", {"device_keys": {officer.user_id: []}})

    assert invited.status >= 400, invited.body
    assert not officer.invited_to(room)
    assert profile.status >= 400, profile.body
    assert keys.body["device_keys"].get(officer.user_id, {}) == {}
    # It did knock at the gateway, which refused with a reason.
    assert counted(network.home_ministry, "rabta_gateway_refusals_total", "inbound")


def test_nothing_goes_out_to_an_unnamed_homeserver(
    law: Ministry, lawyer: Person, officer: Person
) -> None:
    room = officer.create_room()

    invited = officer.invite(room, lawyer.user_id)
    profile = officer.ask("GET", f"profile/{lawyer.user_id}")

    assert (invited.status, invited.body["errcode"]) == (403, "M_FORBIDDEN"), invited.body
    assert invited.body["error"]
    assert not lawyer.invited_to(room)
    assert profile.status >= 400, profile.body
    assert counted(law, "rabta_gateway_requests_total", "inbound") == []


def test_a_new_policy_lets_it_in_within_ten_seconds_with_no_restart(
    network: Network, law: Ministry, lawyer: Person, officer: Person
) -> None:
    pids = {name: child.pid for name, child in network.children.items()}
    room = lawyer.create_room()
    outward = officer.create_room()
    assert lawyer.invite(room, officer.user_id).status >= 400
    started = time.monotonic()

    network.publish(with_law(network, law))

    assert until(lambda: lawyer.invite(room, officer.user_id).status == 200, within_s=10)
    assert until(lambda: officer.invite(outward, lawyer.user_id).status == 200, within_s=10)
    assert until(lambda: officer.invited_to(room), within_s=10)
    assert until(lambda: lawyer.invited_to(outward), within_s=10)
    assert time.monotonic() - started < 10
    assert {name: child.pid for name, child in network.children.items()} == pids
    assert network.ended() == []


def test_a_lower_serial_is_refused_and_the_last_good_policy_stays(
    network: Network, law: Ministry, lawyer: Person, officer: Person
) -> None:
    itt = network.home_ministry
    network.publish(network.policy_document())
    older = network.authority.files.policy.read_bytes()
    serial = network.publish(with_law(network, law))
    newer = network.authority.files.policy.read_bytes()
    assert until(lambda: itt.policy_serial == serial, within_s=10)
    # The door looks by itself: had it not seen the newer one, the older would be news to it.
    said = f"Policy with serial {serial} is in force"
    logs = itt.homeserver.logs.values()
    assert until(lambda: all(said in log.read_text() for log in logs), within_s=10)
    room = officer.create_room()
    assert until(lambda: officer.invite(room, lawyer.user_id).status == 200, within_s=10)

    network.authority.replace(older)

    def refused() -> bool:
        last = [line for line in gateway_log(itt) if line.get("event") == "policy-refused"]
        return bool(last) and last[-1]["reason"] == "policy-serial-too-low"

    assert until(refused, within_s=10)
    assert itt.policy_serial == serial
    another = officer.create_room()
    assert officer.invite(another, lawyer.user_id).status == 200
    assert until(lambda: lawyer.invited_to(another), within_s=10)
    network.authority.replace(newer)


def test_a_homeserver_that_the_policy_drops_is_out_within_ten_seconds(
    network: Network, law: Ministry, lawyer: Person, officer: Person
) -> None:
    network.publish(with_law(network, law))
    outward = officer.create_room()
    assert until(lambda: officer.invite(outward, lawyer.user_id).status == 200, within_s=10)

    network.publish(network.policy_document())

    assert until(lambda: officer.invite(outward, "@other:law.gov.test").status == 403, within_s=10)
    fresh = officer.create_room()
    assert officer.invite(fresh, lawyer.user_id).status == 403
    inward = lawyer.create_room()
    assert lawyer.invite(inward, officer.user_id).status >= 400
    assert network.ended() == []
