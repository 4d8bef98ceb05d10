"""The bridge's first message into a room of 1,000 devices, against a real homeserver.

Every device has keys of its own, signed by its owner's identity, so each is judged, a one-time key
is claimed and an Olm session opened, before the message may leave.
"""

import asyncio
import contextlib
import gc
import os
import tempfile
import time
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import structlog
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from unpaddedbase64 import encode_base64

from rabta_bots.matrix import MatrixClient, MatrixSettings
from rabta_bots.matrix.signing import SigningKey
from rabta_bots.store.opening import open_store
from rabta_deploy.bench.measure import Measure, to_target
from rabta_deploy.homeserver import Homeserver
from rabta_deploy.jsonhttp import request
from rabta_deploy.ports import free_port
from rabta_deploy.process import stop_all

SERVER = "itt.gov.test"
PEOPLE, DEVICES_EACH = 200, 5
ROUNDS = 3
TARGET_S, TARGET_STALL_MS = 3.0, 100.0
AT_ONCE = 4
PASSWORD = "bench"  # noqa: S105 - of accounts that live as long as the bench
_LOOK_S = 0.001


@dataclass(frozen=True, slots=True)
class Share:
    """What one first message cost.

    Args:
        seconds: From `send` to its event id, the homeserver's work included.
        cpu: Seconds of the bridge's process.
        stall_ms: The longest time in which nothing else in the bridge had its turn.
        held_ms: The most work of the bridge's own between two turns; a stall beyond it is what
            the machine gave to others, or a disk that was waited for.
    """

    seconds: float
    cpu: float
    stall_ms: float
    held_ms: float


def share(_policy: Path) -> list[Measure]:
    """Seconds and the longest stall of the first message into a room of 1,000 devices."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with tempfile.TemporaryDirectory(prefix="rabta-bench-") as folder:
        home = Path(folder)
        with _running(home / "homeserver") as homeserver:
            people = _people(homeserver)
            rounds = []
            for number in range(ROUNDS):
                place = home / f"round{number}"
                place.mkdir()
                rounds.append(asyncio.run(_round(homeserver, place, people)))
    seconds, cpu, stall, held = (
        median([getattr(one, name) for one in rounds])
        for name in ("seconds", "cpu", "stall_ms", "held_ms")
    )
    name = f"first share, {PEOPLE * DEVICES_EACH:,} devices"
    return [
        to_target(f"{name}: to its target", seconds, TARGET_S, "s"),
        Measure(f"{name}: the bridge's CPU, to all the time", cpu, seconds, "s"),
        to_target(f"{name}: longest stall, to its target", stall, TARGET_STALL_MS, "ms"),
        to_target(f"{name}: of that our work, to the target", held, TARGET_STALL_MS, "ms"),
    ]


@contextmanager
def _running(directory: Path) -> Iterator[Homeserver]:
    directory.mkdir()
    unlimited = {"per_second": 100_000, "burst_count": 100_000}
    homeserver = Homeserver(
        SERVER,
        directory,
        client_port=free_port(),
        federation_port=free_port(),
        overrides={
            "bcrypt_rounds": 4,
            "rc_login": {"address": unlimited, "account": unlimited},
            "rc_invites": dict.fromkeys(("per_room", "per_user", "per_issuer"), unlimited),
        },
    )
    try:
        homeserver.start()
        homeserver.wait_ready()
        yield homeserver
    finally:
        stop_all(homeserver.children.values())


def _people(homeserver: Homeserver) -> list[str]:
    """Register people with identities and signed devices; gives their user ids."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda number: _person(homeserver, number), range(PEOPLE)))


def _person(homeserver: Homeserver, number: int) -> str:
    localpart = f"officer{number}"
    user_id = homeserver.register(localpart, PASSWORD)
    master, signer, other = (SigningKey(os.urandom(32)) for _ in range(3))
    for device in range(DEVICES_EACH):
        token = homeserver.admin.log_in(localpart, PASSWORD)
        if device == 0:
            keys = {"master": master, "self_signing": signer, "user_signing": other}
            body = {f"{usage}_key": _cross(user_id, usage, keys) for usage in keys}
            _post(homeserver, "keys/device_signing/upload", body, token)
        whoami = request(
            "GET", f"{homeserver.client_url}/_matrix/client/v3/account/whoami", token=token
        )
        device_id = str(whoami.body["device_id"])
        _post(homeserver, "keys/upload", _device(user_id, device_id, signer), token)
    return user_id


