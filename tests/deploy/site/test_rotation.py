"""A running trial site gets new secrets and a new version while people write: nothing is lost."""

import json
import socket
import ssl
import threading
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from rabta_contract.secrets_file import SigningSecrets
from rabta_deploy.ca import CertificateAuthority, Leaf
from rabta_deploy.cli import main
from rabta_deploy.jsonhttp import request
from rabta_deploy.process import until
from rabta_deploy.site.reading import load
from rabta_deploy.site.running import Running
from rabta_deploy.site.secrets_of_site import public
from rabta_deploy.site.trial import Trial, pin

# One site for all of them, the same as in test_running.
pytestmark = [pytest.mark.network, pytest.mark.xdist_group("site")]

CLIENT = "/_matrix/client/v3"
NOW = datetime.now(UTC)  # noqa: TID251 - certificates hold today


def rabta(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(main, ["site", *arguments], catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.output


def where(trial: Trial) -> list[str]:
    return [str(trial.file), "--root", str(trial.directory)]


def while_people_write(site: Running, token: str, act: Callable[[], str]) -> str:
    """What `act` answers, while somebody sends and sends; all that was acknowledged is there.

    The runner looks after its parts in this thread: they end with the thread that started them.
    """
    url = f"{site.client_url}{CLIENT}"
    room = sure("POST", f"{url}/createRoom", token, {})["room_id"]
    acknowledged: list[str] = []
    over = threading.Event()

    def write() -> None:
        number = 0
        while not over.wait(0.1):
            path = f"{url}/rooms/{room}/send/m.room.encrypted/{number}"
            try:
                answer = request("PUT", path, json_body={"ciphertext": "x"}, token=token)
            except OSError:
                continue
            if answer.status == 200:
                acknowledged.append(answer.body["event_id"])
                number += 1

    with ThreadPoolExecutor(2) as pool:
        writing, acting = pool.submit(write), pool.submit(act)

        def acted() -> bool:
            site.look()
            return acting.done()

        try:
            assert until(acted, within_s=300, every_s=0.2)
            # What comes after the change counts, too.
            reached = len(acknowledged)
            assert until(lambda: len(acknowledged) >= reached + 3, within_s=60)
        finally:
            over.set()
        writing.result()
    assert set(acknowledged) <= told_in(url, room, token)
    return acting.result()


def sure(method: str, url: str, token: str, body: object = None) -> dict[str, Any]:
    """What the site answers, as a client asks: again, while a part is away."""
    answers: list[dict[str, Any]] = []

    def answered() -> bool:
        answer = request(method, url, json_body=body, token=token)
        if answer.status == 200:
            answers.append(answer.body)
        return bool(answers)

    assert until(answered, within_s=60), url
    return answers[0]


def told_in(url: str, room: str, token: str) -> set[str]:
    """The ids of all events of a room."""
    found: set[str] = set()
    path = f"{url}/rooms/{room}/messages?dir=b&limit=1000"
    page = sure("GET", path, token)
    while page.get("chunk"):
        found |= {event["event_id"] for event in page["chunk"]}
        after = page.get("end")
        page = sure("GET", f"{path}&from={after}", token) if after else {}
    return found


def test_the_webhook_secret_is_live_beside_the_old_one_until_the_end(
    site: Running, trial: Trial
) -> None:
    eoffice = site.site.eoffice
    assert eoffice is not None
    file = eoffice.webhook_secret_file
    (old,) = file.read_text().split()

    rabta("rotate", "webhook", str(trial.file), "--dry-run")
    assert file.read_text().split() == [old]
    said = rabta("rotate", "webhook", str(trial.file))
    new, second = file.read_text().split()
    assert second == old
    assert new != old
    assert new not in said
    assert file.stat().st_mode & 0o777 == 0o600
    SigningSecrets.parse(file.read_text())
    # Once more, as after an interruption: nothing else is made.
    assert "nothing is made" in rabta("rotate", "webhook", str(trial.file))
    assert file.read_text().split() == [new, old]

    rabta("rotate", "webhook", str(trial.file), "--finish")
    assert file.read_text().split() == [new]


def shown(port: int, ca: Path) -> bytes:
    """The certificate that a port shows, verified by a CA."""
    context = ssl.create_default_context(cafile=str(ca))
    context.check_hostname = False
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        context.wrap_socket(plain) as encrypted,
    ):
        found = encrypted.getpeercert(binary_form=True)
    assert found is not None
    return found


@pytest.mark.parametrize("face", ["client", "federation"])
def test_a_certificate_is_shown_at_once_and_a_bad_one_changes_nothing(
    site: Running, trial: Trial, token: str, tmp_path: Path, face: str
) -> None:
    described = site.site
    chosen = described.client if face == "client" else described.federation
    assert chosen is not None
    name = described.client.name if face == "client" else described.server_name
    before = chosen.certificate_file.read_bytes(), chosen.key_file.read_bytes()
    own, theirs = trial.network / "ca", tmp_path / "theirs"
    # The same CA, as its owner would use it: another directory, so another pair.
    again = tmp_path / "own"
    again.mkdir()
    for file in own.glob("ca.*"):
        (again / file.name).write_bytes(file.read_bytes())
    fresh = CertificateAuthority(again).leaf(name, now=NOW)

    def rotate(leaf: Leaf, code: int = 0) -> str:
        pair = ["--certificate", str(leaf.certificate_file), "--key", str(leaf.key_file)]
        return rabta("rotate", "tls", *where(trial), "--face", face, *pair, code=code)

    other_key = Leaf(fresh.certificate_file, chosen.key_file)
    assert "[certificate-refused]" in rotate(other_key, code=2)
    other_name = CertificateAuthority(again).leaf("chat.fin.gov.test", now=NOW)
    assert f"it is not for {name}" in rotate(other_name, code=2)
    if face == "federation":
        foreign = CertificateAuthority(theirs).leaf(name, now=NOW)
        assert "does not chain to the policy's CA" in rotate(foreign, code=2)
    assert (chosen.certificate_file.read_bytes(), chosen.key_file.read_bytes()) == before

    assert "Shown by" in while_people_write(site, token, lambda: rotate(fresh))
    new = shown(chosen.port, own / "ca.pem")
    first = x509.load_pem_x509_certificates(fresh.certificate_file.read_bytes())[0]
    assert new == first.public_bytes(Encoding.DER)
    assert chosen.key_file.stat().st_mode & 0o777 == 0o600


def published(site: Running, trial: Trial) -> dict[str, dict[str, object]]:
    """The homeserver's keys, as other ministries get them at its border."""
    context = ssl.create_default_context(cafile=str(trial.network / "ca/ca.pem"))
    assert site.site.federation is not None
    url = f"https://127.0.0.1:{site.site.federation.port}/_matrix/key/v2/server"
    with urllib.request.urlopen(url, context=context, timeout=30) as answer:
        found: dict[str, dict[str, object]] = json.load(answer)
    return found


def test_the_homeserver_signs_with_the_next_key_once_the_policy_pins_it(
    site: Running, trial: Trial, token: str
) -> None:
    old_id, old = public(site.layout.secret("signing.key").read_text())
    said = rabta("rotate", "signing-key", *where(trial))
    key_id, key = public(site.layout.secret("signing.key.next").read_text())
    assert f'"{key_id}": {key}' in said
    assert "[key-not-pinned]" in rabta("rotate", "signing-key", *where(trial), code=2)
    assert set(published(site, trial)["verify_keys"]) == {old_id}

    pin(trial, key_id, key, NOW)
    said = while_people_write(site, token, lambda: rabta("rotate", "signing-key", *where(trial)))
    assert f"signs with {key_id}" in said

    told = published(site, trial)
    assert set(told["verify_keys"]) == {key_id}
    assert told["old_verify_keys"][old_id] == {
        "key": old,
        "expired_ts": load(trial.file).old_signing_keys[old_id].expired_ts,
    }
    assert not site.layout.secret("signing.key.next").exists()
    finish = rabta("rotate", "signing-key", *where(trial), "--finish", code=2)
    assert "[old-key-pinned]" in finish


def test_every_part_is_restarted_by_an_upgrade_and_people_write_on(
    site: Running, trial: Trial, token: str
) -> None:
    before = {name: child.pid for name, child in site.children.items()}
    said = while_people_write(
        site, token, lambda: rabta("upgrade", *where(trial), "--without-backup")
    )
    assert f"{len(site.parts)} parts run the new version." in said
    after = {name: child.pid for name, child in site.children.items()}
    assert set(after) == set(before)
    assert all(after[name] != before[name] for name in before)
