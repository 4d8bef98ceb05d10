"""A peer's key answer passes only if it says what the policy says."""

import itertools
import json
from typing import Any

import pytest
from signedjson.key import encode_verify_key_base64, generate_signing_key, get_verify_key
from signedjson.sign import sign_json

from rabta_gateway.pinned_keys import checked_key_answer
from rabta_gateway.refusals import RefusedError

NAME = "fin.gov.test"
KEY = generate_signing_key("1")
OTHER = generate_signing_key("2")
PUBLIC = encode_verify_key_base64(get_verify_key(KEY))
OTHER_PUBLIC = encode_verify_key_base64(get_verify_key(OTHER))
PINNED = {"ed25519:1": PUBLIC}


def answer(*, signers: tuple[Any, ...] = (KEY,), **changes: Any) -> bytes:
    document: dict[str, Any] = {
        "server_name": NAME,
        "verify_keys": {"ed25519:1": {"key": PUBLIC}},
        "old_verify_keys": {},
        "valid_until_ts": 4_000_000_000_000,
        **changes,
    }
    for signer in signers:
        document = sign_json(document, NAME, signer)
    return json.dumps(document).encode()


def test_an_answer_that_repeats_the_policy_passes() -> None:
    told = answer()

    checked = checked_key_answer(told, server_name=NAME, pinned=PINNED)

    assert json.loads(checked) == json.loads(told)


def test_both_keys_of_a_rotation_pass_when_both_are_pinned() -> None:
    both = {"ed25519:1": PUBLIC, "ed25519:2": OTHER_PUBLIC}
    keys = {key_id: {"key": key} for key_id, key in both.items()}

    told = answer(signers=(KEY, OTHER), verify_keys=keys)

    assert checked_key_answer(told, server_name=NAME, pinned=both)


def test_a_retired_key_may_be_told_beside_the_pinned_one() -> None:
    old = {"ed25519:0": {"key": OTHER_PUBLIC, "expired_ts": 1}}

    assert checked_key_answer(answer(old_verify_keys=old), server_name=NAME, pinned=PINNED)


@pytest.mark.parametrize(
    "told",
    [
        answer(server_name="law.gov.test"),
        answer(verify_keys={}),
        answer(verify_keys=[]),
        answer(verify_keys={"ed25519:1": PUBLIC}),
        answer(verify_keys={"ed25519:1": {"key": OTHER_PUBLIC}}),
        answer(verify_keys={"ed25519:2": {"key": OTHER_PUBLIC}}, signers=(OTHER,)),
        answer(
            verify_keys={"ed25519:1": {"key": PUBLIC}, "ed25519:2": {"key": OTHER_PUBLIC}},
            signers=(KEY, OTHER),
        ),
        answer(old_verify_keys={"ed25519:1": {"key": OTHER_PUBLIC, "expired_ts": 1}}),
        answer(signers=()),
        answer(signers=(OTHER,)),
        answer().replace(b"4000000000000", b"5000000000000"),
        answer().replace(b'"signatures": {', b'"signatures": {"x": 1, "fin.gov.test": [], "y": {'),
    ],
    ids=itertools.count(),
)
def test_any_other_answer_is_a_mismatch(told: bytes) -> None:
    with pytest.raises(RefusedError) as error:
        checked_key_answer(told, server_name=NAME, pinned=PINNED)

    assert error.value.refusal.reason in {"key-mismatch", "peer-answer-broken"}


@pytest.mark.parametrize(
    "told", [b"", b"[]", b"null", b"\xff", b"[" * 100_000], ids=itertools.count()
)
def test_an_answer_that_is_no_object_is_broken(told: bytes) -> None:
    with pytest.raises(RefusedError) as error:
        checked_key_answer(told, server_name=NAME, pinned=PINNED)

    assert error.value.refusal.reason == "peer-answer-broken"
