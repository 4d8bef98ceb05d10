"""Key sharing against a scripted homeserver: many devices, failures, rate limits."""

import asyncio
import itertools
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event

from rabta_bots.matrix import MatrixError, tables

Make = Callable[..., Any]
ROOM = "!room:itt.gov.test"
BRIDGE = "@bridge:itt.gov.test"


def _script(scripted: Any, people: list[Any]) -> None:
    by_id = {(one.user_id, one.device_id): one for one in people}

    def query(_path: str, body: Any) -> tuple[int, Any]:
        answer: dict[str, Any] = {}
        for one in people:
            if one.user_id in body["device_keys"]:
                for kind, value in one.query.items():
                    answer.setdefault(kind, {}).update(value)
        return 200, answer

    def claim(_path: str, body: Any) -> tuple[int, Any]:
        keys: dict[str, Any] = {}
        for user, devices in body["one_time_keys"].items():
            for device in devices:
                if (key := by_id[user, device].one_time_key()) is not None:
                    keys.setdefault(user, {})[device] = key
        return 200, {"one_time_keys": keys}

    content = {"algorithm": "m.megolm.v1.aes-sha2"}
    state = [{"type": "m.room.encryption", "state_key": "", "content": content}]
    state += [
        {"type": "m.room.member", "state_key": user, "content": {"membership": "join"}}
        for user in [BRIDGE, *(one.user_id for one in people)]
    ]
    scripted.answers["keys/query"] = query
    scripted.answers["keys/claim"] = claim
    scripted.answers["/state"] = lambda *_: (200, state)
    scripted.answers["/send/"] = lambda *_: (200, {"event_id": "$sent"})


async def _send(ours: Any, txn_id: str) -> str:
    return str(await ours.sending.send(ROOM, {}, txn_id=txn_id, event_type="m.room.message"))


async def test_a_room_of_three_hundred_devices_gets_its_key_in_turns_with_the_loop(
    parts: Make, phone: Make, scripted: Any
) -> None:
    """How long a turn is, `make bench` measures; here none serves more than 25 devices."""
    ours = await parts()
    people = [phone(f"@officer{number}:itt.gov.test") for number in range(300)]
    _script(scripted, people)
    turns = itertools.count()
    held_at_turn: dict[int, int] = {}

    async def watch() -> None:
        while True:
            sessions = ours.state.machine.session_store.values()
            held_at_turn[next(turns)] = sum(map(bool, sessions))
            await asyncio.sleep(0)

    watching = asyncio.create_task(watch())
    await _send(ours, "rb-1")
    watching.cancel()
    letters = [list(body["messages"]) for _, body in scripted.asked("sendToDevice")]
    assert sorted(itertools.chain(*letters)) == sorted(one.user_id for one in people)
    assert sorted(map(len, letters)) == [100, 100, 100]
    held = list(held_at_turn.values())
    assert max(after - before for before, after in itertools.pairwise(held)) == 25
    assert len(ours.rows(tables.recipient)) == 300
    asked = [len(body["device_keys"]) for _, body in scripted.asked("keys/query")]
    claimed = [len(body["one_time_keys"]) for _, body in scripted.asked("keys/claim")]
    assert asked == claimed == [250, 50]


async def test_an_olm_session_and_the_letter_made_with_it_are_one_transaction(
    parts: Make, phone: Make, scripted: Any
) -> None:
    ours = await parts()
    _script(scripted, [phone(f"@officer{number}:itt.gov.test") for number in range(30)])
    commits: list[tuple[int, int]] = []

    def count(connection: Any) -> None:
        found = [
            connection.exec_driver_sql(f"select count(*) from {name}").scalar_one()  # noqa: S608
            for name in ("matrix_olm_session", "matrix_session_recipient")
        ]
        commits.append((found[0], found[1]))

    event.listen(ours.engine, "commit", count)
    await _send(ours, "rb-1")
    # Never a session without its recipient noted, nor the other way round.
    assert set(commits) == {(0, 0), (25, 25), (30, 30)}


