"""On a real Synapse: what its time has come for is destroyed, and nothing on hold."""

import json
import urllib.request
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import quote

import pytest
from pydantic import TypeAdapter

from rabta_audit import Journal, chains, read_lines
from rabta_deploy.fault import YardError
from rabta_deploy.homeserver import Homeserver
from rabta_deploy.jsonhttp import request
from rabta_deploy.ports import free_port
from rabta_deploy.process import until
from rabta_deploy.records.hold import Hold, Lift
from rabta_deploy.records.keeper import keep, purge_once, signed_in
from rabta_deploy.records.purging import Purging
from rabta_deploy.records.register import Register
from rabta_deploy.records.settings import RecordsSettings
from rabta_deploy.secretfile import write_secret
from rabta_deploy.site.homeserver_part import keeping

pytestmark = pytest.mark.network
CLIENT = "/_matrix/client/v3"


def now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - the homeserver's events are of today


def next_year() -> datetime:
    return now() + timedelta(days=400)


@dataclass
class Amna:
    """Someone with a plain client."""

    homeserver: Homeserver
    token: str

    def call(self, method: str, path: str, body: object = None) -> Any:
        url = f"{self.homeserver.client_url}{CLIENT}{path}"
        answer = request(method, url, json_body=body, token=self.token)
        assert answer.status == 200, answer
        return answer.body

    def room(self, category: str | None) -> str:
        told = [{"type": "org.rabta.room.record", "content": {"category": category}}]
        body = {"name": "Budget", "initial_state": told if category else []}
        return str(self.call("POST", "/createRoom", body)["room_id"])

    def say(self, room: str) -> str:
        path = f"/rooms/{quote(room)}/send/m.room.encrypted/{uuid.uuid4().hex}"
        return str(self.call("PUT", path, {"ciphertext": "x"})["event_id"])

    def sees(self, room: str) -> list[str]:
        """Ids of the messages that the homeserver still has, the oldest first."""
        path = f"/rooms/{quote(room)}/messages?dir=f&limit=500"
        chunk = self.call("GET", path)["chunk"]
        return [event["event_id"] for event in chunk if event["type"] == "m.room.encrypted"]

    def upload(self) -> str:
        url = f"{self.homeserver.client_url}/_matrix/media/v3/upload"
        answer = request("POST", url, body=b"ciphertext", token=self.token)
        return str(answer.body["content_uri"]).removeprefix("mxc://")

    def has_file(self, media: str) -> bool:
        url = f"{self.homeserver.client_url}/_matrix/client/v1/media/download/{media}"
        return request("GET", url, token=self.token).status == 200


@pytest.fixture(scope="module")
def amna(homeserver_factory: Callable[..., Homeserver]) -> Amna:
    homeserver = homeserver_factory("itt.gov.test", overrides=keeping())
    homeserver.register("amna", "a long password of hers")
    homeserver.lift_rate_limits("@amna:itt.gov.test")
    return Amna(homeserver, homeserver.admin.log_in("amna", "a long password of hers"))


@pytest.fixture
def settings(amna: Amna, tmp_path: Path) -> RecordsSettings:
    password = amna.homeserver.files.directory / "records-password"
    if not password.exists():
        write_secret(password, "a long password of the office")
    return RecordsSettings(
        server_name="itt.gov.test",
        bridge="@rabta:itt.gov.test",
        client_url=amna.homeserver.client_url,
        registration_secret_file=amna.homeserver.files.secret("registration"),
        password_file=password,
        directory=tmp_path,
        default_days=None,
        categories={"A": None, "B": 3650, "C": 1095, "D": 365},
        remote_media_days=90,
        every_hours=24,
        metrics_port=free_port(),
    )


@pytest.fixture
def register(settings: RecordsSettings) -> Register:
    made = Register(settings.directory, "itt.gov.test")
    made.open("Amna", now())
    return made


def hold(kind: str, subject: str) -> Hold:
    told = {"id": "H0000", "kind": kind, "subject": subject, "order": "1", "by": "a", "at": now()}
    return TypeAdapter(Hold).validate_python(told)


def lifting() -> Lift:
    return Lift(order="2", by="a", countersigned="b", at=now())


def test_a_room_on_hold_keeps_its_messages_and_an_equal_one_loses_them(
    amna: Amna, settings: RecordsSettings, register: Register
) -> None:
    held, equal, permanent, unnamed = (amna.room(one) for one in ("D", "D", "A", None))
    said = {room: [amna.say(room) for _ in range(3)] for room in (held, equal, permanent, unnamed)}
    register.place(hold("room", held), now())

    assert purge_once(settings, now, dry=True).purged == {}
    would = purge_once(settings, next_year, dry=True)
    assert would.purged.keys() == {equal}
    assert amna.sees(equal) == said[equal]

    done = purge_once(settings, next_year)
    assert done.purged.keys() == {equal}
    assert done.failed == {}
    assert done.kept[held] == ("on-hold", "H0001")
    assert done.kept[permanent] == done.kept[unnamed] == ("kept-for-ever",)
    # Synapse keeps the newest event of a room, to which the next will refer.
    assert amna.sees(equal) == said[equal][-1:]
    for room in (held, permanent, unnamed):
        assert amna.sees(room) == said[room]
    # State stays, and the room goes on.
    assert amna.call("GET", f"/rooms/{quote(equal)}/state/m.room.name")["name"] == "Budget"
    later = amna.say(equal)
    assert amna.sees(equal) == [said[equal][-1], later]

    register.lift("H0001", lifting())
    assert purge_once(settings, next_year).purged.keys() == {held, equal}
    assert amna.sees(held) == said[held][-1:]
    assert purge_once(settings, next_year).purged == {}

    lines = list(read_lines(chains(settings.directory / "audit")["purges"]))
    acts = [json.loads(line) for line in lines]
    purged = [one["room"] for one in acts if one["action"] == "purge-room"]
    assert purged[0] == equal
    assert sorted(purged[1:]) == sorted([held, equal])


