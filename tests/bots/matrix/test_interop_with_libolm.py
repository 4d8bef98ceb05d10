"""libolm reads what we write and we read what libolm writes: Olm and Megolm, no server between."""

import json
from collections.abc import Callable
from typing import Any

import olm
import pytest
from canonicaljson import encode_canonical_json

Make = Callable[..., Any]
ROOM = "!room:itt.gov.test"


class Person:
    """A device on libolm alone, with an identity made by libolm's PkSigning."""

    user_id, device_id = "@officer:itt.gov.test", "LIBOLM"

    def __init__(self) -> None:
        self.account = olm.Account()
        self.account.generate_one_time_keys(5)
        self.master = olm.PkSigning(olm.PkSigning.generate_seed())
        self.signer = olm.PkSigning(olm.PkSigning.generate_seed())

    def one_time_key(self) -> dict[str, Any]:
        key_id, key = next(iter(self.account.one_time_keys["curve25519"].items()))
        return {f"signed_curve25519:{key_id}": self._signed({"key": key})}

    def _signed(self, value: dict[str, Any]) -> dict[str, Any]:
        signature = self.account.sign(encode_canonical_json(value).decode())
        return {**value, "signatures": {self.user_id: {f"ed25519:{self.device_id}": signature}}}

    @property
    def query(self) -> dict[str, Any]:
        user, master, signer = self.user_id, self.master.public_key, self.signer.public_key
        bare = {
            "user_id": user,
            "device_id": self.device_id,
            "algorithms": [],
            "keys": {
                f"{kind}:{self.device_id}": key for kind, key in self.account.identity_keys.items()
            },
        }
        device = self._signed(bare)
        signature = self.signer.sign(encode_canonical_json(bare).decode())
        device["signatures"][user][f"ed25519:{signer}"] = signature
        keys = {
            usage: {"user_id": user, "usage": [usage], "keys": {f"ed25519:{key}": key}}
            for usage, key in (("master", master), ("self_signing", signer))
        }
        signature = self.master.sign(encode_canonical_json(keys["self_signing"]).decode())
        keys["self_signing"]["signatures"] = {user: {f"ed25519:{master}": signature}}
        return {
            "device_keys": {user: {self.device_id: device}},
            "master_keys": {user: keys["master"]},
            "self_signing_keys": {user: keys["self_signing"]},
        }


@pytest.fixture
def person(scripted: Any) -> Person:
    one = Person()
    content = {"algorithm": "m.megolm.v1.aes-sha2"}
    state: list[dict[str, Any]] = [
        {"type": "m.room.encryption", "state_key": "", "content": content},
        {"type": "m.room.member", "state_key": one.user_id, "content": {"membership": "join"}},
    ]
    claimed = {"one_time_keys": {one.user_id: {one.device_id: one.one_time_key()}}}
    scripted.answers["keys/query"] = lambda *_: (200, one.query)
    scripted.answers["keys/claim"] = lambda *_: (200, claimed)
    scripted.answers["/state"] = lambda *_: (200, state)
    scripted.answers["/send/"] = lambda *_: (200, {"event_id": "$sent"})
    return one


async def test_libolm_reads_a_card_of_the_bridge(
    parts: Make, scripted: Any, person: Person
) -> None:
    ours = await parts()
    content = {"msgtype": "m.text", "body": "مسل ITT-1"}
    await ours.sending.send(ROOM, content, txn_id="rb-1", event_type="m.room.message")
    ((_, letter),) = scripted.asked("sendToDevice")
    sealed = letter["messages"][person.user_id][person.device_id]
    (cipher,) = sealed["ciphertext"].values()
    pre_key = olm.OlmPreKeyMessage(cipher["body"])
    session = olm.InboundSession(person.account, pre_key, sealed["sender_key"])
    payload = json.loads(session.decrypt(pre_key))
    assert (payload["type"], payload["recipient"]) == ("m.room_key", person.user_id)
    ((_, event),) = scripted.asked("/send/")
    room_session = olm.InboundGroupSession(payload["content"]["session_key"])
    plaintext, index = room_session.decrypt(event["ciphertext"])
    assert (json.loads(plaintext)["content"], index) == (content, 0)


async def test_the_bridge_reads_a_command_of_libolm(parts: Make, person: Person) -> None:
    ours = await parts()
    with ours.state.transaction():
        account = ours.state.machine.account
        account.generate_one_time_keys(1)
        ours.state.machine.save_account()
    keys = account.identity_keys
    (one_time_key,) = account.one_time_keys["curve25519"].values()
    session = olm.OutboundSession(person.account, keys["curve25519"], one_time_key)
    group = olm.OutboundGroupSession()
    payload = {
        "type": "m.room_key",
        "sender": person.user_id,
        "keys": {"ed25519": person.account.identity_keys["ed25519"]},
        "recipient": ours.user_id,
        "recipient_keys": {"ed25519": keys["ed25519"]},
        "content": {
            "algorithm": "m.megolm.v1.aes-sha2",
            "room_id": ROOM,
            "session_id": group.id,
            "session_key": group.session_key,
        },
    }
    message = session.encrypt(json.dumps(payload))
    letter = {
        "type": "m.room.encrypted",
        "sender": person.user_id,
        "content": {
            "algorithm": "m.olm.v1.curve25519-aes-sha2",
            "sender_key": person.account.identity_keys["curve25519"],
            "ciphertext": {
                keys["curve25519"]: {"type": message.message_type, "body": message.ciphertext}
            },
        },
    }
    inner = {"type": "m.room.message", "room_id": ROOM, "content": {"body": "منظور"}}
    event = {
        "type": "m.room.encrypted",
        "event_id": "$1",
        "sender": person.user_id,
        "content": {
            "algorithm": "m.megolm.v1.aes-sha2",
            "session_id": group.id,
            "ciphertext": group.encrypt(json.dumps(inner)),
        },
    }
    await ours.receiving.apply(
        {
            "next_batch": "s1",
            "to_device": {"events": [letter]},
            "rooms": {"join": {ROOM: {"timeline": {"events": [event]}}}},
        },
        {},
    )
    await ours.upkeep.refresh()
    (said,) = ours.inbox.received(10)
    assert (said.content["body"], said.device, said.device_id) == ("منظور", "signed", "LIBOLM")
