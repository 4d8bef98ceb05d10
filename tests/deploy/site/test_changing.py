"""Secrets rotated and a site upgraded while people write: nothing acknowledged is lost."""

import json
import socket
import ssl
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from site_stream import Stream

from rabta_contract.secrets_file import SigningSecrets
from rabta_contract.signature import sign
from rabta_deploy.ca import CertificateAuthority, Leaf
from rabta_deploy.cli import main
from rabta_deploy.homeserver import VerifyKey
from rabta_deploy.jsonhttp import request
from rabta_deploy.process import until
from rabta_deploy.site.description import Face
from rabta_deploy.site.reading import load
from rabta_deploy.site.rotation import tls
from rabta_deploy.site.running import Running
from rabta_deploy.site.secrets_of_site import NEXT_KEY
from rabta_deploy.site.trial import Trial, pin

# The site that test_running runs.
pytestmark = [pytest.mark.network, pytest.mark.xdist_group("site")]


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


def published(site: Running, trial: Trial) -> dict[str, Any]:
    """The homeserver's keys, as other ministries get them at its border."""
    context = ssl.create_default_context(cafile=str(trial.network / "ca/ca.pem"))
    assert site.site.federation is not None
    url = f"https://127.0.0.1:{site.site.federation.port}/_matrix/key/v2/server"
    with urllib.request.urlopen(url, context=context, timeout=30) as answer:
        told: dict[str, Any] = json.load(answer)
    return told


def test_the_signing_key_is_rotated_once_the_policy_pins_the_next(
    site: Running, trial: Trial, token: str, where: list[str]
) -> None:
    command = ["site", "rotate", "signing-key", *where]
    old = VerifyKey.of(site.layout.secret("signing.key").read_text())
    before = pids(site)
    with talk(site, token) as rabta:
        made = rabta(*command)
        assert made.exit_code == 0, made.output
        new = VerifyKey.of(site.layout.secret(NEXT_KEY).read_text())
        assert f'"{new[0]}": {new[1]}' in made.output
        refused = rabta(*command)
        assert (refused.exit_code, "[key-not-pinned]" in refused.output) == (2, True)
        assert "next-key-not-pinned" in rabta("site", "preflight", *where).output
        assert restarted(site, before) == set()
        assert set(published(site, trial)["verify_keys"]) == {old[0]}
        pin(trial, *new, datetime.now(UTC))  # noqa: TID251 - a policy is dated
        switched = rabta(*command)
        assert switched.exit_code == 0, switched.output
        assert f"signs with {new[0]}" in switched.output
        finish = rabta(*command, "--finish")
        assert (finish.exit_code, "[old-key-pinned]" in finish.output) == (2, True)
    assert restarted(site, before) == {part.name for part in site.parts.values() if part.door}
    assert not site.layout.secret(NEXT_KEY).exists()
    told = published(site, trial)
    assert list(told["verify_keys"]) == [new[0]]
    expired_ts = load(trial.file).old_signing_keys[old[0]].expired_ts
    assert told["old_verify_keys"][old[0]] == {"key": old[1], "expired_ts": expired_ts}


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
        faces = [site.site.client, site.site.federation]
        kept = [file.read_bytes() for face in faces for file in files_of(face)]
        for why, (face, certificate, key) in bad.items():
            refused = put(face, certificate, key)
            assert (refused.exit_code, why in refused.output) == (2, True), refused.output
            assert "[certificate-refused]" in refused.output
        assert [file.read_bytes() for face in faces for file in files_of(face)] == kept
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
            assert "Shown by" in put_in.output
            assert tls.shows(shown, again[0].read_bytes())
            (own, *_) = x509.load_pem_x509_certificates(again[0].read_bytes())
            assert shown_at(shown.port, trial) == own.public_bytes(Encoding.DER)
            assert shown.key_file.stat().st_mode & 0o777 == 0o600
    assert restarted(site, before) == set()


def files_of(face: Face | None) -> tuple[Path, Path]:
    assert face is not None
    return face.certificate_file, face.key_file


def shown_at(port: int, trial: Trial) -> bytes | None:
    """The certificate that a port shows, once the network's CA has vouched for it."""
    context = ssl.create_default_context(cafile=str(trial.network / "ca/ca.pem"))
    context.check_hostname = False
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        context.wrap_socket(plain) as encrypted,
    ):
        return encrypted.getpeercert(binary_form=True)


def vars_of(leaf: Leaf) -> tuple[Path, Path]:
    return leaf.certificate_file, leaf.key_file


def reissued(trial: Trial, name: str, directory: Path, now: datetime) -> tuple[Path, Path]:
    directory.mkdir()
    for file in ("ca.pem", "ca.key"):
        (directory / file).write_bytes((trial.network / "ca" / file).read_bytes())
    return vars_of(CertificateAuthority(directory).leaf(name, now=now))


def test_the_webhook_secret_is_live_beside_the_old_one_until_the_end(
    site: Running, trial: Trial, token: str
) -> None:
    assert site.site.eoffice is not None
    file = site.site.eoffice.webhook_secret_file
    (old,) = file.read_text().split()
    before = pids(site)
    command = ["site", "rotate", "webhook", str(trial.file)]

    def believed(secret: str) -> bool:
        """Whether the bridge takes what a secret signs; an empty body goes no further."""
        now = datetime.now(UTC)  # noqa: TID251 - a signature is of now
        headers = sign("a-probe", b"{}", SigningSecrets.parse(secret), now)
        url = f"http://127.0.0.1:{site.ports['bridge']}/eoffice/events"
        answer = request("POST", url, body=b"{}", headers=headers)
        assert answer.status in {400, 401, 415}, answer
        return answer.status != 401

    with talk(site, token) as rabta:
        assert rabta(*command, "--dry-run").exit_code == 0
        assert file.read_text().split() == [old]
        made = rabta(*command)
        assert made.exit_code == 0, made.output
        new, *kept = file.read_text().split()
        assert kept == [old]
        assert new != old
        assert new not in made.output
        assert until(lambda: believed(new), within_s=60)
        assert believed(old)
        # Once more, as after an interruption: nothing else is made.
        assert "nothing is made" in rabta(*command).output
        assert file.read_text().split() == [new, old]
        assert rabta(*command, "--finish").exit_code == 0
        assert file.read_text().split() == [new]
        assert until(lambda: not believed(old), within_s=60)
        assert believed(new)
    assert file.stat().st_mode & 0o777 == 0o600
    assert "webhook-secret-replaced" in (site.layout.state / "log/bridge.log").read_text()
    assert restarted(site, before) == set()


@pytest.mark.parametrize("backup", [True, False], ids=["with-backup", "without"])
def test_an_upgrade_restarts_every_part_while_people_write(
    *, site: Running, trial: Trial, token: str, where: list[str], backup: bool
) -> None:
    before = pids(site)
    backups = trial.directory.parent / "backups"
    taken = set(backups.glob("*"))
    with talk(site, token) as rabta:
        done = rabta("site", "upgrade", *where, *([] if backup else ["--without-backup"]))
        assert done.exit_code == 0, done.output
    assert f"{len(site.parts)} parts run the new version." in done.output
    assert restarted(site, before) == set(site.parts)
    assert json.loads((site.layout.state / "running.json").read_bytes())["parts"] == pids(site)
    assert bool(set(backups.glob("*")) - taken) == backup
    assert load(trial.file).server_name == site.site.server_name
