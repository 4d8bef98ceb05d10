"""A trial site on this machine: real PostgreSQL, Redis, nginx, gateway and five workers."""

import itertools
import json
import logging
import shutil
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sized
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from click.testing import CliRunner
from site_stream import Stream

from rabta_deploy.cli import main
from rabta_deploy.fault import YardError
from rabta_deploy.jsonhttp import request
from rabta_deploy.process import Child, until
from rabta_deploy.records.register import Register
from rabta_deploy.site.backup.archive import BackupError
from rabta_deploy.site.backup.restoring import restore
from rabta_deploy.site.backup.taking import take
from rabta_deploy.site.layout import below
from rabta_deploy.site.reading import load
from rabta_deploy.site.running import Running
from rabta_deploy.site.trial import Trial

log = logging.getLogger("rabta.drill")

# One site for all of them: two at once would look for ports at the same moment.
pytestmark = [pytest.mark.network, pytest.mark.xdist_group("site")]

CLIENT = "/_matrix/client/v3"


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


def staff(
    site: Running, trial: Trial, method: str, path: str, body: object = None
) -> tuple[int, dict[str, Any]]:
    """Ask SCIM as the ministry's HR does, from outside."""
    asked = urllib.request.Request(
        f"https://127.0.0.1:{site.site.client.port}{path}",
        method=method,
        data=json.dumps(body).encode() if body else None,
        headers={
            "Authorization": f"Bearer {site.layout.secret('scim-token-hr').read_text()}",
            "Content-Type": "application/scim+json",
        },
    )
    context = ssl.create_default_context(cafile=str(trial.network / "ca/ca.pem"))
    try:
        with urllib.request.urlopen(asked, context=context, timeout=30) as answer:  # noqa: S310
            return answer.status, json.loads(answer.read() or b"{}")
    except urllib.error.HTTPError as error:
        return error.code, {}


def test_who_joins_by_scim_has_an_account_and_stands_in_the_bridges_directory(
    site: Running, trial: Trial
) -> None:
    user = {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": "ayesha.malik@itt.gov.test",
        "displayName": "Ayesha Malik",
    }
    status, made = staff(site, trial, "POST", "/scim/v2/Users", user)
    assert status == 201
    port = site.site.client.port
    assert made["meta"]["location"].startswith(f"https://chat.itt.gov.test:{port}/scim/v2/Users/")
    url = f"{site.client_url}/_synapse/admin/v2/users/@ayesha.malik:itt.gov.test"
    token = site.administrator_token
    assert until(lambda: request("GET", url, token=token).status == 200, within_s=30)
    directory = site.layout.state / "directory/directory.yaml"
    assert until(lambda: "Ayesha Malik" in directory.read_text(), within_s=30)
    config = str(site.layout.config / "staff.yaml")
    asked = ["staff", "password", "--config", config, "ayesha.malik@itt.gov.test"]
    given = CliRunner().invoke(main, asked)
    assert given.exit_code == 0, given.output
    session = site.admin.log_in("ayesha.malik", given.output.strip())
    left = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "replace", "path": "active", "value": False}],
    }
    assert staff(site, trial, "PATCH", f"/scim/v2/Users/{made['id']}", left)[0] == 204
    # In every process of the homeserver.
    assert until(lambda: not site.admin.knows(session), within_s=10)
    # What the operator asks is asked on the machine itself.
    assert staff(site, trial, "POST", "/import", user)[0] == 404
    assert staff(site, trial, "GET", "/scim/v2/../../metrics")[0] == 404


def test_the_administrators_token_is_replaced_when_it_has_ended(site: Running) -> None:
    before = site.administrator_token
    assert site.administrator_token == before
    url = f"{site.client_url}{CLIENT}/logout"
    assert request("POST", url, json_body={}, token=before).status == 200
    after = site.administrator_token
    assert after != before
    assert site.admin.knows(after)


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


