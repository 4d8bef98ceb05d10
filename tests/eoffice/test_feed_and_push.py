"""What e-Office tells: signed, in order, kept until it is taken, and silent about secrets."""

from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from rabta_contract import event_of, sign
from rabta_eoffice import push
from rabta_eoffice.service import Serving, serving
from rabta_eoffice.settings import Settings

FILE = "ITT-2026-004512"
AT_SO = {"post_id": "ITT-SO-ADMN2"}


async def test_the_feed_has_every_event_once_in_order_and_of_the_contract(
    person: Callable[[str], Awaitable[Any]], bridge: Any
) -> None:
    officer = await person("p-1")
    await officer.act("put-up", **AT_SO, to_post="ITT-DS-ADMN", note="n", remarks="Please.")
    await officer.act("pull-back", **AT_SO)
    events = [event_of(document) for document in await bridge.events()]
    assert [event.sequence_no for event in events] == list(range(1, len(events) + 1))
    assert [event.type for event in events] == [
        *["eoffice.charge.assumed.v1"] * 4,
        "eoffice.file.opened.v1",
        "eoffice.file.marked.v1",
        "eoffice.file.pulled_back.v1",
    ]
    marked = events[5].data
    assert marked.movement is not None
    assert marked.file is not None
    assert (marked.movement.remarks, marked.movement.movement_no) == ("Please.", 1)
    assert marked.file.subject == "Procurement of networking equipment"
    assert [event.type for event in events if "quotations" in repr(event)] == []


async def test_the_feed_gives_pages(bridge: Any) -> None:
    first = await bridge.events(limit=2)
    second = await bridge.events(after=int(first[-1]["sequence"]), limit=2)
    assert [int(event["sequence"]) for event in first + second] == [1, 2, 3, 4]
    assert await bridge.events(after=2**63 - 1) == []


@pytest.mark.parametrize("query", ["after=-1", "after=x", "limit=0", "limit=1001", "after=9" * 5])
async def test_a_wrong_page_of_the_feed_is_refused(
    office: Serving, http: aiohttp.ClientSession, query: str
) -> None:
    headers = {"Authorization": "Bearer feed-token-of-the-tests"}
    async with http.get(f"{office.url}/events?{query}", headers=headers) as response:
        assert response.status == 400


@pytest.mark.parametrize("token", [None, "Bearer wrong", "Basic feed-token-of-the-tests"])
async def test_the_feed_and_the_files_need_the_token(
    office: Serving, http: aiohttp.ClientSession, token: str | None
) -> None:
    headers = {} if token is None else {"Authorization": token}
    for path in ("/events", f"/api/files/{FILE}"):
        async with http.get(office.url + path, headers=headers) as response:
            assert response.status == 401


@pytest.mark.parametrize("grade", ["SECRET", "TOP_SECRET"])
async def test_nothing_of_a_secret_file_is_told(
    person: Callable[[str], Awaitable[Any]], bridge: Any, grade: str
) -> None:
    officer, secretary = await person("p-1"), await person("p-2")
    status, file = await officer.post(
        "/api/files",
        {**AT_SO, "file_no": "F.9", "subject": "Nightingale", "classification": grade},
    )
    assert status == 201
    more = {"file_id": file["file_id"]}
    remarks = {"remarks": "Nightingale remarks"}
    await officer.act(
        "put-up", **AT_SO, **more, to_post="ITT-DS-ADMN", note="Nightingale", **remarks
    )
    await secretary.act("approve", "ITT-DS-ADMN", **more, **remarks)
    told = [event for event in await bridge.events() if event["data"].get("file")]
    assert [event_of(event).data.classification for event in told[-3:]] == [grade] * 3
    assert "Nightingale" not in repr(told)
    assert "Nightingale" not in repr(await bridge.file(file["file_id"]))


async def test_events_are_pushed_signed_in_order_and_again_until_they_are_taken(
    desktop: Any, clock: Any, receiver: Any, eventually: Any
) -> None:
    receiver.answers = [(503, {}), (429, {"Retry-After": "0"}), (401, {}), (202, {}), (400, {})]
    settings = desktop.settings(
        webhook_url=receiver.url,
        webhook_secret_file="webhook.secret",
        webhook_longest_pause_seconds=0.25,
    )
    async with serving(Settings.load(settings), clock):
        await eventually(lambda: len(receiver.taken) == 4, within_s=20, what="four events")
    assert [event.sequence_no for event in receiver.taken] == [1, 3, 4, 5]
    assert len(receiver.seen) == 8
    assert len(set(receiver.seen[:4])) == 1


