"""Whatever strangers put into a sync, it is committed, and what is good in it is taken."""

import itertools
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine

from rabta_bots.matrix import metadata, tables

Make = Callable[..., Any]
ROOM = "!room:itt.gov.test"

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
_KEY = st.sampled_from(["A" * 43, "\x00" * 43, "\ud800" * 43, "=" * 43, "", "A" * 5000])
_TEXT = st.text(max_size=12) | _KEY
_OLM = st.fixed_dictionaries(
    {
        "algorithm": st.just("m.olm.v1.curve25519-aes-sha2"),
        "sender_key": _TEXT | _JSON,
        "ciphertext": st.dictionaries(_KEY, _JSON) | _JSON,
    }
)
_MEGOLM = st.fixed_dictionaries(
    {
        "algorithm": st.just("m.megolm.v1.aes-sha2"),
        "session_id": _TEXT | _JSON,
        "ciphertext": _TEXT | _JSON,
        "sender_key": _TEXT | _JSON,
    }
)
_TYPES = st.sampled_from(
    [
        "m.room.encrypted",
        "m.room.message",
        "m.room.member",
        "m.room.encryption",
        "m.room.history_visibility",
        "m.room_key.withheld",
        "m.room_key_request",
        "m.key.verification.start",
    ]
)
_USER = st.sampled_from(["@officer:itt.gov.test", "@a\x00:itt.gov.test", "nobody"]) | _JSON
_EVENT = (
    st.fixed_dictionaries(
        {"type": _TYPES | _JSON, "content": _OLM | _MEGOLM | _JSON, "sender": _USER},
        optional={
            "state_key": _USER,
            "event_id": st.sampled_from(["$e", "$\x00", ""]) | _JSON,
            "origin_server_ts": _JSON,
            "unsigned": _JSON,
        },
    )
    | _JSON
)


_tokens = itertools.count()


@pytest.fixture(params=["sqlite", "postgresql"])
async def ours(request: pytest.FixtureRequest, parts: Make) -> AsyncIterator[Any]:
    """Parts on each database: a NUL is nothing to SQLite and an error to PostgreSQL."""
    if request.param == "sqlite":
        yield await parts()
        return
    url = request.getfixturevalue("postgres")(f"hostile{next(_tokens)}")
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    metadata.create_all(engine)
    yield await parts(engine)
    engine.dispose()


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    to_device=st.lists(_EVENT, max_size=4),
    state=st.lists(_EVENT, max_size=3),
    timeline=st.lists(_EVENT, max_size=4),
    rest=_JSON,
)
async def test_any_sync_is_committed_and_the_good_event_in_it_is_taken(
    ours: Any, to_device: Any, state: Any, timeline: Any, rest: Any
) -> None:
    number = next(_tokens)
    good = {
        "type": "m.room.message",
        "event_id": f"$good{number}",
        "sender": "@officer:itt.gov.test",
        "content": {"body": "still here"},
    }
    sync = {
        "next_batch": f"s{number}",
        "to_device": {"events": to_device},
        "device_lists": {"changed": state, "left": rest},
        "rooms": {
            "join": {
                ROOM: {"state": {"events": state}, "timeline": {"events": [*timeline, good]}},
                "not a room": rest,
                "!other\x00:itt.gov.test": rest,
            },
            "invite": {ROOM: {"invite_state": {"events": state}}, "!x:y": rest},
            "leave": rest,
        },
    }
    await ours.receiving.apply(sync, {ROOM: [one for one in timeline if isinstance(one, dict)]})
    assert ours.rows(tables.account)[0].sync_token == f"s{number}"
    assert f"$good{number}" in {row.event_id for row in ours.rows(tables.received)}


@pytest.mark.parametrize(
    "change",
    [
        {"room_id": "!\x00:itt.gov.test"},
        {"room_id": "!\ud800"},
        {"session_id": "\x00" * 43},
        {"session_id": "A" * 43},
        {"session_key": "A" * 300},
        {"session_key": 7},
        {"algorithm": []},
        {"room_id": {"a": 1}},
    ],
)
async def test_a_malformed_room_key_over_a_good_olm_session_is_dropped_alone(
    ours: Any, phone: Make, change: dict[str, Any]
) -> None:
    person = phone()
    with ours.state.transaction():
        account = ours.state.machine.account
        account.generate_one_time_keys(1)
        ours.state.machine.save_account()
    (one_time_key,) = account.one_time_keys["curve25519"].values()
    content = person.room_key(ROOM) | change
    letter = person.letter(ours, one_time_key, "m.room_key", content)
    await ours.receiving.apply({"next_batch": "s1", "to_device": {"events": [letter]}}, {})
    assert ours.rows(tables.inbound_session) == []
    assert ours.rows(tables.account)[0].sync_token == "s1"
