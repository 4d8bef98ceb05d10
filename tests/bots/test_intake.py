"""The door for events over real HTTP with real signatures: every bad input gets its status."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from events import Telling
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ministry import NOW, OTHER_SECRET, SECRET, Ministry, Running, running, secret_file
from sqlalchemy import func, select

from rabta_bots.store.tables import audit, events
from rabta_contract import Event, SigningSecrets, event_bytes, sign

EXAMPLES = Path(__file__).parents[1] / "eoffice/examples"


def stored(bridge: Running) -> list[str]:
    """Ids of the events in the store."""
    with bridge.engine.begin() as connection:
        return list(connection.execute(select(events.c.event_id)).scalars())


def everything_stored(bridge: Running) -> str:
    """Every row of every table as text."""
    with bridge.engine.begin() as connection:
        tables = [
            connection.execute(select(table)).all() for table in events.metadata.sorted_tables
        ]
    return repr(tables)


async def test_what_is_answered_202_is_in_the_store_and_a_repeat_is_answered_200(
    any_ministry: Ministry, telling: Telling
) -> None:
    async with running(any_ministry) as bridge:
        event = telling.charge("ITT-DS-ADMN", "p-2")
        assert (await bridge.deliver(event))[0] == 202
        assert stored(bridge) == [event.id]
        assert (await bridge.deliver(event))[:2] == (200, {"stored": 0})
        # The same event under another delivery id is the same event.
        assert (await bridge.deliver(event, webhook_id="another"))[0] == 200
        assert stored(bridge) == [event.id]


async def test_the_address_of_the_bridge_without_a_path_is_the_same_door(
    any_ministry: Ministry, telling: Telling
) -> None:
    async with running(any_ministry) as bridge:
        event = telling.charge("ITT-DS-ADMN", "p-2")
        assert (await bridge.deliver(event, path="/"))[0] == 202
        assert (await bridge.deliver(event))[0] == 200


async def test_an_id_that_comes_again_with_another_content_is_refused(
    any_ministry: Ministry, telling: Telling
) -> None:
    async with running(any_ministry) as bridge:
        event = telling.charge("ITT-DS-ADMN", "p-2")
        await bridge.deliver(event)
        other = event.model_copy(update={"subject": "post/OTHER"})
        status, body, _ = await bridge.deliver(other)
        assert (status, body["reason"]) == (409, "id-reused")
        status, body, _ = await bridge.deliver(other, webhook_id="fresh")
        assert (status, body["reason"]) == (409, "id-reused")


async def test_a_batch_is_stored_whole_or_not_at_all(
    any_ministry: Ministry, telling: Telling
) -> None:
    async with running(any_ministry) as bridge:
        charge, good = telling.charge("ITT-DS-ADMN", "p-2"), telling.marked()
        stranger = telling.marked("ITT-JS")
        status, body, _ = await bridge.deliver(charge, good, stranger, webhook_id="b-1")
        assert (status, body["reason"]) == (400, "unknown-post")
        assert stored(bridge) == []
        status, body, _ = await bridge.deliver(charge, good, webhook_id="b-2")
        assert (status, body) == (202, {"stored": 2})
        # Half known, half new: only the new one is added.
        newer = telling.charge("ITT-JS", "p-3", "look_after")
        status, body, _ = await bridge.deliver(good, newer, webhook_id="b-3")
        assert (status, body) == (202, {"stored": 1})


def faulty(event: Event) -> dict[str, tuple[int, str, dict[str, Any]]]:
    """Bad deliveries by name: expected status, expected reason, how to deliver."""
    document = event.document()
    raw = event_bytes(event)

    def body(**changes: Any) -> dict[str, Any]:
        return {"body": json.dumps(document | changes).encode()}

    secret = document["data"] | {"classification": "SECRET"}
    return {
        "a wrong secret": (401, "bad-signature", {"secret": OTHER_SECRET}),
        "no JSON": (400, "malformed-json", {"body": b"{"}),
        "a list where one event was said": (400, "schema", {"body": b"[]"}),
        "a key twice": (400, "malformed-json", {"body": b'{"id":"1","id":"2"}'}),
        "no type": (400, "schema", {"body": json.dumps({"id": "1"}).encode()}),
        "an unknown grade": (
            400,
            "schema",
            body(data=document["data"] | {"classification": "SECRETISH"}),
        ),
        "SECRET with a subject": (400, "schema", body(data=secret)),
        "a foreign source": (400, "unknown-source", body(source="/eoffice/FIN")),
        "an unknown post": (400, "unknown-post", {"body": raw}),
        "another media type": (415, "media-type", {"media_type": "application/json"}),
        "a content encoding": (415, "media-type", {"headers": {"Content-Encoding": "gzip"}}),
        "too large a body": (413, "too-large", {"body": b" " * 100_000}),
        "a number too large": (400, "schema", body(sequence="9" * 20)),
    }


@pytest.mark.parametrize("name", list(faulty(Telling().marked())))
async def test_a_bad_delivery_gets_its_status_and_reason_and_leaves_nothing(
    ministry: Ministry, telling: Telling, name: str
) -> None:
    async with running(ministry) as bridge:
        event = telling.marked()
        status, reason, how = faulty(event)[name]
        answered, body, _ = await bridge.deliver(event, **how)
        assert (answered, body["reason"]) == (status, reason)
        assert set(body) == {"reason", "detail"}
        assert "\n" not in body["detail"]
        assert "Procurement" not in body["detail"]
        assert stored(bridge) == []


async def test_a_body_changed_on_the_way_is_refused(ministry: Ministry, telling: Telling) -> None:
    async with running(ministry) as bridge:
        event = telling.charge("ITT-DS-ADMN", "p-2")
        altered = event_bytes(event).replace(b"p-2", b"p-9")
        signed_for = {"webhook-signature": "v1," + "A" * 43 + "="}
        status, body, _ = await bridge.deliver(event, body=altered, headers=signed_for)
        assert (status, body["reason"]) == (401, "bad-signature")
        assert stored(bridge) == []


@pytest.mark.parametrize("minutes", [-6, 6])
async def test_a_delivery_from_another_time_is_refused(
    ministry: Ministry, telling: Telling, minutes: int
) -> None:
    async with running(ministry) as bridge:
        then = str(int((NOW + timedelta(minutes=minutes)).timestamp()))
        event = telling.charge("ITT-DS-ADMN", "p-2")
        bridge.hands.now = NOW + timedelta(minutes=minutes)
        headers = sign(event.id, event_bytes(event), SigningSecrets.parse(SECRET), bridge.hands())
        assert headers["webhook-timestamp"] == then
        bridge.hands.now = NOW
        status, body, _ = await bridge.deliver(event, headers=headers)
        assert (status, body["reason"]) == (401, "stale-timestamp")


async def test_two_secrets_are_live_while_one_is_replaced(
    ministry: Ministry, telling: Telling
) -> None:
    secret_file(ministry.home / "newer.secret", OTHER_SECRET)
    both = [str(ministry.home / "newer.secret"), str(ministry.home / "webhook.secret")]
    async with running(ministry, webhook_secret_files=both) as bridge:
        first, second = telling.charge("ITT-DS-ADMN", "p-2"), telling.charge("ITT-JS", "p-3")
        assert (await bridge.deliver(first, secret=SECRET))[0] == 202
        assert (await bridge.deliver(second, secret=OTHER_SECRET))[0] == 202


async def test_a_sequence_that_is_closed_or_taken_is_refused(
    any_ministry: Ministry, telling: Telling
) -> None:
    async with running(any_ministry) as bridge:
        for person in ("p-1", "p-2", "p-3"):
            assert (await bridge.deliver(telling.charge("ITT-DS-ADMN", person)))[0] == 202
        late = Telling(start=2).charge("ITT-DS-ADMN", "p-2")
        late = late.model_copy(update={"id": "01LATE"})
        status, body, _ = await bridge.deliver(late)
        assert (status, body["reason"]) == (409, "closed-sequence")
        with bridge.engine.begin() as connection:
            reasons = connection.execute(
                select(audit.c.reason).where(audit.c.what == "event-refused")
            )
            assert list(reasons.scalars()) == ["closed-sequence"]


async def test_a_sender_that_is_too_fast_is_asked_to_wait(
    ministry: Ministry, telling: Telling
) -> None:
    async with running(ministry, intake={"max_waiting": 1, "gap_wait_seconds": 3600}) as bridge:
        telling.charge("ITT-DS-ADMN", "p-2")  # never sent: what follows waits for it
        assert (await bridge.deliver(telling.charge("ITT-DS-ADMN", "p-2")))[0] == 202
        status, body, headers = await bridge.deliver(telling.charge("ITT-JS", "p-3"))
        assert (status, body["reason"]) == (429, "busy")
        assert int(headers["Retry-After"]) > 0


async def test_what_a_class_does_not_allow_is_in_no_table_no_file_and_no_metric(
    any_ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    async with running(any_ministry) as bridge:
        await bridge.deliver(telling.charge("ITT-DS-ADMN", "p-2"))
        await bridge.deliver(
            telling.marked(
                grade="CONFIDENTIAL",
                subject="The matter of Zafarwal",
                remarks="About Zafarwal.",
                surplus="Zafarwal",
            )
        )
        card = (await eventually(bridge.chat.cards))[0]
        assert "Zafarwal" not in repr(card)
        assert "F.No.1(5)/2026-Admn-II" in card.body
        assert "You can reply" not in card.body
        assert bridge.chat.classes[card.room_id] == "confidential"
        assert "Zafarwal" not in everything_stored(bridge)
        async with bridge.session.get(f"{bridge.url}/metrics") as answer:
            text = await answer.text()
        assert "Zafarwal" not in text
        assert 'rabta_bridge_events_total{via="push"} 2.0' in text
    for file in any_ministry.home.glob("bridge.db*"):
        assert b"Zafarwal" not in file.read_bytes()


async def test_a_secret_item_is_a_notice_with_a_reference_and_nothing_else(
    any_ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    async with running(any_ministry) as bridge:
        await bridge.deliver(telling.charge("ITT-DS-ADMN", "p-2"))
        notice = telling.notice()
        assert (await bridge.deliver(notice))[0] == 202
        card = (await eventually(bridge.chat.cards))[0]
        assert card.body == (
            "A classified item waits for you in e-Office. "
            f"Reference: \u2068{notice.id}\u2069\nFor: \u2068Deputy Secretary (Admn)\u2069"
        )
        assert "F.No." not in everything_stored(bridge)
        said = bridge.chat.write(
            "@bilal:itt.gov.test", card.room_id, "approve", reply_to=card.event_id
        )
        answer = await eventually(lambda: bridge.chat.answer_to(said))
        assert "[grade-not-from-chat]" in answer.body


async def test_a_top_secret_item_is_audited_and_shown_nowhere(
    ministry: Ministry, telling: Telling, eventually: Any
) -> None:
    async with running(ministry) as bridge:
        await bridge.deliver(telling.charge("ITT-DS-ADMN", "p-2"))
        event = telling.marked(grade="TOP_SECRET", subject=None, remarks=None)
        assert (await bridge.deliver(event))[0] == 202

        def audited() -> list[Any]:
            with bridge.engine.begin() as connection:
                rows = connection.execute(select(audit).where(audit.c.what == "not-bridged"))
                return list(rows.all())

        rows = await eventually(audited)
        assert [(row.event_id, row.reason) for row in rows] == [(event.id, "grade-not-bridged")]
        assert bridge.chat.cards() == []


async def test_many_deliveries_at_once_store_each_event_once(
    any_ministry: Ministry, telling: Telling
) -> None:
    async with running(any_ministry) as bridge:
        told = [telling.charge("ITT-DS-ADMN", f"p-{number}") for number in range(10)]
        answers = await asyncio.gather(*(bridge.deliver(event) for event in told * 3))
        assert {answer[0] for answer in answers} <= {200, 202, 503}
        with bridge.engine.begin() as connection:
            count = connection.execute(select(func.count()).select_from(events)).scalar()
        assert count == 10


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    body=st.binary(max_size=400)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner),
        max_leaves=12,
    ).map(lambda value: json.dumps(value).encode())
)
async def test_no_body_at_all_brings_the_door_down(fuzzed: Running, body: bytes) -> None:
    for media_type in ("application/cloudevents+json", "application/cloudevents-batch+json"):
        status, answer, _ = await fuzzed.deliver(
            body=body, webhook_id="wh-fuzz", media_type=media_type
        )
        assert status in {200, 400, 401}, answer
    assert stored(fuzzed) == []


@pytest.fixture
async def fuzzed(ministry: Ministry) -> Any:
    """One bridge for all bodies."""
    async with running(ministry) as bridge:
        yield bridge
