"""Commands over real HTTP: each is carried out once, or refused with the contract's status."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from rabta_contract import Command, SigningSecrets, parse_answer, sign

FILE = "ITT-2026-004512"


@pytest.fixture
async def put_up(person: Callable[[str], Awaitable[Any]]) -> Any:
    """The file is put up to the Deputy Secretary; gives the officer who did it."""
    officer = await person("p-1")
    status, _ = await officer.act("put-up", "ITT-SO-ADMN2", to_post="ITT-DS-ADMN", note="Please.")
    assert status == 200
    return officer


@pytest.mark.parametrize(
    ("verb", "outcome", "movement_no", "holder", "event"),
    [
        ("approve", "approved", 2, "ITT-SO-ADMN2", "eoffice.decision.recorded.v1"),
        ("return", "returned_with_observations", 2, "ITT-SO-ADMN2", "eoffice.file.returned.v1"),
        ("seen", "seen", 2, "ITT-SO-ADMN2", "eoffice.decision.recorded.v1"),
        ("discuss", "discuss", 1, "ITT-DS-ADMN", "eoffice.decision.recorded.v1"),
        ("forward", "forwarded", 2, "ITT-JS", "eoffice.file.marked.v1"),
        ("acknowledge", "acknowledged", 1, "ITT-DS-ADMN", "eoffice.file.received.v1"),
    ],
)
@pytest.mark.usefixtures("put_up")
async def test_a_command_of_the_holder_is_carried_out_and_told(
    *,
    bridge: Any,
    command_for: Callable[..., Command],
    verb: str,
    outcome: str,
    movement_no: int,
    holder: str,
    event: str,
) -> None:
    more = {"to_post": "ITT-JS"} if verb == "forward" else {}
    status, answer, headers = await bridge.command(command_for(verb, remarks="ٹھیک ہے", **more))
    file = await bridge.file()
    assert status == 200
    assert parse_answer(200, json.dumps(answer).encode()) is not None
    assert (answer["outcome"], answer["movement_no"]) == (outcome, movement_no)
    assert "Idempotent-Replayed" not in headers
    assert (file["holder"], file["movement_no"]) == (holder, movement_no)
    assert (await bridge.events())[-1]["type"] == event


async def test_the_sender_reminds_and_the_file_stays(
    put_up: Any, bridge: Any, command_for: Callable[..., Command]
) -> None:
    assert put_up.token
    reminder = command_for("remind", post_id="ITT-SO-ADMN2", person_id="p-1")
    status, answer, _ = await bridge.command(reminder)
    assert (status, answer["outcome"], answer["movement_no"]) == (200, "reminded", 1)
    told = (await bridge.events())[-1]
    assert told["type"] == "eoffice.reminder.sent.v1"
    assert told["data"]["movement"]["to"][0]["post_id"] == "ITT-DS-ADMN"


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"file_id": "ITT-2026-999999"}, 404, "unknown-file"),
        ({"post_id": "ITT-NOBODY"}, 404, "unknown-post"),
        ({"command": "forward", "to_post": "ITT-NOBODY"}, 404, "unknown-post"),
        ({"command": "forward", "to_post": "ITT-DS-ADMN"}, 400, "malformed"),
        ({"movement_no": 2}, 409, "stale-movement"),
        ({"person_id": "p-5"}, 403, "wrong-holder"),
        ({"person_id": "p-nobody"}, 403, "wrong-holder"),
        ({"person_id": "p-1", "post_id": "ITT-SO-ADMN2"}, 403, "wrong-holder"),
    ],
)
@pytest.mark.usefixtures("put_up")
async def test_a_wrong_command_is_refused_and_changes_nothing(
    bridge: Any,
    command_for: Callable[..., Command],
    changes: dict[str, Any],
    status: int,
    reason: str,
) -> None:
    before, told = await bridge.file(), len(await bridge.events())
    answered, answer, _ = await bridge.command(
        command_for(changes.pop("command", "approve"), **changes)
    )
    assert (answered, answer["reason"]) == (status, reason)
    assert (await bridge.file(), len(await bridge.events())) == (before, told)


async def test_a_look_after_holder_is_refused(
    put_up: Any, bridge: Any, command_for: Callable[..., Command]
) -> None:
    holding = {"post_id": "ITT-JS", "person_id": "p-3", "movement_no": 2}
    status, _, _ = await bridge.command(command_for("forward", to_post="ITT-JS"))
    assert (put_up.url, status) == (bridge.url, 200)
    status, answer, _ = await bridge.command(command_for("approve", **holding))
    assert (status, answer["reason"]) == (403, "look-after-may-not-decide")
    status, answer, _ = await bridge.command(command_for("discuss", **holding))
    assert (status, answer["outcome"]) == (200, "discuss")


@pytest.mark.parametrize(
    ("opened", "reason"),
    [
        ({"classification": "CONFIDENTIAL"}, "grade-not-from-chat"),
        ({"classification": "SECRET"}, "grade-not-from-chat"),
        ({"certificate_required": True}, "certificate-required"),
    ],
)
async def test_some_files_are_not_decided_from_chat(
    person: Callable[[str], Awaitable[Any]],
    bridge: Any,
    command_for: Callable[..., Command],
    opened: dict[str, Any],
    reason: str,
) -> None:
    officer = await person("p-1")
    at = {"post_id": "ITT-SO-ADMN2"}
    status, file = await officer.post(
        "/api/files", {**at, "file_no": "F.1", "subject": "A matter", **opened}
    )
    assert status == 201
    await officer.act("put-up", file_id=file["file_id"], **at, to_post="ITT-DS-ADMN")
    status, answer, _ = await bridge.command(command_for("approve", file_id=file["file_id"]))
    assert (status, answer["reason"]) == (403, reason)
    assert (await bridge.file(file["file_id"]))["decisions"] == []


@pytest.mark.usefixtures("put_up")
async def test_a_replay_gets_the_same_answer_and_decides_nothing(
    bridge: Any, command_for: Callable[..., Command]
) -> None:
    first = await bridge.command(command_for("approve"))
    again = await bridge.command(command_for("approve"))
    assert again[:2] == first[:2]
    assert again[2]["Idempotent-Replayed"] == "true"
    assert len((await bridge.file())["decisions"]) == 1


@pytest.mark.usefixtures("put_up")
async def test_a_key_used_for_another_command_is_refused(
    bridge: Any, command_for: Callable[..., Command]
) -> None:
    await bridge.command(command_for("discuss", command_id="c-1"))
    status, answer, _ = await bridge.command(command_for("approve", command_id="c-1"))
    assert (status, answer["reason"]) == (422, "idempotency-key-reused")
    assert (await bridge.file())["holder"] == "ITT-DS-ADMN"


@pytest.mark.usefixtures("put_up")
async def test_the_same_command_many_times_at_once_decides_once(
    bridge: Any, command_for: Callable[..., Command]
) -> None:
    answers = await asyncio.gather(*(bridge.command(command_for("approve")) for _ in range(12)))
    assert {status for status, _, _ in answers} == {200}
    assert len({json.dumps(answer) for _, answer, _ in answers}) == 1
    assert sum("Idempotent-Replayed" not in headers for _, _, headers in answers) == 1
    assert len((await bridge.file())["decisions"]) == 1
    types = [event["type"] for event in await bridge.events()]
    assert types.count("eoffice.decision.recorded.v1") == 1


@pytest.mark.usefixtures("put_up")
async def test_different_commands_at_once_decide_once_and_the_rest_are_stale(
    bridge: Any, command_for: Callable[..., Command]
) -> None:
    commands = [command_for("approve", command_id=f"c-{number}") for number in range(8)]
    answers = await asyncio.gather(*(bridge.command(command) for command in commands))
    assert sorted(status for status, _, _ in answers) == [200] + [409] * 7
    assert len((await bridge.file())["decisions"]) == 1


async def test_a_bad_signature_a_stale_time_and_a_missing_header_are_refused(
    bridge: Any, command_for: Callable[..., Command]
) -> None:
    command = command_for("approve")
    body, key = command.to_bytes(), command.command_id
    stranger = SigningSecrets((b"x" * 32,))
    cases = [
        (sign(key, body, stranger, bridge.clock()), "bad-signature"),
        (sign(key, body + b" ", bridge.secrets, bridge.clock()), "bad-signature"),
        (
            sign(key, body, bridge.secrets, bridge.clock() - timedelta(minutes=6)),
            "stale-timestamp",
        ),
        ({"webhook-signature": ""}, "bad-signature"),
    ]
    for headers, reason in cases:
        status, answer, _ = await bridge.command(command, **headers)
        assert (status, answer["reason"]) == (401, reason)


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"", 400, "malformed"),
        (b"{", 400, "malformed"),
        (b'{"command_id":"c-raw"}', 400, "malformed"),
        (b"[]", 400, "malformed"),
        (b" " * 20_000, 413, "too-large"),
    ],
)
async def test_what_is_no_command_is_refused(
    bridge: Any, body: bytes, status: int, reason: str
) -> None:
    answered, answer, _ = await bridge.command(body)
    assert (answered, answer["reason"]) == (status, reason)


async def test_the_idempotency_key_must_be_that_of_the_command(
    bridge: Any, command_for: Callable[..., Command]
) -> None:
    status, answer, _ = await bridge.command(
        command_for("approve"), **{"Idempotency-Key": "c-other"}
    )
    assert (status, answer["reason"]) == (400, "malformed")


@pytest.mark.usefixtures("put_up")
async def test_a_decision_from_chat_is_in_the_ledger_with_who_and_how(
    bridge: Any, command_for: Callable[..., Command]
) -> None:
    await bridge.command(command_for("approve"))
    (line,) = (await bridge.file())["decisions"]
    assert {key: line[key] for key in line if key != "time"} == {
        "outcome": "approved",
        "movement_no": 1,
        "note_para": 3,
        "post_id": "ITT-DS-ADMN",
        "person_id": "p-2",
        "charge": "additional",
        "channel": "chat",
        "command_id": "c-approve",
        "matrix_user": "@bilal:itt.gov.test",
    }
