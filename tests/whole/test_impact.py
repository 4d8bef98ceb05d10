"""`rabta policy impact` says what a policy will cut on a real homeserver, and it is what is cut."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from rabta_deploy.cli.policy import policy as command
from rabta_deploy.process import until

pytestmark = [pytest.mark.network, pytest.mark.timeout(600)]
ITT, FIN, LAW = "itt.gov.test", "fin.gov.test", "law.gov.test"


def impact(ministries: Any, name: str, *words: object) -> Result:
    """Ask the homeserver of a ministry."""
    homeserver = ministries.all[name].homeserver
    token = homeserver.admin_token
    assert token
    asked = ["impact", *words, "--homeserver", homeserver.client_url]
    asked += ["--token-file", homeserver.files.admin_token]
    return CliRunner().invoke(command, [str(word) for word in asked])


@pytest.fixture
def draft(tmp_path: Path, ministries: Any) -> Any:
    """Write an unsigned policy as YAML; dates and serial as the next issue has them."""

    def write(**wanted: Any) -> Path:
        current = ministries.authority.published
        dates = {key: current[key] for key in ("issued_at", "not_after")}
        document = ministries.document(**wanted) | dates | {"serial": current["serial"] + 1}
        file = tmp_path / "next.yaml"
        file.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
        return file

    return write


def test_what_it_tells_is_what_the_homeservers_do(ministries: Any, draft: Any) -> None:
    ministries.follow()
    amna = ministries.person(ITT, "amna")
    bilal = ministries.person(FIN, "bilal")
    rehana, rashid = (ministries.person(LAW, name) for name in ("rehana", "rashid"))
    ours = amna.create_room(name="Made by ITT")
    theirs = rehana.create_room(name="Made by LAW")
    alone = amna.create_room(name="ITT and FIN")
    rehana.comes(ours, by=amna)
    bilal.comes(ours, by=amna)
    bilal.comes(alone, by=amna)
    amna.comes(theirs, by=rehana)
    assert until(lambda: amna.invite(ours, rashid.user_id).status == 200, within_s=20)
    published = ministries.authority.files.policy.read_bytes()
    file = draft(suspended=[LAW])

    told = impact(ministries, ITT, file, "--json")

    assert told.exit_code == 1, told.output
    cuts = {cut["room_id"]: cut for cut in json.loads(told.output)["cuts"]}
    assert cuts[ours] == {
        "room_id": ours,
        "name": "Made by ITT",
        "class": "restricted",
        "made_by": ITT,
        "members": [rehana.user_id],
        "pending": [rashid.user_id],
        "leaving": False,
        "due_by_old": [],
    }
    assert (cuts[theirs]["members"], cuts[theirs]["leaving"]) == ([amna.user_id], True)
    assert alone not in cuts

    # Nothing was changed by asking.
    assert ministries.authority.files.policy.read_bytes() == published
    assert amna.members(ours)[rehana.user_id] == "join"
    assert theirs in amna.rooms()

    # An officer reads the same as a table.
    shown = impact(ministries, ITT, file)
    assert shown.exit_code == 1
    lines = [line.split() for line in shown.output.splitlines()]
    assert ["Made", "by", "ITT", "restricted", ITT, LAW, "1", "1", "are", "put", "out"] in lines
    assert ["Made", "by", "LAW", "restricted", LAW, ITT, "1", "0", "leave"] in lines
    assert lines[-1] == ["Nothing", "was", "changed."]

    # The policy does what was told.
    ministries.publish(suspended=[LAW])
    assert until(lambda: amna.members(ours)[rehana.user_id] == "leave", within_s=30)
    assert until(lambda: amna.members(ours)[rashid.user_id] == "leave", within_s=30)
    assert until(lambda: theirs not in amna.rooms(), within_s=30)
    assert amna.members(ours)[bilal.user_id] == "join"

    # And then there is nothing left to cut, for the signed file as for the draft.
    for asked in (file, ministries.authority.files.policy):
        again = impact(ministries, ITT, asked, "--json")
        assert (again.exit_code, json.loads(again.output)["cuts"]) == (0, []), again.output


def test_it_reads_every_page_of_the_rooms(ministries: Any, draft: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("rabta_deploy.impact._ROOMS_A_PAGE", 3)
    ministries.follow()
    amna = ministries.person(ITT, "amna")
    rehana = ministries.person(LAW, "rehana")
    rooms = [amna.create_room(name=f"Page {number}") for number in range(7)]
    for room in rooms:
        assert until(lambda at=room: amna.invite(at, rehana.user_id).status == 200, within_s=20)
    told = json.loads(impact(ministries, ITT, draft(apart=[(ITT, LAW)]), "--json").output)
    pending = {cut["room_id"]: cut["pending"] for cut in told["cuts"]}
    assert {room: pending.get(room) for room in rooms} == {room: [rehana.user_id] for room in rooms}
    assert told["rooms"] >= 7


def test_what_goes_by_the_old_policy_already_is_told_apart(
    ministries: Any, draft: Any, tmp_path: Path
) -> None:
    ministries.follow()
    amna = ministries.person(ITT, "amna")
    rehana = ministries.person(LAW, "rehana")
    room = amna.create_room(name="Old and new")
    rehana.comes(room, by=amna)
    old = draft(suspended=[LAW]).rename(tmp_path / "old.yaml")
    told = impact(ministries, ITT, draft(apart=[(ITT, LAW)]), "--old", old, "--json")
    cuts = {cut["room_id"]: cut["due_by_old"] for cut in json.loads(told.output)["cuts"]}
    assert cuts[room] == [rehana.user_id]


def test_a_policy_that_is_not_in_force_cuts_nothing(ministries: Any, draft: Any) -> None:
    ministries.follow()
    told = impact(ministries, ITT, draft(suspended=[LAW]), "--at", "2040-01-01T00:00:00Z")
    assert told.exit_code == 0, told.output
    assert "puts nobody out" in told.output


def test_an_officers_token_is_refused_with_a_cure(
    ministries: Any, draft: Any, tmp_path: Path
) -> None:
    homeserver = ministries.all[ITT].homeserver
    token = tmp_path / "officer.token"
    token.write_text(homeserver.admin.log_in("amna", "a password of these tests"))
    file = draft()
    words = ["impact", str(file), "--homeserver", homeserver.client_url, "--token-file", str(token)]

    token.chmod(0o640)
    open_to_others = CliRunner().invoke(command, words)
    token.chmod(0o600)
    no_administrator = CliRunner().invoke(command, words)
    token.write_text("no such token")
    unknown = CliRunner().invoke(command, words)
    words[3] = "http://matrix.itt.gov.test:8008"
    in_the_clear = CliRunner().invoke(command, words)

    answers = (open_to_others, no_administrator, unknown, in_the_clear)
    assert [answer.exit_code for answer in answers] == [2, 2, 2, 2]
    for answer, reason in zip(
        answers,
        (
            "token-file-open-to-others",
            "not-an-administrator",
            "token-refused",
            "homeserver-address",
        ),
        strict=True,
    ):
        assert f"refused [{reason}]" in answer.output


def test_every_reason_it_gives_has_its_row_in_the_docs() -> None:
    root = Path(__file__).parents[2]
    page = (root / "docs/how-to/see-what-a-policy-cuts.md").read_text(encoding="utf-8")
    code = (root / "deploy/rabta_deploy/impact.py").read_text(encoding="utf-8")
    given = set(re.findall(r'"((?:homeserver|token|not)-[a-z-]+)"', code))
    assert given == set(re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE))
