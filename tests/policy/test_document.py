"""A policy document holds together, or is refused with every fault, each with path and cure."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from rabta_policy import PolicyError, load_document, parse, parse_document, policy_schema

CONFIG = Path(__file__).parents[2] / "config"
ENTRY = "organisations[0]"

# what is written where, and where the fault is told
WRONG: list[tuple[str, Any, str]] = [
    ("serial", 0, "serial"),
    ("serial", "7", "serial"),
    ("serial", True, "serial"),
    ("network", "Small Test", "network"),
    ("grace", "P400D", "grace"),
    ("grace", "ten days", "grace"),
    ("grace", "P1M", "grace"),
    ("not_after", "2025-12-01T00:00:00Z", "not_after"),
    ("not_after", "2026-12-01", "not_after"),
    ("not_after", "2026-12-01T00:00:00", "not_after"),
    ("not_after", "2026-02-30T00:00:00Z", "not_after"),
    ("not_after", "9999-12-01T00:00:00Z", "not_after"),
    ("format", 2, "format"),
    ("tls_ca", "no PEM", "tls_ca"),
    ("surprise", 1, "surprise"),
    ("phases.pilot.closes", "2026-01-01T00:00:00Z", "phases.pilot.closes"),
    ("phases.someday", {"opens": "2026-01-01T00:00:00Z"}, "phases.someday"),
    ("classes.secret", {}, "classes.secret"),
    ("classes.confidential.federation", "all", "classes.confidential.federation"),
    ("classes.restricted.guests", True, "classes.restricted.guests"),
    ("classes.restricted.encryption_required", False, "classes.restricted.encryption_required"),
    ("classes.confidential.card.decide", "confirm", "classes.confidential.card.decide"),
    ("classes.confidential.card.decide", False, "classes.confidential.card.decide"),
    ("classes.unclassified.media.types", ["picture"], "classes.unclassified.media.types[0]"),
    ("relations.siblings.actions", ["wave"], "relations.siblings.actions[0]"),
    ("relations.cousins", {}, "relations.cousins"),
    (f"{ENTRY}.code", "itt", f"{ENTRY}.code"),
    (f"{ENTRY}.code", "FIN", f"{ENTRY}.code"),
    (f"{ENTRY}.kind", "ministry", f"{ENTRY}.kind"),
    (f"{ENTRY}.ceiling", "secret", f"{ENTRY}.ceiling"),
    (f"{ENTRY}.parent", "GHOST", f"{ENTRY}.parent"),
    (f"{ENTRY}.parent", "NITB", f"{ENTRY}.parent"),
    (f"{ENTRY}.parent", "ITT", f"{ENTRY}.parent"),
    (f"{ENTRY}.successors", ["FIN"], f"{ENTRY}.successors"),
    (f"{ENTRY}.server.name", "fin.gov.test", f"{ENTRY}.server.name"),
    (f"{ENTRY}.server.name", "ITT.gov.test", f"{ENTRY}.server.name"),
    (f"{ENTRY}.server.address.port", 70000, f"{ENTRY}.server.address.port"),
    (f"{ENTRY}.server.verify_keys", {"rsa:1": "x"}, f"{ENTRY}.server.verify_keys.rsa:1"),
    (f"{ENTRY}.server.verify_keys", {"ed25519:1": "x"}, f"{ENTRY}.server.verify_keys.ed25519:1"),
    (f"{ENTRY}.changes", [{"from": "2025-01-01T00:00:00Z"}], f"{ENTRY}.changes[0].from"),
    ("groups.circle", ["GHOST"], "groups.circle[0]"),
    ("permits[0].origin", "GHOST", "permits[0].origin"),
    ("permits[0].destination", "ghosts", "permits[0].destination"),
    ("permits[0].until", "2026-02-01T00:00:00Z", "permits[0].until"),
    ("permits[0].max_class", "confidential", "permits[0].max_class"),
    ("permits[0].actions", [], "permits[0].actions"),
    ("permits[0].room", "#alias:itt.gov.test", "permits[0].room"),
]


def put(plain: Any, path: str, value: Any) -> None:
    """Write a value at a path such as `permits[0].until`."""
    *steps, last = path.replace("[", ".[").split(".")
    for step in steps:
        plain = plain[int(step[1:-1])] if step.startswith("[") else plain[step]
    plain[last] = value


def faults_of(plain: dict[str, Any]) -> list[str]:
    """The paths of all faults of a document."""
    with pytest.raises(PolicyError) as caught:
        parse_document(plain)
    assert caught.value.reason == "policy-malformed"
    for fault in caught.value.faults:
        assert fault.message.endswith(".")
        assert fault.cure.endswith(".")
    return [fault.path for fault in caught.value.faults]


@pytest.mark.parametrize(("path", "value", "told_at"), WRONG)
def test_this_is_refused_where_it_stands(
    network: Callable[[], dict[str, Any]], path: str, value: Any, told_at: str
) -> None:
    plain = network()
    put(plain, path, value)
    assert any(told.startswith(told_at) for told in faults_of(plain))


@pytest.mark.parametrize("field", ["from", "until", "order", "direction", "max_class"])
def test_a_permit_lacking_dates_order_direction_or_class_is_no_permit(
    network: Callable[[], dict[str, Any]], field: str
) -> None:
    plain = network()
    del plain["permits"][0][field]
    assert faults_of(plain) == [f"permits[0].{field}"]


def test_all_faults_are_told_at_once_those_of_shape_and_those_of_sense(
    network: Callable[[], dict[str, Any]],
) -> None:
    plain = network()
    put(plain, "serial", "x")
    put(plain, "organisations[0].parent", "GHOST")
    put(plain, "organisations[1].status", "asleep")
    put(plain, "permits[1].until", "2020-01-01T00:00:00Z")
    assert set(faults_of(plain)) == {
        "serial",
        "organisations[0].parent",
        "organisations[1].status",
        "permits[1].until",
    }


def test_a_faulty_organisation_does_not_make_those_who_name_it_faulty(
    network: Callable[[], dict[str, Any]],
) -> None:
    plain = network()
    put(plain, "organisations[1].status", "asleep")
    assert faults_of(plain) == ["organisations[1].status"]


def test_circles_of_successors_are_refused(network: Callable[[], dict[str, Any]]) -> None:
    plain = network()
    for at, follower in ((0, "FIN"), (1, "ITT")):
        plain["organisations"][at] |= {"status": "retired", "successors": [follower]}
    assert set(faults_of(plain)) == {"organisations[0].successors", "organisations[1].successors"}


YAML_TRAPS = [
    ("serial: 1\nserial: 2\n", "serial", 2),
    ("a: &x [1]\nb: *x\n", "b", None),
    ("? [1]\n: 2\n", "", 1),
    ("- 1\n", "", 1),
    ("", "", 1),
    ("a: [1\n", "", None),
    ("a: {b: 1, b: 2}\n", "a.b", 1),
    ("a: " + "[" * 300_000 + "]" * 300_000, "", None),
    ('{"a": ' + "[" * 300_000 + "]" * 300_000 + "}", "", None),
    ('{"a": 1, "a": 2}', "a", 1),
]


@pytest.mark.parametrize(("text", "path", "line"), YAML_TRAPS, ids=range(len(YAML_TRAPS)))
def test_yaml_that_hides_something_is_refused(text: str, path: str, line: int | None) -> None:
    with pytest.raises(PolicyError) as caught:
        load_document(text)
    fault = caught.value.faults[0]
    assert fault.path == path
    assert line is None or fault.line == line


def test_words_that_yaml_1_1_turns_into_something_else_stay_words() -> None:
    text = "a: no\nb: on\nc: 2026-01-01\nd: 1.5\ne: 0x10\nf: 12:30\ng: true\nh: 12\ni: ~\nj: '7'\n"
    assert load_document(text) == {
        "a": "no",
        "b": "on",
        "c": "2026-01-01",
        "d": "1.5",
        "e": "0x10",
        "f": "12:30",
        "g": True,
        "h": 12,
        "i": None,
        "j": "7",
    }


def test_a_fault_in_yaml_is_told_with_its_line() -> None:
    text = (CONFIG / "demo-policy.yaml").read_text(encoding="utf-8")
    line = 1 + text[: text.index("kind: attached")].count("\n")
    with pytest.raises(PolicyError) as caught:
        parse(text.replace("kind: attached", "kind: attache", 1))
    assert [fault.line for fault in caught.value.faults] == [line]


def test_the_same_document_is_read_from_yaml_and_from_json(
    network: Callable[[], dict[str, Any]],
) -> None:
    plain = network()
    from_json = parse(json.dumps(plain, ensure_ascii=False))
    from_yaml = parse(yaml.safe_dump(plain, allow_unicode=True))
    assert from_json.document == from_yaml.document == parse_document(plain)


def test_the_example_policy_holds_the_whole_registry() -> None:
    policy = parse((CONFIG / "policy.example.yaml").read_text(encoding="utf-8"))
    assert len(policy.document.organisations) == 69
    for entry in policy.document.organisations:
        assert entry.server is not None
        assert entry.server.name == f"{entry.code.lower()}.gov.test"
        assert any("\u0600" <= letter <= "\u06ff" for letter in entry.name_ur)
        # What is not active carries no key; what is active, one that nobody holds.
        assert list(entry.server.verify_keys) == (
            ["ed25519:example"] if entry.status == "active" else []
        )


def test_the_demo_policy_is_a_template_in_which_no_server_is_pinned() -> None:
    policy = parse((CONFIG / "demo-policy.yaml").read_text(encoding="utf-8"))
    assert policy.server_names >= {"itt.gov.test", "fin.gov.test"}
    assert policy.federating_servers(policy.issued_at) == frozenset()


def test_the_schema_on_disk_is_the_one_the_models_make() -> None:
    on_disk = json.loads((CONFIG / "schema" / "policy.schema.json").read_text(encoding="utf-8"))
    assert on_disk == policy_schema(), "run: rabta policy schema > config/schema/policy.schema.json"
