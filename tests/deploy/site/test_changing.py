"""Secrets rotated and a site upgraded while people write: nothing acknowledged is lost."""

import itertools
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rabta_deploy.ca import CertificateAuthority, Leaf
from rabta_deploy.cli import main
from rabta_deploy.jsonhttp import request
from rabta_deploy.process import until
from rabta_deploy.site.reading import load
from rabta_deploy.site.rotation import tls
from rabta_deploy.site.running import Running
from rabta_deploy.site.secrets_of_site import NEXT_KEY, public
from rabta_deploy.site.trial import Trial, pin

# The site that test_running runs.
pytestmark = [pytest.mark.network, pytest.mark.xdist_group("site")]

CLIENT = "/_matrix/client/v3"


class Stream:
    """Somebody who writes all the time, and sends again what was not acknowledged."""

    def __init__(self, site: Running, token: str) -> None:
        self.acknowledged: list[str] = []
        self._url, self._token = f"{site.client_url}{CLIENT}", token
        self._enough = threading.Event()
        made = request("POST", f"{self._url}/createRoom", json_body={}, token=token)
        self.room = str(made.body["room_id"])

    def write(self) -> None:
        for number in itertools.count():
            while not self._sent(number):
                if self._enough.wait(0.1):
                    return
            if self._enough.wait(0.02):
                return

    def _sent(self, number: int) -> bool:
        url = f"{self._url}/rooms/{self.room}/send/m.room.encrypted/s{number}"
        body = {"ciphertext": "x"}
        try:
            answer = request("PUT", url, json_body=body, token=self._token, timeout_s=10)
        except OSError:
            return False
        if answer.status == 200:
            self.acknowledged.append(answer.body["event_id"])
        return answer.status == 200

    def stop(self) -> None:
        self._enough.set()

    def told(self) -> list[str]:
        """Every message in the room."""
        found, at = [], ""
        while True:
            url = f"{self._url}/rooms/{self.room}/messages?dir=b&limit=500{at}"
            body = request("GET", url, token=self._token).body
            found += [one["event_id"] for one in body["chunk"] if one["type"] == "m.room.encrypted"]
            if "end" not in body:
                return found
            at = f"&from={body['end']}"


@contextmanager
def talk(site: Running, token: str) -> Iterator[Callable[..., Result]]:
    """Run commands while somebody writes; in the end all is there, and nothing twice."""
    stream = Stream(site, token)
    with ThreadPoolExecutor() as pool:
        writing = pool.submit(stream.write)

        def rabta(*arguments: object) -> Result:
            told = [str(one) for one in arguments]
            doing = pool.submit(lambda: CliRunner().invoke(main, told, catch_exceptions=False))

            def done() -> bool:
                site.look()  # as `rabta site run` does, from the thread that started the parts
                return doing.done()

            assert until(done, within_s=400, every_s=0.1)
            return doing.result()

        try:
            yield rabta
            so_far = len(stream.acknowledged)
            assert until(lambda: len(stream.acknowledged) > so_far + 3, within_s=60)
        finally:
            stream.stop()
        writing.result()
    told = stream.told()
    assert set(stream.acknowledged) <= set(told)
    assert len(told) == len(set(told)) == len(set(stream.acknowledged))


def pids(site: Running) -> dict[str, int]:
    return {name: child.pid for name, child in site.children.items()}


def restarted(site: Running, before: dict[str, int]) -> set[str]:
    return {name for name, pid in pids(site).items() if before[name] != pid}


@pytest.fixture(scope="module")
def where(trial: Trial) -> list[str]:
    return [str(trial.file), "--root", str(trial.directory)]