async def test_letters_that_failed_stay_queued_and_the_others_do_not_go_twice(
    parts: Make, phone: Make, scripted: Any
) -> None:
    ours = await parts()
    _script(scripted, [phone(f"@officer{number}:itt.gov.test") for number in range(210)])
    failing = iter([503])
    scripted.answers["sendToDevice"] = lambda *_: (next(failing, 200), {})
    with pytest.raises(MatrixError) as failed:
        await _send(ours, "rb-1")
    assert (failed.value.reason, failed.value.permanent) == ("homeserver-failed", False)
    assert len(ours.rows(tables.to_device)) == 1
    await _send(ours, "rb-1")
    paths = [path for path, _ in scripted.asked("sendToDevice")]
    assert sorted(paths.count(path) for path in set(paths)) == [1, 1, 2]
    assert ours.rows(tables.to_device) == []


async def test_a_device_without_one_time_keys_is_told_and_tried_again_later(
    parts: Make, phone: Make, scripted: Any, clock: Any
) -> None:
    ours = await parts()
    well, poor = phone("@well:itt.gov.test"), phone("@poor:itt.gov.test")
    _script(scripted, [well, poor])
    keys = poor.one_time_key
    poor.one_time_key = lambda: None
    await _send(ours, "rb-1")
    first, second = scripted.asked("sendToDevice")
    assert {tuple(one[1]["messages"]) for one in (first, second)} == {
        ("@well:itt.gov.test",),
        ("@poor:itt.gov.test",),
    }
    withheld = next(body for path, body in (first, second) if "withheld" in path)
    assert withheld["messages"][poor.user_id]["PHONE"]["code"] == "m.no_olm"
    claims = len(scripted.asked("keys/claim"))
    await _send(ours, "rb-2")
    assert len(scripted.asked("keys/claim")) == claims
    poor.one_time_key = keys
    clock.forward(timedelta(minutes=2))
    await _send(ours, "rb-3")
    path, body = scripted.asked("sendToDevice")[-1]
    assert ("m.room.encrypted" in path, list(body["messages"])) == (True, [poor.user_id])


async def test_a_session_is_replaced_when_it_is_old(
    parts: Make, phone: Make, scripted: Any, clock: Any
) -> None:
    ours = await parts()
    _script(scripted, [phone()])
    sessions = []
    for number, days in enumerate((0, 6, 1)):
        clock.forward(timedelta(days=days))
        await _send(ours, f"rb-{number}")
        (row,) = ours.rows(tables.outbound_session)
        sessions.append(row.session_id)
    assert sessions[0] == sessions[1] != sessions[2]


async def test_a_session_lives_no_longer_than_the_room_asks(
    parts: Make, phone: Make, scripted: Any, clock: Any
) -> None:
    ours = await parts()
    _script(scripted, [phone()])
    _, state = scripted.answers["/state"]("", None)
    state[0]["content"] = {**state[0]["content"], "rotation_period_ms": 3_600_000}
    sessions = []
    for number, minutes in enumerate((0, 59, 1)):
        clock.forward(timedelta(minutes=minutes))
        await _send(ours, f"rb-{number}")
        (row,) = ours.rows(tables.outbound_session)
        sessions.append(row.session_id)
    assert sessions[0] == sessions[1] != sessions[2]


