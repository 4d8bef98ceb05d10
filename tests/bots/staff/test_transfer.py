"""An officer joins, is transferred and leaves: real homeserver, real bridge, SCIM alone drives."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from events import Telling
from ministry import BILAL, SECRET, Hands, Ministry
from staff_service import Staff, now

from rabta_contract import Event, SigningSecrets, event_bytes, sign
from rabta_deploy.homeserver import Homeserver
from rabta_deploy.jsonhttp import Answer, answers, request
from rabta_deploy.ports import free_port
from rabta_deploy.process import until

BOT, PASSWORD = "@rabta:itt.gov.test", "a password of the bot"
NUMBER = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


@pytest.fixture(scope="module")
def homeserver(homeserver_factory: Callable[..., Homeserver]) -> Homeserver:
    made = homeserver_factory("itt.gov.test", overrides={"bcrypt_rounds": 4})
    made.lift_rate_limits(made.register("rabta", PASSWORD))
    return made


@dataclass
class Office:
    """A homeserver and the staff service."""

    homeserver: Homeserver
    staff: Staff

    def join(self, name: str, number: str) -> str:
        """A person joins; gives SCIM's id."""
        first = name.split(maxsplit=1)[0].lower()
        return self.staff.add_user(
            f"{first}@itt.gov.test", displayName=name, **{NUMBER: {"employeeNumber": number}}
        )

    def admin(self, method: str, path: str, body: object = None) -> Any:
        url = f"{self.homeserver.client_url}/_synapse/admin{path}"
        answer = request(method, url, json_body=body, token=self.homeserver.admin_token)
        return answer.body if answer.status == 200 else None

    def account(self, localpart: str) -> Any:
        """What the homeserver knows of an account."""
        return self.admin("GET", f"/v2/users/@{localpart}:itt.gov.test")

    def sign_in(self, localpart: str, password: str = PASSWORD) -> Answer:
        """Sign in on a new device, with a password that the operator gave."""
        body = {
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": localpart},
            "password": password,
        }
        url = f"{self.homeserver.client_url}/_matrix/client/v3/login"
        return request("POST", url, json_body=body)

    def give_password(self, localpart: str) -> None:
        self.admin("PUT", f"/v2/users/@{localpart}:itt.gov.test", {"password": PASSWORD})

    def ask(self, token: str, method: str, path: str, body: object = None) -> Answer:
        """Ask as a person."""
        url = f"{self.homeserver.client_url}/_matrix/client/v3{path}"
        return request(method, url, json_body=body, token=token)

    def post_room(self) -> str | None:
        """The room that the bridge made."""
        found = self.admin("GET", "/v1/rooms?search_term=e-Office")
        return found["rooms"][0]["room_id"] if found and found["rooms"] else None

    def find(self, token: str, term: str) -> list[str]:
        """Whom a search of the user directory shows to a person."""
        found = self.ask(token, "POST", "/user_directory/search", {"search_term": term})
        return [one["user_id"] for one in found.body["results"]]

    def memberships(self, room_id: str) -> dict[str, str]:
        """User id -> membership."""
        state = self.admin("GET", f"/v1/rooms/{room_id}/state")["state"]
        return {
            one["state_key"]: one["content"]["membership"]
            for one in state
            if one["type"] == "m.room.member"
        }


@contextmanager
def _bridge(home: Path, homeserver: Homeserver, directory_file: Path) -> Iterator[str]:
    """A bridge; it reads the directory that the staff service writes."""
    ministry = Ministry(home, Hands())
    ministry.publish(not_after="2099-01-01T00:00:00+05:00")
    port = free_port()
    account = {"homeserver_url": homeserver.client_url, "user_id": BOT}
    document = ministry.document(
        listen={"host": "127.0.0.1", "port": port},
        matrix=ministry.document()["matrix"] | account,
        directory_file=str(directory_file),
    )
    config = home / "bridge.yaml"
    config.write_text(yaml.safe_dump(document))
    command = [sys.executable, "-m", "rabta_deploy.cli", "bridge", "run", "--config", str(config)]
    with (home / "bridge.log").open("wb") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            assert until(lambda: answers(f"http://127.0.0.1:{port}/health/ready"), within_s=60)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(30)


@pytest.fixture
def office(homeserver: Homeserver, tmp_path: Path) -> Iterator[Office]:
    registration = homeserver.files.secret("registration").read_text().strip()
    (tmp_path / "staff").mkdir()
    staff = Staff(
        tmp_path / "staff", homeserver_url=homeserver.client_url, registration=registration
    )
    with staff.running():
        assert until(staff.directory_file.exists, within_s=10)
        yield Office(homeserver, staff)


