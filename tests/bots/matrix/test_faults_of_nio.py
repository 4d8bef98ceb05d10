"""The faults B1-B12 of nio 0.26: each is shown on plain nio first, then that ours holds.

B11, the limited timeline, needs a real homeserver: `test_receiving_on_synapse.py`.
"""

import base64
import sqlite3
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import vodozemac
from nio import AsyncClient, AsyncClientConfig, KeysQueryResponse, RoomMessageText, SyncResponse
from nio.crypto import Olm, OlmDevice
from nio.events import ToDeviceEvent
from nio.store import SqliteStore
from sqlalchemy import Connection

from rabta_bots.matrix import MatrixError, tables

Make = Callable[..., Any]

ROOM = "!room:itt.gov.test"
KEY = "A" * 43


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Olm]:
    """Give the Olm machine of nio on the store of nio."""
    store = SqliteStore("@bridge:itt.gov.test", "RABTADEVICE", str(tmp_path), "k" * 43)
    yield Olm("@bridge:itt.gov.test", "RABTADEVICE", store)
    store.database.close()


def _letter(curve25519: str, **changes: Any) -> dict[str, Any]:
    content = {
        "algorithm": "m.olm.v1.curve25519-aes-sha2",
        "sender_key": KEY,
        "ciphertext": {curve25519: {"type": 0, "body": "AAAA"}},
    }
    return {
        "type": "m.room.encrypted",
        "sender": "@evil:itt.gov.test",
        "content": content | changes,
    }


def _pre_key(to: str, sender_key: str | None = None) -> dict[str, Any]:
    """A well-formed pre-key message that uses a one-time key nobody made."""
    account, nobody = vodozemac.Account(), vodozemac.Curve25519SecretKey().public_key()
    session = account.create_outbound_session(vodozemac.Curve25519PublicKey.from_base64(to), nobody)
    number, body = session.encrypt(b"{}").to_parts()
    sealed = {to: {"type": number, "body": base64.b64encode(body).decode().rstrip("=")}}
    key = sender_key or account.curve25519_key.to_base64()
    return _letter(to, sender_key=key, ciphertext=sealed)


def _hostile(curve25519: str) -> dict[str, dict[str, Any]]:
    return {
        "B1": _letter(curve25519),
        "B2": _pre_key(curve25519),
        "B3": _pre_key(curve25519, "not a key"),
    }


@pytest.mark.parametrize("fault", ["B1", "B2", "B3"])
def test_one_malformed_letter_from_anybody_kills_plain_nio(plain: Olm, fault: str) -> None:
    letter = _hostile(plain.account.identity_keys["curve25519"])[fault]
    with pytest.raises(ValueError):
        plain.handle_to_device_event(ToDeviceEvent.parse_event(letter))


async def test_malformed_letters_are_dropped_and_the_key_beside_them_is_taken(
    parts: Make, phone: Make
) -> None:
    ours, person = await parts(), phone()
    account = ours.state.machine.account
    with ours.state.transaction():
        account.generate_one_time_keys(1)
        ours.state.machine.save_account()
    (one_time_key,) = account.one_time_keys["curve25519"].values()
    curve = account.identity_keys["curve25519"]
    bad: list[Any] = list(_hostile(curve).values())
    bad += [_letter(curve, ciphertext=[]), _letter(curve, ciphertext={curve: {"type": 9}})]
    bad += [{"type": "m.room.encrypted"}, {"type": "m.room.encrypted", "content": 7}]
    good = person.letter(ours, one_time_key, "m.room_key", person.room_key(ROOM))
    message = person.message(ROOM, "$1", "approve")
    sync = {
        "next_batch": "s1",
        "to_device": {"events": [*bad, good, *bad]},
        "rooms": {"join": {ROOM: {"timeline": {"events": [message]}}}},
    }
    await ours.receiving.apply(sync, {})
    assert [one.content["body"] for one in ours.inbox.received(10)] == []
    ours.store.clock.forward(timedelta(minutes=1))
    assert [one.content["body"] for one in ours.inbox.received(10)] == ["approve"]


