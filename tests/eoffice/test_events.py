"""Events of the contract are read strictly, with every fault, and nothing else comes out."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rabta_contract import (
    ContractError,
    EventType,
    Grade,
    event_bytes,
    event_of,
    parse_batch,
    parse_event,
    redacted,
)
from rabta_contract.schema import SCHEMA_FILE, event_schema

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = Path(__file__).parent / "examples"
GOOD = ["charge_assumed", "decision_recorded", "file_marked", "receipt_diarised_secret"]


def example(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((EXAMPLES / f"{name}.json").read_text(encoding="utf-8"))
    return document


def changed(name: str, **at: Any) -> bytes:
    """The example with values put at paths: `data__file__subject=...`; None takes out."""
    document = example(name)
    for path, value in at.items():
        *steps, last = path.split("__")
        place = document
        for step in steps:
            place = place.setdefault(step, {})
        if value is None:
            del place[last]
        else:
            place[last] = value
    return json.dumps(document).encode()


def faults_of(raw: bytes) -> ContractError:
    with pytest.raises(ContractError) as caught:
        parse_event(raw)
    return caught.value


@pytest.mark.parametrize("name", GOOD)
def test_a_good_example_is_read_and_written_back_whole(name: str) -> None:
    event = event_of(example(name))
    assert event.kind is not None
    assert parse_event(event_bytes(event)) == event


def test_the_values_of_an_event_are_where_the_contract_names_them() -> None:
    event = event_of(example("file_marked"))
    assert event.kind is EventType.FILE_MARKED
    assert (event.org, event.sequence_no, event.file_id) == ("ITT", 18233, "ITT-2026-004512")
    assert event.data.movement is not None
    assert event.data.movement.from_.post_id == "ITT-SO-ADMN2"
    assert [post.post_id for post in event.data.movement.to] == ["ITT-DS-ADMN"]
    assert event.data.actor.post.designation_ur == "سیکشن افسر (انتظامیہ-۲)"


def test_a_secret_event_with_a_subject_is_refused_in_words_without_the_subject() -> None:
    raw = json.dumps(example("refused_secret_with_subject")).encode()
    error = faults_of(raw)
    assert error.reason == "schema"
    assert [fault.path for fault in error.faults] == ["/data"]
    assert "must not be here" not in str(error)


@pytest.mark.parametrize("grade", ["SECRET", "TOP_SECRET"])
@pytest.mark.parametrize(
    "content",
    [
        {"data__file__subject": "x"},
        {"data__movement__remarks": "x"},
        {"data__decision__remarks": "x"},
        {"data__documents": []},
    ],
)
def test_no_content_travels_above_confidential(grade: str, content: dict[str, Any]) -> None:
    event = changed(
        "file_marked",
        data__classification=grade,
        data__file__subject=None,
        data__movement__remarks=None,
        data__decision={"outcome": "seen", "note_para": 1},
    )
    assert parse_event(event).data.classification is Grade(grade)
    document = json.loads(event)
    for path, value in content.items():
        first, second, *rest = path.split("__")
        place = document[first][second] if rest else document[first]
        place[rest[0] if rest else second] = value
    assert faults_of(json.dumps(document).encode()).faults[0].path == "/data"


def test_all_faults_of_an_event_are_told_at_once_with_their_paths() -> None:
    raw = changed(
        "file_marked",
        id=None,
        sequence="a",
        time="yesterday",
        data__priority="URGENT",
        data__movement__movement_no=0,
        data__file__file_no="x" * 121,
    )
    assert [fault.path for fault in faults_of(raw).faults] == [
        "",
        "/data/file/file_no",
        "/data/movement/movement_no",
        "/data/priority",
        "/sequence",
        "/time",
    ]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("type", "eoffice.file.marked.v1\n"),
        ("source", "/eoffice/ITT\n"),
        ("sequence", "123\n"),
        ("sequence", "9223372036854775808"),
        ("time", "0001-01-01T00:00:00+05:00"),
        ("time", "2026-07-14T10:22:31"),
        ("time", "2026-02-30T10:22:31Z"),
        ("data__deadline__due", "9999-12-31T23:59:59-05:00"),
    ],
)
def test_what_a_database_would_choke_on_is_refused_at_the_border(path: str, value: str) -> None:
    error = faults_of(changed("file_marked", **{path: value}))
    assert [fault.path for fault in error.faults] == ["/" + path.replace("__", "/")]


def test_an_unknown_type_is_an_event_without_a_kind() -> None:
    assert parse_event(changed("file_marked", type="eoffice.file.shredded.v1")).kind is None


def test_unknown_fields_are_kept() -> None:
    event = parse_event(changed("file_marked", partitionkey="7", data__file__shelf="B"))
    assert event.document()["partitionkey"] == "7"
    assert event.document()["data"]["file"]["shelf"] == "B"


def test_a_heartbeat_needs_a_source_and_a_file_event_needs_a_file() -> None:
    beat = {"type": "eoffice.source.heartbeat.v1", "subject": "source/ITT", "data__file": None}
    assert parse_event(changed("file_marked", **beat, data__source={})).data.source is not None
    assert faults_of(changed("file_marked", **beat)).reason == "schema"
    withdrawn = changed("charge_assumed", type="eoffice.file.pulled_back.v1")
    assert [fault.message for fault in faults_of(withdrawn).faults] == ["lacks file"]


def test_a_batch_is_all_or_nothing_and_says_which_event_is_bad() -> None:
    good, bad = example("file_marked"), example("refused_secret_with_subject")
    assert len(parse_batch(json.dumps([good, good]).encode())) == 2
    assert parse_batch(b"[]") == ()
    with pytest.raises(ContractError) as caught:
        parse_batch(json.dumps([good, bad]).encode())
    assert [fault.path for fault in caught.value.faults] == ["/1/data"]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff\xfe",
        b"{",
        b'{"a":1,"a":2}',
        b"[NaN]",
        b"[1e999]",
        b'["\\ud800"]',
        b'["\\u0000"]',
        b'{"\\u0000":1}',
        b"[" * 100_000,
        b"[" * 40 + b"]" * 40,
        b"1" * 5000,
    ],
)
def test_malformed_json_is_one_kind_of_error(raw: bytes) -> None:
    assert faults_of(raw).reason == "malformed-json"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.binary(max_size=300).filter(lambda raw: b"[" not in raw))
def test_no_bytes_raise_anything_but_the_contract_error(raw: bytes) -> None:
    for read in (parse_event, parse_batch):
        with pytest.raises(ContractError) as caught:
            read(raw)
        assert caught.value.reason in {"malformed-json", "schema"}


@given(
    st.sampled_from(GOOD),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9), JSON), min_size=1, max_size=4),
)
def test_no_change_of_a_good_event_raises_anything_but_the_contract_error(
    name: str, changes: list[tuple[int, int, Any]]
) -> None:
    document: Any = example(name)
    for depth, which, value in changes:
        place = document
        for _ in range(depth):
            inner = [item for item in place.values() if isinstance(item, dict) and item]
            if not inner:
                break
            place = inner[which % len(inner)]
        keys = list(place)
        place[keys[which % len(keys)]] = value
    try:
        event = parse_event(json.dumps(document).encode())
    except ContractError:
        return
    assert parse_event(event_bytes(event)).id == event.id


def test_redaction_takes_out_what_is_not_allowed_and_what_nobody_knows() -> None:
    event = parse_event(changed("file_marked", summary="Procurement", data__file__shelf="B"))
    assert redacted(event, subject=True, remarks=True, attachments=True) is event
    less = redacted(event, subject=False, remarks=False, attachments=False)
    text = event_bytes(less).decode()
    assert "Procurement" not in text
    assert "Submitted" not in text
    assert "shelf" not in text
    assert "F.No.1(5)/2026-Admn-II" in text
    assert parse_event(event_bytes(less)) == less


def test_redaction_takes_out_with_the_subject_who_writes_to_whom_about_it() -> None:
    told = json.loads(changed("file_marked"))
    told["data"]["draft"] = {
        "draft_id": "d-1",
        "file_id": "ITT-2026-004512",
        "version": 1,
        "addressees": ["Wafaqi Mohtasib"],
    }
    less = redacted(event_of(told), subject=False, remarks=True, attachments=True)
    assert b"Mohtasib" not in event_bytes(less)
    assert b"p-4/cor" not in event_bytes(less)


def test_redaction_leaves_nothing_of_a_secret_file_even_where_all_is_allowed() -> None:
    event = event_of(example("file_marked"))
    secret = event.data.model_copy(update={"classification": Grade.SECRET})
    less = redacted(
        event.model_copy(update={"data": secret}), subject=True, remarks=True, attachments=True
    )
    assert b"Procurement" not in event_bytes(less)
    assert b"Submitted" not in event_bytes(less)


def test_the_published_schema_is_the_packaged_one() -> None:
    published = ROOT / "config" / "schema" / "eoffice-event.schema.json"
    packaged = ROOT / "bots" / "rabta_contract" / SCHEMA_FILE
    assert published.read_bytes() == packaged.read_bytes()
    assert event_schema() == json.loads(published.read_text(encoding="utf-8"))
