"""What a site file may say, and what is said of one that may not."""

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from rabta_deploy.site.alerts import ALERTS, RUNBOOK
from rabta_deploy.site.reading import SiteError, parse, site_schema

ROOT = Path(__file__).parents[3]


def refused(document: Any) -> list[tuple[str, str]]:
    with pytest.raises(SiteError) as caught:
        parse(document if isinstance(document, str) else yaml.safe_dump(document))
    assert all(fault.cure for fault in caught.value.faults)
    return [(fault.path, fault.message) for fault in caught.value.faults]


def test_the_example_names_every_part(whole_document: dict[str, Any]) -> None:
    site = parse(yaml.safe_dump(whole_document))
    absent = {name for name in type(site).model_fields if name not in site.model_fields_set}
    # The last is written by `rabta site rotate`, not by a person.
    assert absent == {"plan", "ports_from", "old_signing_keys"}


def test_every_fault_is_told_at_once_with_its_path(whole_document: dict[str, Any]) -> None:
    document = copy.deepcopy(whole_document)
    document["size"] = "huge"
    document["client"]["port"] = 0
    document["client"]["key_file"] = "tls/key.pem"
    document["calls"]["realm"] = "x"
    del document["policy"]["authority_file"]
    assert {path for path, _ in refused(document)} == {
        "size",
        "client.port",
        "client.key_file",
        "calls.realm",
        "policy.authority_file",
    }


@pytest.mark.parametrize(
    ("change", "path", "message"),
    [
        (
            {"database": {"kind": "managed", "host": "db.itt.gov.test"}},
            "database",
            "host: only an external database is described so",
        ),
        (
            {"database": {"kind": "external"}},
            "database",
            "an external database needs host and password_file",
        ),
        (
            {
                "database": {
                    "kind": "external",
                    "host": "192.0.2.9",
                    "password_file": "/etc/rabta/db.secret",
                }
            },
            "database",
            "ca_file: a database on another machine is reached by TLS alone",
        ),
        (
            {"retention": {"categories": {"A": 36_500}}},
            "retention.categories",
            "category A is kept for ever: give null",
        ),
        (
            {"retention": {"categories": {"B": 3_649}}},
            "retention.categories",
            "category B is kept at least 3650 days",
        ),
        (
            {"push": {"app_id": "x"}},
            "push",
            "name fcm_service_account_file, apns_certificate_file or both",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(
    whole_document: dict[str, Any], change: dict[str, Any], path: str, message: str
) -> None:
    assert refused(whole_document | change) == [(path, message)]


def test_a_secret_cannot_be_written_into_the_file(whole_document: dict[str, Any]) -> None:
    database = {"kind": "external", "host": "127.0.0.1", "password": "open sesame"}
    assert ("database.password", "Extra inputs are not permitted") in refused(
        whole_document | {"database": database}
    )


def test_what_is_not_yaml_is_told_by_its_line() -> None:
    assert refused("organisation: ITT\n  size: [") == [("line 2", "is not YAML")]


def keys(schema: dict[str, Any], node: dict[str, Any], path: str = "") -> set[str]:
    """Every key of a document, dotted, as the schema has them."""
    if "$ref" in node:
        node = schema["$defs"][node["$ref"].rpartition("/")[2]]
    for choice in node.get("anyOf", []):
        if found := keys(schema, choice, path):
            return found
    found = set()
    for name, below in node.get("properties", {}).items():
        found |= keys(schema, below, f"{path}{name}.") or {f"{path}{name}"}
    return found


def test_the_reference_page_tells_every_key_and_no_other() -> None:
    page = (ROOT / "docs/reference/site.md").read_text()
    told = set(re.findall(r"^\| `([a-z_.]+)` \| [^|]+ \|$", page, re.MULTILINE))
    schema = site_schema()
    assert told - {"plan"} == keys(schema, schema)


def test_the_schema_on_disk_is_the_one_of_the_models() -> None:
    on_disk = json.loads((ROOT / "config/schema/site.schema.json").read_text())
    assert on_disk == site_schema(), "run: rabta site schema > config/schema/site.schema.json"


def test_every_alert_has_its_run_book() -> None:
    page = (ROOT / RUNBOOK).read_text()
    headings = re.findall(r"^## (\S+)$", page, re.MULTILINE)
    assert headings == [alert.name for alert in ALERTS]


def test_every_reason_of_the_site_is_told_in_the_reference() -> None:
    page = (ROOT / "docs/reference/site.md").read_text()
    files = (ROOT / "deploy/rabta_deploy/site").rglob("*.py")
    raised = {
        code
        for file in files
        for code in re.findall(r'(?:Yard|Backup)Error\(\s*"([a-z-]+)"', file.read_text())
    }
    assert {"output-not-ours", "program-missing"} <= raised
    assert {code for code in raised if f"`{code}`" not in page} == set()


@pytest.mark.parametrize(
    ("staff", "directory_file"), [(None, None), ({}, "/etc/rabta/eoffice/directory.yaml")]
)
def test_the_directory_is_written_by_the_staff_service_or_brought_and_never_both(
    whole_document: dict[str, Any], staff: Any, directory_file: str | None
) -> None:
    document = whole_document | {"staff": staff}
    document["eoffice"] = document["eoffice"] | {"directory_file": directory_file}
    with pytest.raises(SiteError, match="directory_file"):
        parse(yaml.safe_dump(document))