async def test_trust_is_judged_from_memory_whatever_the_number_of_devices(
    parts: Make, phone: Make, scripted: Any
) -> None:
    ours = await parts()
    _script(scripted, [phone(f"@officer{number}:itt.gov.test") for number in range(50)])
    asked: list[str] = []

    def note(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("SELECT"):
            asked.extend(
                name for name in ("matrix_device", "matrix_identity") if f"FROM {name}" in statement
            )

    event.listen(ours.engine, "before_cursor_execute", note)
    await _send(ours, "rb-1")
    assert sorted(asked) == ["matrix_device", "matrix_identity"]


async def test_a_rate_limit_is_obeyed_and_the_wait_is_bounded(
    parts: Make, phone: Make, scripted: Any
) -> None:
    ours = await parts()
    _script(scripted, [phone()])
    asked: list[float] = []

    def limited(*_: Any) -> tuple[int, Any]:
        asked.append(time.monotonic())
        if len(asked) == 1:
            return 429, {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 300}
        return 200, {"event_id": "$sent"}

    scripted.answers["/send/"] = limited
    assert await _send(ours, "rb-1") == "$sent"
    assert asked[1] - asked[0] >= 0.3
    scripted.answers["/send/"] = lambda *_: (
        429,
        {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 3_600_000},
    )
    with pytest.raises(MatrixError) as failed:
        await _send(ours, "rb-2")
    assert (failed.value.reason, failed.value.permanent) == ("rate-limited", False)
    assert failed.value.retry_after == timedelta(hours=1)


@pytest.mark.parametrize(
    ("status", "errcode", "reason", "permanent"),
    [
        (403, "M_FORBIDDEN", "forbidden", True),
        (413, "M_TOO_LARGE", "content-too-large", True),
        (401, "M_UNKNOWN_TOKEN", "token-refused", True),
        (400, "M_BAD_JSON", "refused", True),
        (502, "M_UNKNOWN", "homeserver-failed", False),
    ],
)
async def test_every_failure_is_raised_with_its_reason(
    *,
    parts: Make,
    phone: Make,
    scripted: Any,
    status: int,
    errcode: str,
    reason: str,
    permanent: bool,
) -> None:
    ours = await parts()
    _script(scripted, [phone()])
    scripted.answers["/send/"] = lambda *_: (status, {"errcode": errcode})
    with pytest.raises(MatrixError) as failed:
        await _send(ours, "rb-1")
    assert (failed.value.reason, failed.value.permanent) == (reason, permanent)


async def test_a_repeat_after_a_lost_answer_has_identical_bytes(
    parts: Make, phone: Make, scripted: Any
) -> None:
    ours = await parts()
    _script(scripted, [phone()])
    scripted.answers["/send/"] = lambda *_: (504, {})
    with pytest.raises(MatrixError):
        await _send(ours, "rb-1")
    scripted.answers["/send/"] = lambda *_: (200, {"event_id": "$sent"})
    again = await parts()
    assert await _send(again, "rb-1") == "$sent"
    await again.sending.finish()
    first, second = scripted.asked("/send/")
    assert first == second
    assert await _send(ours, "rb-1") == "$sent"
    assert len(scripted.asked("/send/")) == 2


async def test_our_own_echo_tells_that_an_event_was_sent(
    parts: Make, phone: Make, scripted: Any
) -> None:
    ours = await parts()
    _script(scripted, [phone()])
    scripted.answers["/send/"] = lambda *_: (504, {})
    with pytest.raises(MatrixError):
        await _send(ours, "rb-1")
    echo = {
        "type": "m.room.encrypted",
        "event_id": "$echo",
        "sender": BRIDGE,
        "content": {},
        "unsigned": {"transaction_id": "rb-1"},
    }
    rooms = {"join": {ROOM: {"timeline": {"events": [echo]}}}}
    await ours.receiving.apply({"next_batch": "s1", "rooms": rooms}, {})
    assert await _send(ours, "rb-1") == "$echo"
    assert len(scripted.asked("/send/")) == 1
    assert ours.inbox.received(10) == []


async def test_the_relation_is_copied_to_the_clear_part_and_nothing_else_is(
    parts: Make, phone: Make, scripted: Any
) -> None:
    ours = await parts()
    _script(scripted, [phone()])
    relation = {"rel_type": "m.replace", "event_id": "$1"}
    content = {"body": "* done", "m.relates_to": relation}
    await ours.sending.send(ROOM, content, txn_id="rb-1", event_type="m.room.message")
    ((_, body),) = scripted.asked("/send/")
    assert body["m.relates_to"] == relation
    assert set(body) == {
        "algorithm",
        "sender_key",
        "ciphertext",
        "session_id",
        "device_id",
        "m.relates_to",
    }


async def test_a_room_once_encrypted_is_never_taken_for_a_clear_one(
    parts: Make, phone: Make, scripted: Any
) -> None:
    ours = await parts()
    _script(scripted, [phone()])
    await _send(ours, "rb-1")
    lie = {"type": "m.room.encryption", "state_key": "", "event_id": "$lie", "content": {}}
    lie["sender"] = BRIDGE
    rooms = {"join": {ROOM: {"state": {"events": [lie]}, "timeline": {"events": [lie]}}}}
    await ours.receiving.apply({"next_batch": "s1", "rooms": rooms}, {})
    await _send(ours, "rb-2")
    assert [body["algorithm"] for _, body in scripted.asked("/send/")] == [
        "m.megolm.v1.aes-sha2"
    ] * 2
    assert "/send/m.room.encrypted/" in scripted.asked("/send/")[1][0]
