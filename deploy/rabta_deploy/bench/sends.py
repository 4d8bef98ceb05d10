"""(b) What the door adds to a message: CPU of two real homeservers, taken in turns in one run."""

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from urllib.parse import quote

import psutil

from rabta_deploy.authority import NetworkAuthority
from rabta_deploy.bench.measure import Measure, middle
from rabta_deploy.homeserver import DoorSettings, Homeserver
from rabta_deploy.jsonhttp import request
from rabta_deploy.ports import free_port
from rabta_deploy.process import stop_all
from rabta_policy import Address, Server, fill_servers, load_document

SERVER = "itt.gov.test"
TARGET = 1.03
ROUNDS, SENDS, AT_ONCE = 20, 50, 4
SIZES = (2, 300)
# As Megolm makes it of a short sentence; only its size matters to a homeserver.
CIPHERTEXT = {
    "algorithm": "m.megolm.v1.aes-sha2",
    "ciphertext": "A" * 400,
    "session_id": "B" * 43,
    "device_id": "BENCH",
    "sender_key": "C" * 43,
}


def sends(template: Path) -> list[Measure]:
    """CPU seconds per 1,000 local sends with the door and without, in rooms of each size.

    Args:
        template: the policy that names the homeserver.
    """
    with tempfile.TemporaryDirectory(prefix="rabta-bench-") as folder:
        home = Path(folder)
        plain = _homeserver(home / "plain", None)
        guarded = _homeserver(home / "door", _door(home, template))
        with _running(plain, guarded):
            return [_measure(guarded, plain, size) for size in SIZES]


def _homeserver(directory: Path, door: DoorSettings | None) -> Homeserver:
    directory.mkdir(parents=True)
    unlimited = {"per_second": 100_000, "burst_count": 100_000}
    ports = [free_port() for _ in range(2)]
    return Homeserver(
        SERVER,
        directory,
        client_port=ports[0],
        federation_port=ports[1],
        door=door,
        overrides={
            "bcrypt_rounds": 4,
            "rc_message": unlimited,
            "rc_joins": {"local": unlimited, "remote": unlimited},
            "rc_joins_per_room": unlimited,
            "rc_login": {"address": unlimited, "account": unlimited},
            "rc_invites": dict.fromkeys(("per_room", "per_user", "per_issuer"), unlimited),
        },
    )


def _door(home: Path, template: Path) -> DoorSettings:
    authority = NetworkAuthority(home / "policy")
    server = Server(
        name=SERVER,
        address=Address(host="127.0.0.1", port=1),
        tls_ca="-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
        verify_keys={"ed25519:1": "A" * 43},
    )
    document = fill_servers(load_document(template.read_text()), {"ITT": server})
    authority.publish(document, now=datetime.now(UTC))  # noqa: TID251 - a bench runs today
    return DoorSettings(
        policy_file=authority.files.policy,
        authority_file=authority.files.authority,
        audit_directory=home / "audit",
    )


@contextmanager
def _running(*homeservers: Homeserver) -> Iterator[None]:
    try:
        for homeserver in homeservers:
            homeserver.start()
        for homeserver in homeservers:
            homeserver.wait_ready()
        yield
    finally:
        stop_all([server.child for server in homeservers if server.child is not None])


def _measure(guarded: Homeserver, plain: Homeserver, size: int) -> Measure:
    rooms = {server: Room(server, size) for server in (guarded, plain)}
    spent: dict[Homeserver, list[float]] = {guarded: [], plain: []}
    for server in (guarded, plain):
        rooms[server].send()  # the caches warm up before anything counts
    for turn in range(ROUNDS):
        order = (guarded, plain) if turn % 2 else (plain, guarded)
        for server in order:
            spent[server].append(rooms[server].send())
    return Measure(
        f"local sends, room of {size}",
        middle(spent[guarded]) / SENDS * 1000,
        middle(spent[plain]) / SENDS * 1000,
        "CPU s / 1,000",
        TARGET,
    )


class Room:
    """An encrypted room of `size` members, of whom one sends."""

    def __init__(self, homeserver: Homeserver, size: int) -> None:
        if homeserver.child is None:
            raise RuntimeError("start the homeserver first")
        self._url = homeserver.client_url
        self._process = psutil.Process(homeserver.child.pid)
        self._numbers = count()
        password = "bench"  # noqa: S105 - of accounts that live as long as the bench
        boss = homeserver.admin_token
        made = self._post("/_matrix/client/v3/createRoom", {"preset": "private_chat"}, boss)
        self._room = quote(str(made["room_id"]))
        members = [homeserver.register(f"u{size}x{number}", password) for number in range(size - 1)]
        for member in members:
            self._post(f"/_synapse/admin/v1/join/{self._room}", {"user_id": member}, boss)
        self._token = homeserver.admin.log_in(f"u{size}x0", password)

    def send(self) -> float:
        """Send one round, a few at once; the CPU seconds it cost the homeserver."""
        before = self._cpu()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(self._send_one, range(SENDS)))
        return self._cpu() - before

    def _cpu(self) -> float:
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def _send_one(self, _: int) -> None:
        url = f"{self._url}/_matrix/client/v3/rooms/{self._room}/send/m.room.encrypted"
        answer = request(
            "PUT", f"{url}/t{next(self._numbers)}", json_body=CIPHERTEXT, token=self._token
        )
        if "event_id" not in answer.body:
            raise RuntimeError(f"a send was refused: {answer.body}")

    def _post(self, path: str, body: dict[str, object], token: str) -> dict[str, object]:
        answer = request("POST", f"{self._url}{path}", json_body=body, token=token)
        if answer.status != 200:  # noqa: PLR2004 - HTTP's own number
            raise RuntimeError(f"{path} was refused: {answer.body}")
        return dict(answer.body)