@pytest.fixture
def bridge(office: Office, tmp_path: Path) -> Iterator[str]:
    """A bridge in a process of its own, by its URL."""
    with _bridge(tmp_path, office.homeserver, office.staff.directory_file) as url:
        yield url


def deliver(bridge: str, event: Event) -> bool:
    """e-Office tells the bridge; whether it was taken."""
    body = event_bytes(event)
    signed = sign(event.id, body, SigningSecrets.parse(SECRET), now())
    signed["Content-Type"] = "application/cloudevents+json"
    url = f"{bridge}/eoffice/events"
    return request("POST", url, body=body, headers=signed).status in {200, 202}


async def test_a_transfer_ends_old_sessions_and_moves_rooms_within_ten_seconds(
    office: Office, bridge: str, telling: Telling, eventually: Any
) -> None:
    ayesha, bilal = office.join("Ayesha Malik", "p-1"), office.join("Bilal Ahmed", "p-2")
    post = office.staff.add_post("ITT-DS-ADMN", "Deputy Secretary", ayesha, section="Admn-II")
    await eventually(lambda: office.account("ayesha") and office.account("bilal"))
    shown = "Ayesha Malik, Deputy Secretary (Admn-II)"
    await eventually(lambda: office.account("ayesha")["displayname"] == shown)

    office.give_password("ayesha")
    token = office.sign_in("ayesha").body["access_token"]
    backup = {"algorithm": "m.megolm_backup.v1.curve25519-aes-sha2", "auth_data": {}}
    assert office.ask(token, "POST", "/room_keys/version", backup).status == 200
    event = telling.marked(time=now())
    await eventually(lambda: deliver(bridge, event), what="the post at the bridge")
    room = await eventually(office.post_room, within_s=30, what="the room of the post")
    assert office.ask(token, "POST", f"/join/{room}", {}).status == 200

    moved = office.staff.patch(
        f"/Groups/{post}",
        {"op": "remove", "path": f'members[value eq "{ayesha}"]'},
        {"op": "add", "path": "members", "value": [{"value": bilal}]},
    )
    assert moved.status == 204

    def done() -> bool:
        members = office.memberships(room)
        return (
            office.ask(token, "GET", "/account/whoami").status == 401
            and members["@ayesha:itt.gov.test"] == "leave"
            and members.get(BILAL) in {"invite", "join"}
        )

    # What the requirement says: old sessions dead, rooms changed, within 10 seconds.
    await eventually(done, within_s=10, what="the transfer")
    assert office.account("ayesha")["displayname"] == "Ayesha Malik"
    assert office.account("bilal")["displayname"] == "Bilal Ahmed, Deputy Secretary (Admn-II)"
    # Colleagues find people by name, post and section.
    again = office.sign_in("ayesha").body["access_token"]
    for term in ("Bilal", "deputy", "Admn-II"):
        await eventually(lambda sought=term: office.find(again, sought) == [BILAL], what=term)
    # The person is transferred, not dismissed: a new sign-in reads what was backed up.
    assert office.ask(again, "GET", "/room_keys/version").status == 200


async def test_who_leaves_is_locked_out_and_the_ministry_keeps_all(
    office: Office, eventually: Any
) -> None:
    danish = office.join("Danish Khan", "p-4")
    office.staff.add_post("ITT-JS", "Joint Secretary", danish)
    await eventually(lambda: office.account("danish"))
    office.give_password("danish")
    token = office.sign_in("danish").body["access_token"]
    backup = {"algorithm": "m.megolm_backup.v1.curve25519-aes-sha2", "auth_data": {}}
    office.ask(token, "POST", "/room_keys/version", backup)
    room = office.ask(token, "POST", "/createRoom", {"preset": "private_chat"}).body["room_id"]

    admin = office.homeserver.admin_token
    await eventually(lambda: office.find(admin, "Danish") == ["@danish:itt.gov.test"])

    left = {"op": "replace", "path": "active", "value": False}
    assert office.staff.patch(f"/Users/{danish}", left).status == 204
    await eventually(lambda: office.ask(token, "GET", "/account/whoami").status == 401)
    await eventually(lambda: "p-4" not in office.staff.directory_file.read_text())
    devices = "/v2/users/@danish:itt.gov.test/devices"
    await eventually(lambda: office.admin("GET", devices)["devices"] == [])
    refused = office.sign_in("danish")
    assert (refused.status, refused.body["errcode"]) == (401, "M_USER_LOCKED")
    account = office.account("danish")
    assert office.find(admin, "Danish") == []
    assert (account["locked"], account["deactivated"], account["erased"]) == (True, False, False)
    assert office.memberships(room)["@danish:itt.gov.test"] == "join"

    returned = left | {"value": True}
    assert office.staff.patch(f"/Users/{danish}", returned).status == 204
    signed_in = await eventually(
        lambda: answer if (answer := office.sign_in("danish")).status == 200 else None
    )
    again = signed_in.body["access_token"]
    assert office.ask(again, "GET", "/room_keys/version").status == 200
    assert office.ask(again, "GET", f"/rooms/{room}/state/m.room.create").status == 200

    assert office.staff.ask("DELETE", f"/Users/{danish}").status == 204
    await eventually(lambda: office.ask(again, "GET", "/account/whoami").status == 401)
    # The name is never another's: who joins under it now gets an account of her or his own.
    office.join("Danish Raza", "p-5")
    await eventually(lambda: office.account("danish2"))
    assert office.account("danish")["displayname"] != office.account("danish2")["displayname"]


