"""Three real Synapses behind three real gateways, as processes: what the whole border does."""

import os
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from rabta_deploy.homeserver import DoorSettings, Homeserver
from rabta_deploy.jsonhttp import Answer, answers, request
from rabta_deploy.ports import free_port
from rabta_deploy.process import Child, spawn, until

pytestmark = [pytest.mark.network, pytest.mark.timeout(600)]
ITT, FIN, LAW = "itt.gov.test", "fin.gov.test", "law.gov.test"
PASSWORD = "a made-up password"
WITHIN_S = 30.0


class Ministry:
    """One homeserver, its gateway and one officer."""

    def __init__(self, network: Any, name: str, taken: set[int]) -> None:
        self.name = name
        ports = [take_port(taken) for _ in range(5)]
        client, federation, self.outbound, self.inbound, self.metrics = ports
        member = network.members[name]
        member.port = self.inbound
        door = DoorSettings(
            policy_file=network.policy_file,
            authority_file=network.directory / "authority.yaml",
            reload_interval_ms=200,
        )
        self.homeserver = Homeserver(
            name,
            network.directory / name,
            client_port=client,
            federation_port=federation,
            gateway_out_port=self.outbound,
            door=door,
        )
        self.homeserver.render()
        key = self.homeserver.verify_key
        member.pinned = {key.key_id: key.key}
        self.gateway: Child | None = None
        self.since = ""
        self.invites: set[str] = set()

    def write_settings(self, network: Any) -> Path:
        """Write the gateway's settings; give their file."""
        document = network.settings(server_name=self.name)
        certificate, key = network.leaf(self.name)
        document |= {
            "state_file": str(network.directory / f"{self.name}.serial.json"),
            "metrics": {"host": "127.0.0.1", "port": self.metrics},
            "inbound": {
                "host": "127.0.0.1",
                "port": self.inbound,
                "tls_certificate_file": str(certificate),
                "tls_key_file": str(key),
                "upstream": self.homeserver.federation_url,
            },
            "outbound": {
                "host": "127.0.0.1",
                "port": self.outbound,
                "secret_file": str(self.homeserver.files.gateway_secret),
            },
        }
        audit = network.directory / f"{self.name}.audit"
        audit.mkdir(exist_ok=True)
        settings: Path = network.directory / f"{self.name}.gateway.yaml"
        settings.write_text(yaml.safe_dump(document | {"audit_directory": str(audit)}))
        return settings

    def start_gateway(self, network: Any) -> None:
        settings = self.write_settings(network)
        self.gateway = spawn(
            [Path(sys.executable).with_name("rabta"), "gateway", "run", "--config", settings],
            name=f"gateway {self.name}",
            log_file=network.directory / f"{self.name}.gateway.log",
        )

    def wait_ready(self) -> None:
        """Wait for both, and sign the officer in."""
        assert self.gateway is not None
        health = f"http://127.0.0.1:{self.metrics}/health"
        self.gateway.wait_ready(lambda: answers(health), within_s=60)
        self.homeserver.wait_ready()
        self.officer = self.homeserver.register("officer", PASSWORD)
        self.token = self.homeserver.admin.log_in("officer", PASSWORD)

    def stop(self) -> None:
        self.homeserver.stop()
        if self.gateway is not None:
            self.gateway.stop()

    def ask(self, method: str, path: str, body: object = None) -> Answer:
        """Ask the client API as the officer."""
        url = f"{self.homeserver.client_url}/_matrix/client/{path}"
        return request(method, url, json_body=body, token=self.token)

    def bytes(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """Ask as the officer for something that is no JSON."""
        connection = HTTPConnection("127.0.0.1", self.homeserver.settings.client_port, timeout=60)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "a/b"}
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        assert answer.status == 200, content[:200]
        return content

    def create_room(self) -> str:
        answer = self.ask("POST", "v3/createRoom", {"preset": "private_chat"})
        assert answer.status == 200, answer.body
        return str(answer.body["room_id"])

    def invite(self, room: str, user: str) -> Answer:
        return self.ask("POST", f"v3/rooms/{quote(room)}/invite", {"user_id": user})

    def join(self, room: str) -> Answer:
        return self.ask("POST", f"v3/rooms/{quote(room)}/join", {})

    def send(self, room: str, text: str) -> str:
        """Send an event as an encrypting client would; the ciphertext stands for it."""
        body = {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": text, "session_id": "s"}
        path = f"v3/rooms/{quote(room)}/send/m.room.encrypted/{text}"
        answer = self.ask("PUT", path, body)
        assert answer.status == 200, answer.body
        return str(answer.body["event_id"])

    def sees(self, room: str, text: str) -> bool:
        answer = self.ask("GET", f"v3/rooms/{quote(room)}/messages?dir=b&limit=30")
        chunk = answer.body.get("chunk", []) if answer.status == 200 else []
        return any(event["content"].get("ciphertext") == text for event in chunk)

    def invited(self, room: str) -> bool:
        """Whether an invite has come; each question reads on where the last one stopped."""
        since = f"&since={self.since}" if self.since else ""
        body = self.ask("GET", f"v3/sync?timeout=0{since}").body
        self.since = body["next_batch"]
        self.invites |= set(body.get("rooms", {}).get("invite", {}))
        return room in self.invites

    def gateway_log(self) -> str:
        assert self.gateway is not None
        return self.gateway.log_file.read_text()


def take_port(taken: set[int]) -> int:
    port = free_port(taken)
    taken.add(port)
    return port


@pytest.fixture(scope="module")
def three(papers: Any) -> Iterator[tuple[Any, dict[str, Ministry]]]:
    """The policy names itt and fin; law stands ready and is not named."""
    taken: set[int] = set()
    ministries = {name: Ministry(papers, name, taken) for name in (ITT, FIN, LAW)}
    papers.publish()
    try:
        for ministry in ministries.values():
            ministry.start_gateway(papers)
            ministry.homeserver.start()
        for ministry in ministries.values():
            ministry.wait_ready()
        yield papers, ministries
    finally:
        for ministry in ministries.values():
            ministry.stop()


def shared_room(owner: Ministry, other: Ministry) -> str:
    room = owner.create_room()
    invited = owner.invite(room, other.officer)
    assert invited.status == 200, invited.body
    assert until(lambda: other.invited(room), within_s=WITHIN_S)
    joined = other.join(room)
    assert joined.status == 200, joined.body
    return room


def test_two_officers_of_two_ministries_share_a_room(three: Any) -> None:
    _, ministries = three
    itt, fin = ministries[ITT], ministries[FIN]

    room = shared_room(itt, fin)
    itt.send(room, "from-itt")
    fin.send(room, "from-fin")

    assert until(lambda: fin.sees(room, "from-itt"), within_s=WITHIN_S)
    assert until(lambda: itt.sees(room, "from-fin"), within_s=WITHIN_S)


def test_profiles_and_device_keys_are_found_across_the_border(three: Any) -> None:
    _, ministries = three
    itt, fin = ministries[ITT], ministries[FIN]
    shared_room(itt, fin)

    profile = itt.ask("GET", f"v3/profile/{quote(fin.officer)}")
    keys = itt.ask("POST", "v3/keys/query", {"device_keys": {fin.officer: []}})

    assert (profile.status, profile.body) == (200, {"displayname": "officer"})
    assert (keys.status, keys.body["failures"]) == (200, {})


def test_a_file_is_fetched_across_the_border_byte_for_byte(three: Any) -> None:
    _, ministries = three
    itt, fin = ministries[ITT], ministries[FIN]
    room = shared_room(itt, fin)
    itt.send(room, "before-the-file")
    # With this fin knows who shares the room: it learns that in the background after joining.
    assert until(lambda: fin.sees(room, "before-the-file"), within_s=WITHIN_S)
    file = os.urandom(3_000_000)
    uploaded = fin.bytes("POST", "/_matrix/media/v3/upload?filename=a.bin", file)
    uri = yaml.safe_load(uploaded)["content_uri"].removeprefix("mxc://")

    fetched = itt.bytes("GET", f"/_matrix/client/v1/media/download/{uri}")

    assert fetched == file


def test_what_was_sent_while_a_gateway_was_down_arrives_when_it_is_back(three: Any) -> None:
    network, ministries = three
    itt, fin = ministries[ITT], ministries[FIN]
    room = shared_room(itt, fin)
    itt.send(room, "while-up")
    # With this fin has the room's whole state, which it fetches in the background after joining.
    assert until(lambda: fin.sees(room, "while-up"), within_s=WITHIN_S)

    assert fin.gateway is not None
    fin.gateway.stop()
    itt.send(room, "while-down")
    assert until(lambda: '"reason": "peer-unreachable"' in itt.gateway_log(), within_s=WITHIN_S)
    fin.start_gateway(network)

    assert until(lambda: fin.sees(room, "while-down"), within_s=150)


def test_a_third_server_gets_in_within_ten_seconds_of_being_named_and_out_again(
    three: Any,
) -> None:
    network, ministries = three
    itt, fin, law = ministries[ITT], ministries[FIN], ministries[LAW]
    room = shared_room(itt, fin)
    assert itt.invite(room, law.officer).status >= 400
    assert law.ask("GET", f"v3/profile/{quote(itt.officer)}").status >= 400
    pids = [child_pid(ministry) for ministry in ministries.values()]

    network.members[LAW].named = True
    named = time.monotonic()
    network.publish()
    assert until(lambda: itt.invite(room, law.officer).status == 200, within_s=10)
    # A room of its own: an older room's server ACL is the door's to widen.
    later = itt.create_room()
    assert until(lambda: itt.invite(later, law.officer).status == 200, within_s=10)
    assert until(lambda: law.invited(later), within_s=10)
    joined = law.join(later)
    assert joined.status == 200, joined.body
    assert time.monotonic() - named < 10
    assert itt.invite(later, fin.officer).status == 200
    assert until(lambda: fin.invited(later), within_s=WITHIN_S)
    assert fin.join(later).status == 200
    itt.send(later, "to-all-three")
    assert until(lambda: law.sees(later, "to-all-three"), within_s=WITHIN_S)

    network.members[LAW].named = False
    network.publish()
    closed = f'"serial": {network.serial}'
    assert until(lambda: closed in itt.gateway_log() and closed in fin.gateway_log(), within_s=5)
    assert until(
        lambda: law.ask("GET", f"v3/profile/{quote(itt.officer)}").status >= 400, within_s=10
    )
    itt.send(later, "to-the-two")
    assert until(lambda: fin.sees(later, "to-the-two"), within_s=WITHIN_S)
    assert not law.sees(later, "to-the-two")
    assert pids == [child_pid(ministry) for ministry in ministries.values()]


def child_pid(ministry: Ministry) -> tuple[int, int]:
    assert ministry.gateway is not None
    assert ministry.homeserver.child is not None
    return ministry.gateway.pid, ministry.homeserver.child.pid


def test_no_log_of_a_gateway_holds_a_token_a_secret_or_a_ciphertext(three: Any) -> None:
    _, ministries = three

    for ministry in ministries.values():
        log = ministry.gateway_log()
        secret = ministry.homeserver.files.gateway_secret.read_text().strip()
        for held in (secret, ministry.token, "ciphertext", "X-Matrix", "from-itt"):
            assert held not in log