def _cross(user_id: str, usage: str, keys: dict[str, SigningKey]) -> dict[str, Any]:
    key, master = keys[usage], keys["master"]
    value: dict[str, Any] = {"user_id": user_id, "usage": [usage], "keys": {key.key_id: key.public}}
    if usage != "master":
        value["signatures"] = {user_id: {master.key_id: master.sign(value)}}
    return value


def _device(user_id: str, device_id: str, signer: SigningKey) -> dict[str, Any]:
    """Device keys signed by the device and the identity, and a one-time key for each round."""
    own = SigningKey(os.urandom(32))
    name = f"ed25519:{device_id}"
    keys: dict[str, Any] = {
        "user_id": user_id,
        "device_id": device_id,
        "algorithms": ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
        "keys": {name: own.public, f"curve25519:{device_id}": _curve25519()},
    }
    keys["signatures"] = {user_id: {name: own.sign(keys), signer.key_id: signer.sign(keys)}}
    one_time: dict[str, Any] = {}
    for number in range(ROUNDS):
        key = {"key": _curve25519()}
        signed = {**key, "signatures": {user_id: {name: own.sign(key)}}}
        one_time[f"signed_curve25519:{number}"] = signed
    return {"device_keys": keys, "one_time_keys": one_time}


def _curve25519() -> str:
    public: str = encode_base64(X25519PrivateKey.generate().public_key().public_bytes_raw())
    return public


def _post(homeserver: Homeserver, path: str, body: dict[str, Any], token: str) -> None:
    url = f"{homeserver.client_url}/_matrix/client/v3/{path}"
    answer = request("POST", url, json_body=body, token=token)
    if answer.status != 200:  # noqa: PLR2004 - HTTP's own number
        raise RuntimeError(f"{path} was refused: {answer.body}")


async def _round(homeserver: Homeserver, home: Path, people: list[str]) -> Share:
    """A new bridge makes a room of all the people and sends its first message there."""
    user_id = homeserver.register(f"bridge-{home.name}", PASSWORD)
    homeserver.lift_rate_limits(user_id)
    engine = open_store(f"sqlite:///{home / 'bridge.db'}", _today)
    client = MatrixClient(_settings(homeserver, user_id, home), engine, clock=_today)
    try:
        await client.start()
        room = await client.create_room(
            name="All", topic="", invite=people, room_class="restricted"
        )
        gc.collect()
        turns: list[tuple[float, float]] = []
        watching = asyncio.create_task(_watch(turns))
        await asyncio.sleep(0)
        begun, before = time.perf_counter(), time.process_time()
        await client.send(room, {"msgtype": "m.text", "body": "Notice"}, txn_id="bench")
        spent = time.perf_counter() - begun, time.process_time() - before
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
        stall, held = (max(side) * 1000 for side in zip(*turns, strict=True))
        return Share(*spent, stall, held)
    finally:
        await client.stop()
        engine.dispose()


async def _watch(turns: list[tuple[float, float]]) -> None:
    """Note for each turn how late it came, and the CPU seconds of this thread before it."""
    while True:
        begun, worked = time.perf_counter(), time.thread_time()
        await asyncio.sleep(_LOOK_S)
        late = time.perf_counter() - begun - _LOOK_S
        turns.append((late, time.thread_time() - worked))


def _settings(homeserver: Homeserver, user_id: str, home: Path) -> MatrixSettings:
    store_key = b64encode(os.urandom(32)).decode()
    for name, text in (("password", PASSWORD), ("store.key", store_key)):
        (home / name).touch(mode=0o600)
        (home / name).write_text(text)
    return MatrixSettings(
        homeserver_url=homeserver.client_url,
        user_id=user_id,
        password_file=home / "password",
        store_key_file=home / "store.key",
        recovery_key_file=home / "recovery.key",
    )


def _today() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - a bench runs today
