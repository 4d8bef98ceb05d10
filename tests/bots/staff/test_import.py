"""A list of staff is taken whole or not at all, and every fault of it is told by row and column."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from staff_service import Staff

from rabta_deploy.cli import main
from rabta_deploy.ports import free_port
from rabta_staff.faults import StaffError
from rabta_staff.settings import Settings
from rabta_staff.staff_list import parse

LIST = """\
number,name,name_ur,user_name,language,post,designation,section,reports_to,kind,order_no
p-1,Ayesha Malik,عائشہ ملک,ayesha,ur,ITT-SO,Section Officer,Admn-II,ITT-DS,,F.1/2026
p-2,Bilal Ahmed,,bilal,,ITT-DS,Deputy Secretary,,,,
p-2,Bilal Ahmed,,bilal,,ITT-JS,Joint Secretary,,,look_after,F.2/2026
p-3,Chaudhry Imran,,,,,,,,,
"""
DONE = [
    "staff-joined p-1",
    "staff-joined p-2",
    "staff-joined p-3",
    "post-added ITT-SO",
    "post-added ITT-DS",
    "post-added ITT-JS",
]
HELD = ["charge-assumed p-1 ITT-SO F.1/2026", "charge-assumed p-2 ITT-DS"]


def done(staff: Staff, text: str, query: str = "") -> list[str]:
    answer = staff.import_list(text, query=query)
    assert answer.status == 200, answer
    return list(answer.body["done"])


def holders(staff: Staff) -> dict[str, list[str]]:
    """Post -> user names of those who hold it."""
    people = {one["id"]: one["userName"] for one in staff.ask("GET", "/Users").body["Resources"]}
    groups = staff.ask("GET", "/Groups").body.get("Resources", [])
    return {
        one["displayName"]: sorted(people[member["value"]] for member in one.get("members", ()))
        for one in groups
    }


def test_a_list_is_taken_and_taken_again_changes_nothing(staff: Staff) -> None:
    told = done(staff, LIST)
    assert told[:6] == DONE
    assert set(HELD) < set(told)
    assert "charge-assumed p-2 ITT-JS F.2/2026" in told
    assert holders(staff) == {
        "Section Officer": ["ayesha"],
        "Deputy Secretary": ["bilal"],
        "Joint Secretary": ["bilal"],
    }
    assert done(staff, LIST) == []


def test_a_dry_run_tells_and_changes_nothing(staff: Staff) -> None:
    told = done(staff, LIST, "?dry_run=")
    assert told[:6] == DONE
    assert staff.ask("GET", "/Users").body["totalResults"] == 0
    assert done(staff, LIST) == told
    moved = LIST.replace("p-2,Bilal Ahmed,,bilal,,ITT-DS", "p-3,Chaudhry Imran,,,,ITT-DS").replace(
        "p-3,Chaudhry Imran,,,,,,,,,\n", ""
    )
    before = holders(staff)
    assert done(staff, moved, "?dry_run=")
    assert holders(staff) == before


def test_a_transfer_by_list_moves_who_stands_in_it_and_nobody_else(staff: Staff) -> None:
    done(staff, LIST)
    told = done(staff, "number,name,post\np-1,Ayesha Malik,ITT-DS\n")
    assert "charge-relinquished p-1 ITT-SO F.1/2026" in told
    assert "charge-assumed p-1 ITT-DS" in told
    assert holders(staff) == {
        "Section Officer": [],
        "Deputy Secretary": ["ayesha", "bilal"],
        "Joint Secretary": ["bilal"],
    }


def test_who_has_left_or_stands_in_no_whole_list_leaves(staff: Staff) -> None:
    done(staff, LIST)
    assert "staff-left p-2" in done(staff, "number,name,status\np-2,Bilal Ahmed,left\n")
    told = done(staff, "number,name,post\np-3,Chaudhry Imran,ITT-JS\n", "?whole=")
    assert [one for one in told if one.startswith("staff")] == ["staff-left p-1"]
    people = staff.ask("GET", "/Users?filter=active%20eq%20false").body["Resources"]
    assert {one["userName"] for one in people} == {"ayesha", "bilal"}
    assert holders(staff)["Joint Secretary"] == ["p-3"]
    assert "staff-returned p-2" in done(staff, "number,name\np-2,Bilal Ahmed\n")


FAULTS = [
    ("name\nx\n", ["row 1, number: is missing; name the column in the first row"]),
    ("number,name,rank\n", ["row 1, rank: is no column of a list"]),
    ("number,name\np 1,\n", ["row 2, name: is empty", "row 2, number: 'p 1' is not spelt as one"]),
    ("number,name\np-1,A,B\n", ["row 2: has 3 cells for 2 columns"]),
    ("number,name,kind\np-1,A,boss\n", ["row 2, kind: 'boss' is none", "row 2, kind: stands"]),
    ("number,name,post\np-1,A,X-9\n", ["row 2, post: there is no post X-9; describe it"]),
    ("number,name\np-1,A\np-1,B\n", ["row 3: person p-1 is told otherwise than in row 2"]),
    ("number,name,user_name\np-1,A,x\np-2,B,X\n", ["row 3, user_name: is that of p-1 too"]),
    ("number,name,status,post\np-1,A,left,X\n", ["row 2, post: who has left holds none"]),
    ('number,name\np-1,"A\n', ["row 2: is not CSV"]),
    ("number,name,section\np-1,A,S\n", ["row 2, section: stands without a post"]),
    ("number,name,account\np-1,A,Nobody\n", ["row 2, account: 'Nobody' is not spelt as one"]),
    (f"number,name\np-1,{'A' * 121}\n", ["row 2, name: is too long"]),
]


@pytest.mark.parametrize(("text", "faults"), FAULTS)
def test_each_fault_is_told_with_row_and_column(text: str, faults: list[str]) -> None:
    with pytest.raises(StaffError) as caught:
        parse(text.encode(), ())
    found = [str(fault) for fault in caught.value.faults]
    for wanted in faults:
        assert any(fault.startswith(wanted) for fault in found), found


def test_a_list_that_is_not_utf_8_is_refused_by_its_row() -> None:
    with pytest.raises(StaffError, match="row 2: is not UTF-8"):
        parse("number,name\np-1,Ünal\n".encode("latin-1"), ())


def test_all_faults_are_told_at_once_and_nothing_is_changed(staff: Staff) -> None:
    done(staff, LIST)
    before = [staff.ask("GET", path).body for path in ("/Users", "/Groups")]
    answer = staff.import_list(
        "number,name,user_name,account,post\n"
        "p-9,Zafar Iqbal,,,ITT-SO\n"
        "p-4,Danish Khan,AYESHA,,ITT-DS\n"
        "p-5,Erum Shah,,bilal,\n"
        "p-6,Farah Qureshi,,rabta,\n"
    )
    assert answer.status == 422
    assert answer.body == {
        "reason": "list-faulty",
        "faults": [
            "row 3, user_name: is that of p-1; give the person one of her or his own",
            "row 4, account: bilal is another's; write the person's own, or nothing",
            "row 5, account: rabta is another's; write the person's own, or nothing",
        ],
    }
    assert [staff.ask("GET", path).body for path in ("/Users", "/Groups")] == before


def test_the_operators_list_needs_the_operators_token(staff: Staff) -> None:
    staff.import_token = staff.token
    assert staff.import_list(LIST).status == 401


def test_the_command_hands_the_list_in_and_tells_what_was_done(
    make_staff: Callable[..., Staff], tmp_path: Path
) -> None:
    staff = make_staff(port=free_port())
    config, file = tmp_path / "staff.yaml", tmp_path / "list.csv"
    config.write_text(staff.settings().text())
    file.write_text(LIST)
    asked = ["staff", "import", "--config", str(config), str(file)]
    away = CliRunner().invoke(main, asked)
    assert (away.exit_code, "service-away" in away.output) == (2, True)
    with staff.running():
        tried = CliRunner().invoke(main, [*asked, "--dry-run"])
        assert tried.output.splitlines()[-1] == "9 would change."
        taken = CliRunner().invoke(main, asked)
        assert (taken.exit_code, taken.output.splitlines()[-1]) == (0, "9 changed.")
        file.write_text("number,name\n,\np-1,\n")
        refused = CliRunner().invoke(main, asked)
    assert refused.exit_code == 1
    assert refused.stderr.splitlines() == ["list-faulty", "  row 3, name: is empty; write the name"]


def test_settings_are_refused_with_every_fault(tmp_path: Path) -> None:
    config = tmp_path / "staff.yaml"
    config.write_text(json.dumps({"port": -1, "tokens": {}}))
    with pytest.raises(StaffError) as caught:
        Settings.load(config)
    places = {fault.place.rpartition(" ")[2] for fault in caught.value.faults}
    assert {"port", "tokens", "server_name", "token_files", "directory_file"} <= places
