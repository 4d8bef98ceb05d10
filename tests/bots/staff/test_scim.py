"""What SCIM's clients rely on, asked by hand: PATCH, filter, paging, ETag, errors, tokens."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scim2_models import SearchRequest
from staff_service import POST, Staff, secret_file

from rabta_deploy.jsonhttp import request
from rabta_deploy.process import until

ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
NUMBER = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


def journal(staff: Staff) -> list[dict[str, Any]]:
    """The audit, line by line."""
    (file,) = (staff.home / "staff/audit").glob("*.jsonl")
    return [json.loads(line) for line in file.read_text().splitlines()]


def acts(staff: Staff) -> list[tuple[str, ...]]:
    return [(one["action"], *one.get("events", ())) for one in journal(staff)]


def directory(staff: Staff) -> Any:
    return json.loads(staff.directory_file.read_text())


def test_an_independent_client_writes_finds_and_deletes(staff: Staff) -> None:
    with staff.client() as client:
        person, post = client.get_resource_model("User"), client.get_resource_model("Group")
        assert person is not None
        assert post is not None
        made = [client.create(person(user_name=f"officer{n}")) for n in range(5)]
        found = client.query(
            person, query_parameters=SearchRequest(filter='userName eq "OFFICER3"')
        )
        assert [one.id for one in found.resources] == [made[3].id]
        page = client.query(person, query_parameters=SearchRequest(start_index=3, count=2))
        assert (page.total_results, page.items_per_page, len(page.resources)) == (5, 2, 2)
        down = SearchRequest(sort_by="userName", sort_order="descending", count=1)
        assert client.query(person, query_parameters=down).resources[0].user_name == "officer4"
        group = client.create(post(display_name="Section Officer"))
        client.delete(post, group.id)
        client.delete(person, made[0].id)
        assert client.query(person).total_results == 4


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ('userName sw "a"', {"ayesha", "asad"}),
        ('name.familyName eq "malik" and active eq true', {"ayesha"}),
        ('not (userName co "sad")', {"ayesha", "bilal"}),
        (f'{NUMBER}:employeeNumber eq "p-2"', {"bilal"}),
        ('externalId eq "X-1" or externalId eq "X-2"', {"ayesha", "bilal"}),
        ("title pr", {"asad"}),
        ('meta.lastModified gt "2020-01-01T00:00:00Z"', {"ayesha", "asad", "bilal"}),
    ],
)
def test_filters_find_whom_they_describe(staff: Staff, asked: str, found: set[str]) -> None:
    malik = {"familyName": "Malik"}
    staff.add_user("ayesha", name=malik, externalId="X-1", active=True)
    staff.add_user("asad", name=malik, active=False, title="Deputy Secretary")
    staff.add_user("bilal", externalId="X-2", **{NUMBER: {"employeeNumber": "p-2"}})
    schemas = ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]
    answer = staff.ask("POST", "/Users/.search", {"schemas": schemas, "filter": asked})
    assert {one["userName"] for one in answer.body["Resources"]} == found


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "kind"),
    [
        ("POST", "/Users", {"schemas": [USER]}, 400, "invalidValue"),
        ("POST", "/Users", {"schemas": [USER], "userName": "AYESHA"}, 409, "uniqueness"),
        ("GET", "/Users?filter=userName%20is%20x", None, 400, "invalidFilter"),
        ("GET", "/Users/nobody", None, 404, None),
        ("GET", "/Nothing", None, 404, None),
        ("POST", "/Bulk", {}, 501, None),
        ("GET", "/Me", None, 501, None),
        ("DELETE", "/Schemas", None, 405, None),
        (
            "POST",
            "/Groups",
            {"displayName": "x", "members": [{"value": "no"}]},
            400,
            "invalidValue",
        ),
        ("POST", "/Groups", {"displayName": "x", POST: {"postNumber": "a b"}}, 400, "invalidValue"),
    ],
)
def test_errors_have_the_body_that_the_rfc_asks_for(
    staff: Staff, method: str, path: str, *, body: Any, status: int, kind: str | None
) -> None:
    staff.add_user("ayesha")
    answer = staff.ask(method, path, body)
    assert answer.status == status
    assert answer.body["schemas"] == [ERROR]
    assert answer.body["status"] == str(status)
    assert answer.body.get("scimType") == kind


def test_a_patch_that_fails_halfway_changes_nothing(staff: Staff) -> None:
    ayesha = staff.add_user("ayesha")
    post = staff.add_post("ITT-DS", "Deputy Secretary", ayesha)
    before = staff.ask("GET", f"/Groups/{post}").body
    answer = staff.patch(
        f"/Groups/{post}",
        {"op": "replace", "path": "displayName", "value": "Joint Secretary"},
        {"op": "add", "path": "members", "value": [{"value": "nobody"}]},
    )
    assert answer.status == 400
    assert staff.ask("GET", f"/Groups/{post}").body == before


def test_a_version_that_was_overtaken_changes_nothing(staff: Staff) -> None:
    ayesha = staff.add_user("ayesha")
    old = staff.ask("GET", f"/Users/{ayesha}").body["meta"]["version"]
    fresh = {"op": "add", "path": "title", "value": "Secretary"}
    assert staff.patch(f"/Users/{ayesha}", fresh).status == 204
    for method, body in (("DELETE", None), ("PUT", {"schemas": [USER], "userName": "other"})):
        answer = staff.ask(method, f"/Users/{ayesha}", body, headers={"If-Match": old})
        assert answer.status == 412
    told = staff.ask("GET", f"/Users/{ayesha}").body
    assert (told["userName"], told["title"]) == ("ayesha", "Secretary")
    same = {"If-None-Match": told["meta"]["version"]}
    assert staff.ask("GET", f"/Users/{ayesha}", headers=same).status == 304


def test_groups_of_a_person_follow_the_posts(staff: Staff) -> None:
    ayesha = staff.add_user("ayesha")
    post = staff.add_post("ITT-DS", "Deputy Secretary", ayesha)
    told = staff.ask("GET", f"/Users/{ayesha}").body
    (group,) = told["groups"]
    assert (group["value"], group["display"]) == (post, "Deputy Secretary")
    assert group["$ref"] == f"https://chat.itt.gov.test/scim/v2/Groups/{post}"
    assert told["ims"][0]["value"] == "@ayesha:itt.gov.test"
    staff.ask("DELETE", f"/Groups/{post}")
    after = staff.ask("GET", f"/Users/{ayesha}").body
    assert "groups" not in after
    assert after["meta"]["version"] != told["meta"]["version"]


def test_who_is_deleted_holds_no_post(staff: Staff) -> None:
    ayesha, bilal = staff.add_user("ayesha"), staff.add_user("bilal")
    post = staff.add_post("ITT-DS", "Deputy Secretary", ayesha, bilal)
    assert staff.ask("DELETE", f"/Users/{ayesha}").status == 204
    members = staff.ask("GET", f"/Groups/{post}").body["members"]
    assert [one["value"] for one in members] == [bilal]


@pytest.mark.parametrize(
    "shown",
    ["", "wrong-token-of-somebody", "كلمة", "import"],
    ids=["none", "wrong", "odd", "import"],
)
def test_without_a_token_in_force_nothing_is_told(staff: Staff, shown: str) -> None:
    token = staff.import_token if shown == "import" else shown
    headers = {"Authorization": b"Bearer " + token.encode()} if token else {}
    answer = request("GET", f"{staff.url}/scim/v2/Users", headers=headers)  # type: ignore[arg-type]
    assert answer.status == 401
    assert answer.body["schemas"] == [ERROR]
    refused = journal(staff)[-1]
    assert (refused["verdict"], refused["reasons"]) == ("denied", ["token-refused"])


def test_each_token_has_a_name_in_the_audit_and_can_be_replaced(
    make_staff: Callable[..., Staff], tmp_path: Path
) -> None:
    hr, idp = tmp_path / "hr.token", secret_file(tmp_path / "idp.token", "i" * 32)
    staff = make_staff(further={"token_files": {"hr": hr, "idp": idp}})
    with staff.running():
        staff.add_user("ayesha")
        assert staff.ask("GET", "/Users", token="i" * 32).status == 200
        secret_file(idp, "j" * 32)
        assert staff.ask("GET", "/Users", token="i" * 32).status == 401
        assert staff.ask("POST", "/Users", {"schemas": [USER]}, token="j" * 32).status == 400
    told = [(one["action"], one.get("actor"), one.get("reasons")) for one in journal(staff)]
    assert told == [
        ("staff-joined", "hr", None),
        ("scim", None, ["token-refused"]),
        ("scim", "idp", ["request-refused", "invalidValue"]),
    ]


def test_a_token_file_that_others_may_read_lets_the_service_not_start(
    make_staff: Callable[..., Staff],
) -> None:
    staff = make_staff()
    (staff.home / "hr.token").chmod(0o640)
    with pytest.raises(Exception, match="chmod 600"), staff.running():
        pass


def test_the_register_is_the_same_after_a_restart(make_staff: Callable[..., Staff]) -> None:
    staff = make_staff()
    with staff.running():
        ayesha = staff.add_user("ayesha", **{NUMBER: {"employeeNumber": "p-1"}})
        gone = staff.add_user("bilal")
        staff.ask("DELETE", f"/Users/{gone}")
        staff.add_post("ITT-DS", "Deputy Secretary", ayesha)
        closed = staff.add_post("ITT-SO", "Section Officer")
        staff.ask("DELETE", f"/Groups/{closed}")
        before = [staff.ask("GET", path).body for path in ("/Users", "/Groups")]
        written = directory(staff)
    with staff.running():
        assert [staff.ask("GET", path).body for path in ("/Users", "/Groups")] == before
        # Neither an id nor an account is given twice.
        assert staff.ask("GET", f"/Users/{gone}").status == 404
        again = staff.add_user("bilal")
        account = staff.ask("GET", f"/Users/{again}").body["ims"][0]["value"]
        assert account == "@bilal2:itt.gov.test"
    assert written["posts"]["ITT-SO"]["charges"] == []
    assert directory(staff)["posts"] == written["posts"]


def test_a_capacity_holds_until_another_is_told(staff: Staff) -> None:
    ayesha = staff.add_user("ayesha", **{NUMBER: {"employeeNumber": "p-1"}})
    looks_after = {"value": ayesha, "kind": "look_after", "orderNo": "F.1/2026"}
    post = staff.add_post("ITT-DS", "Deputy Secretary", ayesha, capacities=[looks_after])
    # A client that knows no capacities writes the post anew.
    plain = {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
        "displayName": "Deputy Secretary (Admn)",
        "members": [{"value": ayesha}],
    }
    assert staff.ask("PUT", f"/Groups/{post}", plain).status == 200
    regular = [{"value": ayesha, "kind": "regular"}]
    told = {"op": "replace", "path": f"{POST}:capacities", "value": regular}
    assert staff.patch(f"/Groups/{post}", told).status == 204
    charges = [one for one in acts(staff) if one[0].startswith("charge")]
    assert charges == [
        ("charge-assumed", "p-1", "ITT-DS"),
        ("charge-relinquished", "p-1", post),
        ("charge-assumed", "p-1", post),
    ]
    assert (
        next(one for one in journal(staff) if one["action"] == "charge-assumed")["ref"]
        == "F.1/2026"
    )


def test_a_post_that_gets_another_number_leaves_nobody_at_the_old_one(staff: Staff) -> None:
    ayesha = staff.add_user("ayesha")
    post = staff.add_post("ITT-DS", "Deputy Secretary", ayesha)
    renamed = {"op": "replace", "path": f"{POST}:postNumber", "value": "ITT-DS-1"}
    assert staff.patch(f"/Groups/{post}", renamed).status == 204
    assert until(lambda: "ITT-DS-1" in directory(staff)["posts"], within_s=10)
    assert directory(staff)["posts"]["ITT-DS"]["charges"] == []
    # The number is free: a post that is set up anew under it is that post.
    again = staff.add_post("ITT-DS", "Deputy Secretary (New)")
    told = "Deputy Secretary (New)"
    assert until(lambda: directory(staff)["posts"]["ITT-DS"]["designation"] == told, within_s=10)
    assert staff.ask("GET", f"/Groups/{again}").status == 200
