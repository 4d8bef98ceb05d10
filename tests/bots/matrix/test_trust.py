"""Whose a device is: every forged link of the chain is seen."""

import os
from collections.abc import Callable
from typing import Any

import pytest

from rabta_bots.matrix import MatrixError, SenderTrust
from rabta_bots.matrix.signing import SigningKey

Make = Callable[..., Any]
USER = "@officer:itt.gov.test"


async def _standing(ours: Any, scripted: Any, answer: dict[str, Any]) -> list[SenderTrust]:
    scripted.answers["keys/query"] = lambda *_: (200, answer)
    await ours.trust.refresh([USER])
    return [ours.trust.standing(device) for device in ours.trust.devices(USER)]


def _without_self_signing(person: Any) -> dict[str, Any]:
    return person.query | {"self_signing_keys": {}}


def _self_signing_not_signed(person: Any) -> dict[str, Any]:
    answer: dict[str, Any] = person.query
    answer["self_signing_keys"][USER]["signatures"] = {}
    return answer


def _self_signing_of_another_master(person: Any) -> dict[str, Any]:
    answer: dict[str, Any] = person.query
    key = answer["self_signing_keys"][USER]
    other = SigningKey(os.urandom(32))
    bare = {name: value for name, value in key.items() if name != "signatures"}
    key["signatures"] = {USER: {person.master.key_id: other.sign(bare)}}
    return answer


def _device_not_signed(person: Any) -> dict[str, Any]:
    answer: dict[str, Any] = person.query
    del answer["device_keys"][USER]["PHONE"]["signatures"][USER][person.signer.key_id]
    return answer


def _device_signed_by_the_master_only(person: Any) -> dict[str, Any]:
    answer = _device_not_signed(person)
    device = answer["device_keys"][USER]["PHONE"]
    bare = {name: value for name, value in device.items() if name != "signatures"}
    device["signatures"][USER][person.master.key_id] = person.master.sign(bare)
    return answer


def _signing_key_called_master(person: Any) -> dict[str, Any]:
    answer: dict[str, Any] = person.query
    answer["self_signing_keys"][USER] = answer["master_keys"][USER]
    return answer


async def test_a_device_is_signed_when_the_whole_chain_holds(
    parts: Make, phone: Make, scripted: Any
) -> None:
    assert await _standing(await parts(), scripted, phone(USER).query) == [SenderTrust.SIGNED]


@pytest.mark.parametrize(
    "forge",
    [
        _without_self_signing,
        _self_signing_not_signed,
        _self_signing_of_another_master,
        _device_not_signed,
        _device_signed_by_the_master_only,
        _signing_key_called_master,
    ],
)
async def test_a_device_is_unsigned_when_any_link_is_missing_or_forged(
    parts: Make, phone: Make, scripted: Any, forge: Make
) -> None:
    answer = forge(phone(USER))
    assert await _standing(await parts(), scripted, answer) == [SenderTrust.UNSIGNED]


async def test_a_device_whose_own_signature_does_not_hold_is_no_device(
    parts: Make, phone: Make, scripted: Any
) -> None:
    answer = phone(USER).query
    answer["device_keys"][USER]["PHONE"]["algorithms"] = ["something else"]
    assert await _standing(await parts(), scripted, answer) == []


async def test_a_server_that_serves_another_identity_changes_nothing_that_was_pinned(
    parts: Make, phone: Make, scripted: Any
) -> None:
    ours, person, forged = await parts(), phone(USER), phone(USER, "FORGED")
    assert await _standing(ours, scripted, person.query) == [SenderTrust.SIGNED]
    assert await _standing(ours, scripted, forged.query) == [SenderTrust.CHANGED_IDENTITY]
    assert ours.trust.changed_identities() == [USER]
    # Also after a restart; and when the old identity is shown again, all is as before.
    again = await parts()
    assert again.trust.changed_identities() == [USER]
    assert await _standing(again, scripted, person.query) == [SenderTrust.SIGNED]
    assert again.trust.changed_identities() == []


async def test_an_acknowledged_identity_is_the_pinned_one_from_then_on(
    parts: Make, phone: Make, scripted: Any
) -> None:
    ours, person, new = await parts(), phone(USER), phone(USER, "NEW")
    await _standing(ours, scripted, person.query)
    await _standing(ours, scripted, new.query)
    ours.trust.acknowledge(USER)
    assert [ours.trust.standing(one) for one in ours.trust.devices(USER)] == [SenderTrust.SIGNED]
    assert await _standing(await parts(), scripted, new.query) == [SenderTrust.SIGNED]
    with pytest.raises(MatrixError) as failed:
        ours.trust.acknowledge("@nobody:itt.gov.test")
    assert failed.value.reason == "no-identity"


async def test_other_keys_under_a_known_device_id_are_not_taken(
    parts: Make, phone: Make, scripted: Any
) -> None:
    ours, person = await parts(), phone(USER)
    await _standing(ours, scripted, person.query)
    other = phone(USER)
    other.master, other.signer = person.master, person.signer
    await _standing(ours, scripted, other.query)
    (device,) = ours.trust.devices(USER)
    assert device.curve25519 == person.curve


async def test_a_device_that_is_gone_may_not_be_written_to_and_is_still_known_as_sender(
    parts: Make, phone: Make, scripted: Any
) -> None:
    ours, person = await parts(), phone(USER)
    await _standing(ours, scripted, person.query)
    gone = person.query | {"device_keys": {USER: {}}}
    assert await _standing(ours, scripted, gone) == []
    ed25519 = person.account.ed25519_key.to_base64()
    assert ours.trust.sender(USER, person.curve, ed25519) == (SenderTrust.SIGNED, "PHONE")
    assert ours.trust.sender("@other:itt.gov.test", person.curve, ed25519)[0] == "unknown"
    assert ours.trust.sender(USER, person.curve, "A" * 43)[0] == "unknown"


async def test_a_change_announced_while_the_question_is_under_way_is_asked_again(
    parts: Make, phone: Make, scripted: Any
) -> None:
    ours, person = await parts(), phone(USER)

    def answer(*_: Any) -> tuple[int, Any]:
        with ours.state.transaction() as connection:
            ours.trust.mark_outdated(connection, [USER])
        return 200, person.query

    scripted.answers["keys/query"] = answer
    await ours.trust.refresh([USER])
    assert ours.trust.outdated([USER]) == {USER}
    scripted.answers["keys/query"] = lambda *_: (200, person.query)
    await ours.trust.refresh([USER])
    assert ours.trust.outdated([USER]) == set()


async def test_users_of_a_silent_server_stay_outdated_and_hold_nobody_up(
    parts: Make, scripted: Any
) -> None:
    ours = await parts()
    scripted.answers["keys/query"] = lambda *_: (200, {"failures": {"itt.gov.test": {}}})
    await ours.trust.refresh([USER])
    assert ours.trust.outdated([USER]) == {USER}
    assert ours.trust.asked_for([USER]) == set()


@pytest.mark.parametrize("junk", [None, 7, [], "x", {USER: None}, {USER: {"PHONE": 3}}])
async def test_no_shape_of_an_answer_breaks_the_query(
    parts: Make, scripted: Any, junk: Any
) -> None:
    ours = await parts()
    answer = {"device_keys": junk, "master_keys": junk, "self_signing_keys": junk}
    assert await _standing(ours, scripted, answer) == []
    assert ours.trust.outdated([USER]) == set()