@pytest.mark.parametrize("depth", [50, 5_000, 200_000])
async def test_json_nested_without_end_in_a_letter_breaks_nothing(
    parts: Make, phone: Make, depth: int
) -> None:
    ours, person = await parts(), phone()
    account = ours.state.machine.account
    with ours.state.transaction():
        account.generate_one_time_keys(1)
        ours.state.machine.save_account()
    (one_time_key,) = account.one_time_keys["curve25519"].values()
    good = person.letter(ours, one_time_key, "m.room_key", person.room_key(ROOM))
    deep = '{"type":"m.room.message","room_id":"' + ROOM + '","content":{"a":'
    deep += "[" * depth + "]" * depth + "}}"
    event = person.message(ROOM, "$1", "")
    event["content"]["ciphertext"] = person.group.encrypt(deep.encode()).to_base64()
    after = person.message(ROOM, "$2", "approve")
    timeline = {"timeline": {"events": [event, after]}}
    sync = {"to_device": {"events": [good]}, "rooms": {"join": {ROOM: timeline}}}
    await ours.receiving.apply(sync | {"next_batch": "s1"}, {})
    assert "$2" in [row.event_id for row in ours.rows(tables.received)]
    assert ours.rows(tables.account)[0].sync_token == "s1"


def _keys_query_with_one_bad_device(good: Any) -> dict[str, Any]:
    bad_user = "@evil:itt.gov.test"
    bad = {
        "user_id": bad_user,
        "device_id": "EVIL",
        "algorithms": [],
        "keys": {"ed25519:EVIL": "not a key", "curve25519:EVIL": KEY},
        "signatures": {bad_user: {"ed25519:EVIL": "A" * 86}},
    }
    answer: dict[str, Any] = good.query
    answer["device_keys"] = {bad_user: {"EVIL": bad}, **answer["device_keys"]}
    return answer


def test_b4_one_malformed_device_key_ends_the_key_query_of_plain_nio(
    plain: Olm, phone: Make
) -> None:
    answer = KeysQueryResponse.from_dict(_keys_query_with_one_bad_device(phone()))
    with pytest.raises(ValueError):
        plain.handle_response(answer)
    assert not plain.device_store["@officer:itt.gov.test"]


async def test_b4_one_malformed_device_key_keeps_nobody_else_from_being_known(
    parts: Make, phone: Make, scripted: Any
) -> None:
    ours, person = await parts(), phone()
    scripted.answers["keys/query"] = lambda *_: (200, _keys_query_with_one_bad_device(person))
    await ours.trust.refresh(["@evil:itt.gov.test", person.user_id])
    (known,) = ours.trust.devices(person.user_id)
    assert ours.trust.standing(known) == "signed"
    assert ours.trust.devices("@evil:itt.gov.test") == []


def test_b5_plain_nio_reads_no_one_time_keys_left_as_no_news(tmp_path: Path) -> None:
    config = AsyncClientConfig(store=SqliteStore, pickle_key="k" * 43)
    client = AsyncClient(
        "http://127.0.0.1", "@b:itt.gov.test", "D", store_path=str(tmp_path), config=config
    )
    client.restore_login("@b:itt.gov.test", "D", "token")
    assert client.olm is not None
    client.olm.account.shared = True
    counts = SyncResponse.from_dict(
        {"next_batch": "s", "device_one_time_keys_count": {"signed_curve25519": 0}}
    )
    client._handle_olm_events(counts)
    assert not client.should_upload_keys
    client.store.database.close()


@pytest.mark.parametrize("counts", [{"signed_curve25519": 0}, {}, None])
async def test_b5_when_none_or_no_count_is_told_fifty_keys_are_uploaded(
    parts: Make, scripted: Any, counts: Any
) -> None:
    ours = await parts()
    await ours.upkeep.publish()
    scripted.calls.clear()
    await ours.upkeep.publish(
        {
            "device_one_time_keys_count": counts,
            "device_unused_fallback_key_types": ["signed_curve25519"],
        }
    )
    ((_, body),) = scripted.asked("keys/upload")
    assert len(body["one_time_keys"]) == 50
    assert "fallback_keys" not in body