async def test_an_account_that_was_there_before_is_nobodys_until_the_operator_says_whose(
    office: Office, eventually: Any
) -> None:
    office.homeserver.register("farah", PASSWORD)
    token = office.sign_in("farah").body["access_token"]
    farah = office.join("Farah Qureshi", "p-6")
    office.homeserver.register("gulzar", PASSWORD, admin=True)
    office.staff.import_list("number,name,account\np-7,Gulzar Khan,gulzar\n")

    def faults() -> dict[str, str]:
        answer = request("GET", f"{office.staff.url}/health")
        return dict(answer.body["faults"])

    await eventually(lambda: len(faults()) == 2)
    assert faults()[farah] == "account-taken"
    assert "account-is-administrator" in faults().values()
    assert "p-6" not in office.staff.directory_file.read_text()
    assert office.ask(token, "GET", "/account/whoami").status == 200

    claimed = office.staff.import_list("number,name,account\np-6,Farah Qureshi,farah\n")
    assert claimed.status == 200, claimed
    await eventually(lambda: "p-6" in office.staff.directory_file.read_text())
    await eventually(lambda: office.account("farah")["displayname"] == "Farah Qureshi")


async def test_the_operator_gives_a_password_where_there_is_no_single_sign_on(
    office: Office, eventually: Any
) -> None:
    office.join("Hina Raza", "p-8")
    await eventually(lambda: office.account("hina"))
    office.give_password("hina")
    before = office.sign_in("hina").body["access_token"]
    url = f"{office.staff.url}/password?user=HINA@itt.gov.test"
    await eventually(lambda: request("POST", url, token=office.staff.import_token).status == 200)
    told = request("POST", url, token=office.staff.import_token).body["password"]
    assert len(told) >= 20
    assert office.ask(before, "GET", "/account/whoami").status == 401
    assert office.sign_in("hina").status == 403
    assert office.sign_in("hina", told).status == 200
    for asked, status in ((office.staff.token, 401), (office.staff.import_token, 422)):
        assert request("POST", f"{url}x", token=asked).status == status


async def test_an_account_is_tied_to_the_persons_subject_at_the_single_sign_on(
    homeserver: Homeserver, make_staff: Callable[..., Staff], eventually: Any
) -> None:
    registration = homeserver.files.secret("registration").read_text().strip()
    staff = make_staff(
        homeserver_url=homeserver.client_url,
        registration=registration,
        further={"sign_on": {"provider": "oidc-ministry"}},
    )
    office = Office(homeserver, staff)
    with staff.running():
        staff.add_user("iqra@itt.gov.test", externalId="5f0c-idp")
        await eventually(lambda: office.account("iqra"))
        (tied,) = office.account("iqra")["external_ids"]
        url = f"{staff.url}/password?user=iqra@itt.gov.test"
        assert request("POST", url, token=staff.import_token).body["reason"] == "single-sign-on"
    assert tied == {"auth_provider": "oidc-ministry", "external_id": "5f0c-idp"}


async def test_what_was_told_while_the_homeserver_was_away_is_carried_when_it_is_back(
    homeserver: Homeserver, make_staff: Callable[..., Staff], eventually: Any
) -> None:
    registration = homeserver.files.secret("registration").read_text().strip()
    staff = make_staff(registration=registration)
    with staff.running():
        junaid = staff.add_user("junaid")
        staff.add_post("ITT-SO", "Section Officer", junaid)
        health = f"{staff.url}/health"
        away = {junaid: "homeserver-away"}
        await eventually(lambda: request("GET", health).body == {"due": 1, "faults": away})
    staff.homeserver_url = homeserver.client_url
    office = Office(homeserver, staff)
    with staff.running():
        health = f"{staff.url}/health"
        await eventually(lambda: request("GET", health).body == {"due": 0, "faults": {}})
        assert office.account("junaid")["displayname"] == "junaid, Section Officer"
        assert "@junaid:itt.gov.test" in staff.directory_file.read_text()