def test_what_cannot_be_written_down_is_not_destroyed(
    amna: Amna, settings: RecordsSettings, register: Register
) -> None:
    room = amna.room("D")
    said = [amna.say(room) for _ in range(2)]
    journal = Journal(register.audit, "purges")
    journal.close()  # as a disk that takes no more
    with (
        signed_in(settings) as homeserver,
        pytest.raises(OSError, match="Bad file descriptor"),
    ):
        Purging(homeserver, register, settings.wanted, journal, next_year).run()
    assert amna.sees(room) == said


def test_a_hold_on_a_person_or_a_file_keeps_the_rooms_they_are_or_were_in(
    amna: Amna, settings: RecordsSettings, register: Register
) -> None:
    homeserver = amna.homeserver
    gone, bridge = (
        homeserver.register(name, "a long password of one") for name in ("gone", "rabta")
    )
    theirs, files, nobodys = (amna.room("D") for _ in range(3))
    amna.call("POST", f"/rooms/{quote(theirs)}/invite", {"user_id": gone})
    amna.call("POST", f"/rooms/{quote(theirs)}/kick", {"user_id": gone})
    amna.call("POST", f"/rooms/{quote(files)}/invite", {"user_id": bridge})
    said = {room: [amna.say(room) for _ in range(2)] for room in (theirs, files, nobodys)}
    register.place(hold("person", gone), now())
    register.place(hold("file", "No.F.8-2/2004-Admn-II"), now())

    done = purge_once(settings, next_year)

    assert nobodys in done.purged
    assert done.kept[theirs] == ("on-hold", "H0001")
    assert done.kept[files] == ("on-hold", "H0002")
    assert amna.sees(theirs) == said[theirs]
    assert amna.sees(files) == said[files]


def test_a_hold_that_comes_during_a_run_stops_it_at_the_next_room(
    amna: Amna, settings: RecordsSettings, register: Register
) -> None:
    rooms = [amna.room("D") for _ in range(2)]
    said = {room: [amna.say(room) for _ in range(2)] for room in rooms}
    asked = []

    def clock() -> datetime:
        # The first question comes when the run is under way.
        if not asked:
            for room in rooms:
                register.place(hold("room", room), now())
        asked.append(1)
        return next_year()

    done = purge_once(settings, clock)

    assert all(done.kept[room][0] == "on-hold" for room in rooms)
    assert {room: amna.sees(room) for room in rooms} == said


def test_without_a_register_nothing_is_destroyed(amna: Amna, settings: RecordsSettings) -> None:
    room = amna.room("D")
    said = [amna.say(room) for _ in range(2)]
    with pytest.raises(YardError) as refused:
        purge_once(settings, next_year)
    assert refused.value.reason == "register-missing"
    assert amna.sees(room) == said


def told(settings: RecordsSettings) -> dict[str, float]:
    """The metrics of the running program, none before it answers."""
    try:
        url = f"http://127.0.0.1:{settings.metrics_port}/metrics"
        with urllib.request.urlopen(url, timeout=5) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:
        return {}
    pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}


def test_the_program_goes_through_the_rooms_by_itself_and_tells_how_it_went(
    amna: Amna, settings: RecordsSettings, register: Register
) -> None:
    held, equal = (amna.room("D") for _ in range(2))
    said = {room: [amna.say(room) for _ in range(2)] for room in (held, equal)}
    register.place(hold("room", held), now())
    stopped = Event()
    program = Thread(target=keep, args=(settings, next_year, stopped))
    program.start()
    try:
        whole = "rabta_records_last_run_seconds"
        assert until(lambda: told(settings).get(whole), within_s=60)
        assert told(settings)["rabta_records_failed"] == 0
        assert told(settings)['rabta_records_rooms{outcome="on_hold"}'] == 1
    finally:
        stopped.set()
        program.join()
    assert (amna.sees(held), amna.sees(equal)) == (said[held], said[equal][1:])


def test_files_go_when_no_room_could_still_be_keeping_them_and_nothing_is_on_hold(
    amna: Amna, settings: RecordsSettings, register: Register
) -> None:
    # While the server has a room of category A, no file goes.
    amna.room("A")
    media = amna.upload()
    assert purge_once(settings, next_year).media_before is None
    all_end = settings.model_copy(
        update={"default_days": 300, "categories": dict.fromkeys("ABCD", 300)}
    )
    register.place(hold("room", "!elsewhere:itt.gov.test"), now())
    report = purge_once(all_end, next_year)
    assert (report.media_before, report.copies_before) == (None, None)
    assert amna.has_file(media)
    register.lift("H0001", lifting())
    report = purge_once(all_end, next_year)
    assert report.media
    assert report.copies == 0
    assert not amna.has_file(media)