def _stored_keys(path: Path) -> int:
    with sqlite3.connect(path) as connection:
        (pickle,) = connection.execute("select account from accounts").fetchone()
    from nio.crypto import OlmAccount

    return len(OlmAccount.from_pickle(pickle, "k" * 43).one_time_keys["curve25519"])


def test_b6_plain_nio_offers_keys_whose_private_halves_are_not_saved(
    plain: Olm, tmp_path: Path
) -> None:
    assert len(plain.share_keys()["one_time_keys"]) == 50
    (database,) = tmp_path.glob("*.db")
    assert _stored_keys(database) == 0


async def test_b6_keys_are_in_the_database_when_the_server_first_hears_of_them(
    parts: Make, scripted: Any
) -> None:
    ours = await parts()
    saved: list[set[str]] = []

    def upload(_path: str, body: Any) -> tuple[int, Any]:
        account = ours.store.load_account()
        saved.append(
            {f"signed_curve25519:{one}" for one in account.one_time_keys["curve25519"]}
            - set(body["one_time_keys"])
        )
        return (500, {}) if len(saved) == 1 else (200, {})

    scripted.answers["keys/upload"] = upload
    with pytest.raises(MatrixError):
        await ours.upkeep.publish()
    # The answer was lost: after a restart the very same keys are offered again.
    again = await parts()
    await again.upkeep.publish()
    (_, first), (_, second) = scripted.asked("keys/upload")
    assert first == second
    assert saved == [set(), set()]


def _letters(person: Any, account: Any, keys: Any) -> Any:
    (one_time_key,) = account.one_time_keys["curve25519"].values()

    class To:
        user_id = "@bridge:itt.gov.test"

        class state:  # noqa: N801 - stands where the client under test has its state
            class machine:  # noqa: N801 - as above
                account = keys

    return person.letter(To, one_time_key, "m.dummy", {})


def test_b7_plain_nio_finds_a_used_one_time_key_unused_after_a_restart(
    plain: Olm, phone: Make
) -> None:
    plain.account.generate_one_time_keys(1)
    plain.save_account()
    letter = _letters(phone(), plain.account, plain.account)
    assert plain.handle_to_device_event(ToDeviceEvent.parse_event(letter)) is not None
    assert plain.store.load_account().one_time_keys["curve25519"]


async def test_b7_a_used_one_time_key_is_gone_after_a_restart(parts: Make, phone: Make) -> None:
    ours = await parts()
    account = ours.state.machine.account
    with ours.state.transaction():
        account.generate_one_time_keys(1)
        ours.state.machine.save_account()
    letter = _letters(phone(), account, account)
    await ours.receiving.apply({"next_batch": "s1", "to_device": {"events": [letter]}}, {})
    assert (await parts()).state.machine.account.one_time_keys["curve25519"] == {}
    assert len((await parts()).rows(tables.olm_session)) == 1


def _sync_with_a_clear_message() -> dict[str, Any]:
    message = {
        "type": "m.room.message",
        "event_id": "$1",
        "sender": "@officer:itt.gov.test",
        "origin_server_ts": 1,
        "content": {"msgtype": "m.text", "body": "approve"},
    }
    room = {
        "state": {"events": []},
        "timeline": {"events": [message], "limited": False, "prev_batch": "p"},
        "ephemeral": {"events": []},
        "account_data": {"events": []},
    }
    rooms = {"join": {ROOM: room}, "invite": {}, "leave": {}}
    return {"next_batch": "s1", "rooms": rooms}