def joined(site: Running, room: str, token: str) -> set[str]:
    url = f"{site.client_url}{CLIENT}/rooms/{room}/joined_members"
    return set(request("GET", url, token=token).body["joined"])


def test_the_records_officer_keeps_holds_and_lets_go_by_commands(
    site: Running, trial: Trial, token: str
) -> None:
    url = f"{site.client_url}{CLIENT}"
    room = str(request("POST", f"{url}/createRoom", json_body={}, token=token).body["room_id"])
    where = [str(trial.file), "--root", str(trial.directory)]
    order = ["--order", "1-5/2026(R)"]

    def rabta(*arguments: str) -> str:
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == 0, done.output
        return done.output

    refused = CliRunner().invoke(main, ["records", "purge", *where])
    assert (refused.exit_code, "[register-missing]" in refused.output) == (2, True)
    rabta("records", "open", *where, "--by", "Amna")
    assert f"{room}: none -> D" in rabta("records", "category", *where, room, "D", *order)
    placed = rabta("hold", "place", *where, "--room", room, *order, "--by", "Amna")
    assert f"H0001 in force: room {room}, order 1-5/2026(R)" in placed
    assert f"{room}: kept: on-hold H0001" in rabta("records", "purge", *where, "--dry-run")
    lifted = ["--by", "Amna", "--countersigned", "Bilal"]
    rabta("hold", "lift", *where, "H0001", *order, *lifted)
    assert rabta("hold", "list", *where).splitlines() == ["0 holds"]
    assert '"failed": 0' in rabta("records", "purge", *where)
    assert "@archive:itt.gov.test is invited" in rabta("records", "record", *where, room, *order)
    assert until(lambda: "@archive:itt.gov.test" in joined(site, room, token), within_s=60)
    # For the backup.
    rabta("hold", "place", *where, "--person", "@so-admn2:itt.gov.test", *order, "--by", "Amna")


def test_what_was_acknowledged_is_there_after_each_part_was_killed(
    site: Running, token: str
) -> None:
    """Each part dies by SIGKILL while somebody writes; the runner brings it back by itself."""
    stream = Stream(site, token)
    with ThreadPoolExecutor() as pool:
        writing = pool.submit(stream.write)
        try:
            for name in list(site.children):
                alive = partial(_more_than, stream.acknowledged, len(stream.acknowledged))
                assert until(alive, within_s=60, every_s=0.05)
                assert until(partial(_alive, site, name), within_s=60), name
                begun, killed = time.monotonic(), site.children[name]
                killed.kill()

                def back(name: str = name, killed: Child = killed) -> bool:
                    site.look()
                    fresh = site.children[name]
                    return fresh is not killed and fresh.running

                assert until(back, within_s=120, every_s=0.05), name
                started, before = time.monotonic(), len(stream.acknowledged)
                written = partial(_more_than, stream.acknowledged, before)
                assert until(written, within_s=120, every_s=0.05), name
                waited = stream.longest_wait(begun)
                log.info(
                    "%s back after %.1f s; who wrote waited %.1f s", name, started - begun, waited
                )
        finally:
            stream.stop()
        writing.result()
    told = stream.told()
    assert set(stream.acknowledged) <= set(told)
    assert len(told) == len(set(told))
    log.info("%d messages acknowledged, all there", len(stream.acknowledged))


def _alive(site: Running, name: str) -> bool:
    site.look()
    return site.children[name].running


def _more_than(what: Sized, count: int) -> bool:
    return len(what) > count


def identity_of_the_bridge(site: Running, token: str) -> tuple[str, set[str]]:
    """Its master key, and the devices that its owner has signed."""
    user_id = "@rabta:itt.gov.test"
    url = f"{site.client_url}{CLIENT}/keys/query"
    told = request("POST", url, json_body={"device_keys": {user_id: []}}, token=token).body
    master = told.get("master_keys", {}).get(user_id, {}).get("keys", {})
    devices = {
        name
        for name, keys in told.get("device_keys", {}).get(user_id, {}).items()
        if len(keys["signatures"][user_id]) == 2
    }
    return next(iter(master), ""), devices