def test_the_signing_key_is_rotated_once_the_policy_pins_the_next(
    site: Running, trial: Trial, token: str, where: list[str]
) -> None:
    command = ["site", "rotate", "signing-key", *where]
    old = public(site.layout.secret("signing.key").read_text())
    before = pids(site)
    with talk(site, token) as rabta:
        made = rabta(*command)
        assert made.exit_code == 0, made.output
        new = public(site.layout.secret(NEXT_KEY).read_text())
        assert f'"{new[0]}": {new[1]}' in made.output
        refused = rabta(*command)
        assert (refused.exit_code, "[key-not-pinned]" in refused.output) == (2, True)
        assert "next-key-not-pinned" in rabta("site", "preflight", *where).output
        assert restarted(site, before) == set()
        pin(trial, *new, datetime.now(UTC))  # noqa: TID251 - a policy is dated
        switched = rabta(*command)
        assert switched.exit_code == 0, switched.output
        assert "[old-key-pinned]" in rabta(*command, "--finish").output
    assert restarted(site, before) == {part.name for part in site.parts.values() if part.door}
    assert not site.layout.secret(NEXT_KEY).exists()
    port = site.ports["router federation"]
    told = request("GET", f"http://127.0.0.1:{port}/_matrix/key/v2/server").body
    assert list(told["verify_keys"]) == [new[0]]
    assert told["old_verify_keys"][old[0]]["key"] == old[1]


def test_a_certificate_that_would_not_serve_is_refused_and_a_good_one_shown(
    site: Running, trial: Trial, token: str, where: list[str], tmp_path: Path
) -> None:
    now = datetime.now(UTC)  # noqa: TID251 - certificates hold today
    stranger = CertificateAuthority(tmp_path / "stranger").leaf(site.site.server_name, now=now)
    gone = CertificateAuthority(tmp_path / "ca-of-old")
    before = pids(site)
    with talk(site, token) as rabta:

        def put(face: str, certificate: Path, key: Path, *more: str) -> Result:
            files = ["--certificate", certificate, "--key", key]
            return rabta("site", "rotate", "tls", *where, "--face", face, *files, *more)

        bad = {
            "another certificate": ("client", stranger.certificate_file, site.site.client.key_file),
            "it is not for chat.": ("client", stranger.certificate_file, stranger.key_file),
            "the policy's CA": ("federation", stranger.certificate_file, stranger.key_file),
            "it holds from": (
                "client",
                *vars_of(gone.leaf(site.site.client.name, now=now - timedelta(days=400))),
            ),
        }
        for why, (face, certificate, key) in bad.items():
            refused = put(face, certificate, key)
            assert (refused.exit_code, why in refused.output) == (2, True), refused.output
        names = {
            "client": site.site.client.name,
            "federation": site.site.server_name,
        }
        for face, name in names.items():
            # Issued anew by the network's CA, in a directory of its own.
            again = reissued(trial, name, tmp_path / face, now)
            assert put(face, *again, "--dry-run").exit_code == 0
            shown = getattr(site.site, face)
            assert not tls.shows(shown, again[0].read_bytes())
            put_in = put(face, *again)
            assert put_in.exit_code == 0, put_in.output
            assert tls.shows(shown, again[0].read_bytes())
            assert shown.key_file.stat().st_mode & 0o777 == 0o600
    assert restarted(site, before) == set()


def vars_of(leaf: Leaf) -> tuple[Path, Path]:
    return leaf.certificate_file, leaf.key_file


def reissued(trial: Trial, name: str, directory: Path, now: datetime) -> tuple[Path, Path]:
    directory.mkdir()
    for file in ("ca.pem", "ca.key"):
        (directory / file).write_bytes((trial.network / "ca" / file).read_bytes())
    return vars_of(CertificateAuthority(directory).leaf(name, now=now))


def test_an_upgrade_restarts_every_part_while_people_write(
    site: Running, trial: Trial, token: str, where: list[str]
) -> None:
    before = pids(site)
    with talk(site, token) as rabta:
        done = rabta("site", "upgrade", *where)
        assert done.exit_code == 0, done.output
    assert restarted(site, before) == set(site.parts)
    assert json.loads((site.layout.state / "running.json").read_bytes())["parts"] == pids(site)
    assert list((trial.directory.parent / "backups").iterdir())
    assert load(trial.file).server_name == site.site.server_name
