"""The runner of homeservers, against real Synapses."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from rabta_deploy.homeserver import Homeserver
from rabta_deploy.jsonhttp import request
from rabta_deploy.ports import PortTakenError

pytestmark = pytest.mark.network


@pytest.fixture(scope="module")
def homeserver(homeserver_factory: Callable[..., Homeserver]) -> Homeserver:
    return homeserver_factory("itt.gov.test")


def test_an_officer_is_registered_once_and_registering_again_changes_nothing(
    homeserver: Homeserver,
) -> None:
    assert homeserver.register("so-admn2", "first password") == "@so-admn2:itt.gov.test"
    homeserver.register("so-admn2", "second password")

    assert homeserver.admin.log_in("so-admn2", "first password")


def test_the_key_for_the_policy_is_the_key_the_server_publishes(homeserver: Homeserver) -> None:
    published = request("GET", f"{homeserver.federation_url}/_matrix/key/v2/server").body

    assert published["verify_keys"] == {
        homeserver.verify_key.key_id: {"key": homeserver.verify_key.key}
    }


def test_registration_is_closed_to_strangers(homeserver: Homeserver) -> None:
    answer = request(
        "POST",
        f"{homeserver.client_url}/_matrix/client/v3/register",
        json_body={"username": "stranger", "password": "some password"},
    )

    assert (answer.status, answer.body["errcode"]) == (403, "M_FORBIDDEN")


def test_a_room_is_encrypted_and_of_version_11_unless_asked_otherwise(
    homeserver: Homeserver,
) -> None:
    token = homeserver.admin_token
    url = f"{homeserver.client_url}/_matrix/client/v3"
    room_id = request("POST", f"{url}/createRoom", json_body={}, token=token).body["room_id"]

    state = request("GET", f"{url}/rooms/{room_id}/state", token=token).body

    contents = {event["type"]: event["content"] for event in state}
    assert contents["m.room.encryption"] == {"algorithm": "m.megolm.v1.aes-sha2"}
    assert contents["m.room.create"]["room_version"] == "11"


def test_its_files_are_for_its_own_user_only(homeserver: Homeserver) -> None:
    secret = [
        path
        for path in homeserver.files.directory.iterdir()
        if path.suffix in {".secret", ".key", ".token"} or path.name == "homeserver.yaml"
    ]

    assert len(secret) >= 5
    assert {oct(path.stat().st_mode & 0o777) for path in secret} == {"0o600"}


def test_the_rendered_document_holds_no_secret_inline(homeserver: Homeserver) -> None:
    rendered = homeserver.files.config.read_text()

    secrets = [path.read_text().strip() for path in homeserver.files.directory.glob("*.secret")]
    assert secrets
    assert [secret for secret in secrets if secret in rendered] == []
    assert yaml.safe_load(rendered)["federation_domain_whitelist"] == []


def test_a_second_start_on_taken_ports_is_refused_in_words(homeserver: Homeserver) -> None:
    twin = Homeserver(
        "fin.gov.test",
        homeserver.files.directory,
        client_port=homeserver.settings.client_port,
        federation_port=homeserver.settings.federation_port,
    )

    with pytest.raises(PortTakenError) as refused:
        twin.start()

    assert refused.value.reason == "port-taken"
    assert str(homeserver.settings.client_port) in refused.value.text
    assert not twin.running


def test_it_keeps_accounts_and_keys_over_a_restart_on_postgresql(
    homeserver_factory: Callable[..., Homeserver], postgres: Callable[[str], str]
) -> None:
    fin = homeserver_factory("fin.gov.test", database=postgres("fin"))
    fin.register("so-budget", "a password of hers")
    key = fin.verify_key
    fin.stop()

    fin.start()
    fin.wait_ready()

    assert fin.admin.log_in("so-budget", "a password of hers")
    assert fin.verify_key == key
    assert not Path(fin.files.database).exists()


def test_it_is_gone_when_it_is_stopped(homeserver_factory: Callable[..., Homeserver]) -> None:
    law = homeserver_factory("law.gov.test")
    assert law.child is not None

    law.stop()

    with pytest.raises(ProcessLookupError):
        os.kill(law.child.pid, 0)