def uploaded(site: Running, token: str, content: bytes) -> str:
    """The media id of a file."""
    asked = urllib.request.Request(  # noqa: S310 - our own homeserver
        f"{site.client_url}/_matrix/media/v3/upload",
        data=content,
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/octet-stream"},
    )
    with urllib.request.urlopen(asked, timeout=30) as answer:  # noqa: S310 - as above
        return str(json.load(answer)["content_uri"]).removeprefix("mxc://")


def upload_taken(site: Running, token: str, found: list[str]) -> bool:
    """Whether a file could be uploaded; its media id is put into `found`."""
    try:
        found.append(uploaded(site, token, b"an encrypted attachment"))
    except urllib.error.HTTPError:
        return False
    return True


def test_a_site_that_was_destroyed_comes_back_from_its_backup(
    site: Running, trial: Trial, token: str, backup_key: str
) -> None:
    home, layout = trial.directory, site.layout
    url = f"{site.client_url}{CLIENT}"
    room = str(request("POST", f"{url}/createRoom", json_body={}, token=token).body["room_id"])
    # Its process was killed a moment ago, and is starting.
    found: list[str] = []
    assert until(lambda: upload_taken(site, token, found), within_s=60)
    (media,) = found
    assert until(lambda: identity_of_the_bridge(site, token)[1], within_s=60)
    master, devices = identity_of_the_bridge(site, token)
    acknowledged: list[str] = []
    enough = threading.Event()

    def talk() -> None:
        for number in itertools.count():
            if enough.is_set():
                return
            at = f"{url}/rooms/{room}/send/m.room.encrypted/load{number}"
            sent = request("PUT", at, json_body={"ciphertext": "x"}, token=token)
            acknowledged.append(sent.body["event_id"])

    with ThreadPoolExecutor() as pool:
        talking = pool.submit(talk)
        assert until(lambda: len(acknowledged) >= 20, within_s=60)
        before = list(acknowledged)
        now = datetime.now(UTC)  # noqa: TID251 - a backup is taken now
        file = take(site.site, layout, now)
        with pytest.raises(BackupError) as refused:
            restore(site.site, layout, file, [backup_key])
        assert refused.value.reason == "restore-onto-a-site"
        enough.set()
        talking.result()
    assert len(acknowledged) > len(before)
    serial = json.loads(site.site.policy.policy_file.read_bytes())["serial"]
    assert until(lambda: staff(site, trial, "GET", "/scim/v2/Users")[0] == 200, within_s=60)
    people = staff(site, trial, "GET", "/scim/v2/Users")
    site.down()
    for directory in ("etc", "secrets", "var"):
        shutil.rmtree(home / directory)
    site.site.policy.policy_file.unlink()

    restore(site.site, layout, file, [backup_key])
    site.up()

    there = request("GET", f"{url}/rooms/{room}/messages?dir=b&limit=500", token=token).body
    assert set(before) <= {event["event_id"] for event in there["chunk"]}
    answer = request(
        "GET", f"{site.client_url}/_matrix/client/v1/media/download/{media}", token=token
    )
    assert answer.status == 200
    assert json.loads(site.site.policy.policy_file.read_bytes())["serial"] == serial
    assert staff(site, trial, "GET", "/scim/v2/Users") == people
    assert people[1]["totalResults"] == 1
    holds = Register(layout.state / "records", site.site.server_name).holds()
    assert [hold.in_force(now) for hold in holds] == [False, True]
    assert until(lambda: identity_of_the_bridge(site, token)[1] - devices, within_s=60)
    assert identity_of_the_bridge(site, token)[0] == master
    sent = request(
        "PUT",
        f"{url}/rooms/{room}/send/m.room.encrypted/after",
        json_body={"ciphertext": "x"},
        token=token,
    )
    assert sent.status == 200