async def test_b8_b12_plain_nio_moves_on_before_a_callback_has_the_command(
    tmp_path: Path,
) -> None:
    config = AsyncClientConfig(store=SqliteStore, pickle_key="k" * 43, store_sync_tokens=True)
    client = AsyncClient(
        "http://127.0.0.1", "@b:itt.gov.test", "D", store_path=str(tmp_path), config=config
    )
    client.restore_login("@b:itt.gov.test", "D", "token")

    def crash(*_: Any) -> None:
        raise RuntimeError("power cut")

    client.add_event_callback(crash, RoomMessageText)
    with pytest.raises(RuntimeError):
        await client.receive_response(SyncResponse.from_dict(_sync_with_a_clear_message()))
    assert client.store.load_sync_token() == "s1"
    client.store.database.close()


async def test_b8_a_crash_before_the_commit_leaves_nothing_and_the_replay_gives_one_row(
    parts: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = await parts()

    def crash(_store: Any, _connection: Connection) -> None:
        raise RuntimeError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(type(ours.store), "_flush", crash)
        with pytest.raises(RuntimeError):
            await ours.receiving.apply(_sync_with_a_clear_message(), {})
    assert ours.rows(tables.received) == []
    assert ours.rows(tables.account)[0].sync_token is None
    again = await parts()
    for _ in range(2):
        await again.receiving.apply(_sync_with_a_clear_message(), {})
        assert len(ours.rows(tables.received)) == 1
    assert ours.rows(tables.account)[0].sync_token == "s1"


def _room(*members: str, **encryption: Any) -> list[dict[str, Any]]:
    content = {"algorithm": "m.megolm.v1.aes-sha2"} | encryption
    return [
        {"type": "m.room.encryption", "state_key": "", "content": content},
        *(
            {"type": "m.room.member", "state_key": user, "content": {"membership": "join"}}
            for user in members
        ),
    ]


def _script_room(scripted: Any, person: Any) -> None:
    scripted.answers["keys/query"] = lambda *_: (200, person.query)
    scripted.answers["keys/claim"] = lambda *_: (
        200,
        {"one_time_keys": {person.user_id: {person.device_id: person.one_time_key()}}},
    )
    members = _room("@bridge:itt.gov.test", person.user_id)
    scripted.answers["/state"] = lambda *_: (200, members)
    scripted.answers["/send/"] = lambda *_: (200, {"event_id": "$sent"})


async def test_b9_nothing_is_sent_while_a_key_did_not_go_out_and_the_key_goes_out_unchanged(
    parts: Make, phone: Make, scripted: Any
) -> None:
    ours, person = await parts(), phone()
    _script_room(scripted, person)
    scripted.answers["sendToDevice"] = lambda *_: (500, {})
    with pytest.raises(MatrixError) as failed:
        await ours.sending.send(ROOM, {}, txn_id="rb-1", event_type="m.room.message")
    assert (failed.value.permanent, scripted.asked("/send/")) == (False, [])
    # After a restart, too.
    scripted.answers["sendToDevice"] = lambda *_: (200, {})
    again = await parts()
    sent = await again.sending.send(ROOM, {}, txn_id="rb-1", event_type="m.room.message")
    first, second = scripted.asked("sendToDevice")
    assert (sent, first) == ("$sent", second)


def test_b10_plain_nio_gives_no_key_to_somebody_whose_device_is_called_as_ours(
    plain: Olm,
) -> None:
    keys = {"ed25519": KEY, "curve25519": KEY}
    plain.device_store.add(OlmDevice("@officer:itt.gov.test", plain.device_id, keys))
    assert plain.get_missing_sessions(["@officer:itt.gov.test"]) == {}


async def test_b10_a_device_called_as_ours_gets_its_key(
    parts: Make, phone: Make, scripted: Any
) -> None:
    ours = await parts()
    person = phone(device_id=ours.device_id)
    _script_room(scripted, person)
    await ours.sending.send(ROOM, {}, txn_id="rb-1", event_type="m.room.message")
    ((_, body),) = scripted.asked("sendToDevice")
    assert list(body["messages"][person.user_id]) == [ours.device_id]
