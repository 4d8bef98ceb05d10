"""The request target is canonical or refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rabta_gateway.target import parse_target

ROOT = "/_matrix/federation/v1"


@pytest.mark.parametrize(
    "raw",
    [
        f"{ROOT}/send/1",
        f"{ROOT}/state/%21room%3Aitt.gov.test?event_id=%24e",
        f"{ROOT}/event/%24with%2Fslash",
        f"{ROOT}/backfill/!r?v=$a&v=$b&limit=10",
        f"{ROOT}/state/!r;x?event_id=$e%3Bx",
        f"{ROOT}/query/profile?user_id=%40a%3Aitt.gov.test&field=displayname",
    ],
)
def test_a_target_as_synapse_writes_it_is_taken_unchanged(raw: str) -> None:
    target = parse_target(raw)

    assert target is not None
    assert target.raw == raw


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "*",
        "_matrix/federation/v1/send/1",
        "https://itt.gov.test/_matrix/federation/v1/send/1",
        "//evil.test/_matrix/federation/v1/send/1",
        f"{ROOT}//send/1",
        f"{ROOT}/send/1/",
        f"{ROOT}/./send/1",
        f"{ROOT}/x/../send/1",
        f"{ROOT}/x/%2e%2e/send/1",
        f"{ROOT}/x/%2E./send/1",
        f"{ROOT}/send/1#fragment",
        f"{ROOT}/send/1?",
        f"{ROOT}/query/profile?x=1;user_id=@a:itt.gov.test",
        f"{ROOT}/send/%",
        f"{ROOT}/send/%zz",
        f"{ROOT}/send/%00",
        f"{ROOT}/send/%0d%0aX-Evil:1",
        f"{ROOT}/send/%ff",
        f"{ROOT}/send/a b",
        f"{ROOT}\\send\\1",
        f"{ROOT}/send/\u0661",
    ],
)
def test_a_target_that_two_readers_could_read_in_two_ways_is_refused(raw: str) -> None:
    assert parse_target(raw) is None


@given(st.text(max_size=60))
def test_whatever_is_taken_has_no_dot_segment_and_no_empty_segment(text: str) -> None:
    target = parse_target("/" + text)

    if target is not None:
        assert not {"", ".", ".."} & set(target.decoded)
        assert target.raw == "/" + text