async def test_events_wait_for_a_bridge_that_is_away_and_survive_a_restart(
    desktop: Any, clock: Any, receiver: Any, eventually: Any
) -> None:
    away = desktop.settings(
        webhook_url="http://127.0.0.1:9/eoffice/events", webhook_secret_file="webhook.secret"
    )
    async with serving(Settings.load(away), clock) as office:
        async with aiohttp.ClientSession() as http, http.get(f"{office.url}/health") as response:
            health = await response.json()
        assert health == {"status": "ok", "events_waiting": 5}
    back = desktop.settings(webhook_url=receiver.url, webhook_secret_file="webhook.secret")
    async with serving(Settings.load(back), clock):
        await eventually(lambda: len(receiver.taken) == 5, what="five events")
    assert [event.sequence_no for event in receiver.taken] == [1, 2, 3, 4, 5]


async def test_a_new_event_is_a_reason_to_try_again_at_once(
    desktop: Any, clock: Any, receiver: Any, eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(push, "FIRST_PAUSE_SECONDS", 25)
    receiver.answers = [(503, {})]
    settings = desktop.settings(
        webhook_url=receiver.url, webhook_secret_file="webhook.secret", heartbeat_seconds=1
    )
    async with serving(Settings.load(settings), clock):
        await eventually(lambda: len(receiver.taken) >= 6, what="every event")


async def test_a_heartbeat_tells_how_far_the_source_is(
    desktop: Any, clock: Any, receiver: Any, eventually: Any
) -> None:
    settings = desktop.settings(
        webhook_url=receiver.url, webhook_secret_file="webhook.secret", heartbeat_seconds=1
    )
    async with serving(Settings.load(settings), clock):
        await eventually(lambda: len(receiver.taken) >= 6, what="a heartbeat")
    beat = receiver.taken[5]
    assert (beat.type, beat.subject) == ("eoffice.source.heartbeat.v1", "source/ITT")
    assert beat.data.source is not None
    assert int(beat.data.source.last_sequence or 0) == 5


async def test_a_file_goes_up_comes_to_chat_and_is_decided_once(
    *,
    desktop: Any,
    clock: Any,
    receiver: Any,
    http: aiohttp.ClientSession,
    command_for: Any,
    eventually: Any,
) -> None:
    """The whole story, every part over real HTTP: page, push, command, push."""
    settings = desktop.settings(webhook_url=receiver.url, webhook_secret_file="webhook.secret")
    async with serving(Settings.load(settings), clock) as office:
        sign_in = {"person_id": "p-1", "password": "p-1-has-a-password"}
        async with http.post(f"{office.url}/api/session", json=sign_in) as response:
            token = (await response.json())["token"]
        act = {**AT_SO, "to_post": "ITT-DS-ADMN", "note": "For approval.", "remarks": "Please."}
        async with http.post(
            f"{office.url}/api/files/{FILE}/put-up",
            json=act,
            headers={"Authorization": f"Bearer {token}"},
        ) as response:
            assert response.status == 200
        await eventually(lambda: len(receiver.taken) == 6, what="the card's event")
        card = receiver.taken[-1]
        assert (card.kind, card.file_id) == ("eoffice.file.marked.v1", FILE)
        movement = card.data.movement
        command = command_for(
            "approve",
            event_id=card.id,
            movement_no=movement.movement_no,
            post_id=movement.to[0].post_id,
        )
        body, key = command.to_bytes(), command.command_id
        for expected in (None, "true"):
            headers = sign(key, body, desktop.command_secrets, clock())
            headers["Idempotency-Key"] = key
            async with http.post(f"{office.url}/commands", data=body, headers=headers) as response:
                answer = await response.json()
                assert response.status == 200
                assert response.headers.get("Idempotent-Replayed") == expected
        assert (answer["outcome"], answer["note_para"], answer["movement_no"]) == ("approved", 3, 2)
        await eventually(lambda: len(receiver.taken) == 7, what="the decision's event")
        decided = receiver.taken[-1].data
        assert (decided.decision.outcome, decided.movement.to[0].post_id) == (
            "approved",
            "ITT-SO-ADMN2",
        )
