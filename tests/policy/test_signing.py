"""The seal: k of n keys, a rising serial, one spelling, and no byte outside it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from canonicaljson import encode_canonical_json
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from signedjson.key import (
    decode_signing_key_base64,
    encode_verify_key_base64,
    generate_signing_key,
    get_verify_key,
)
from signedjson.sign import sign_json

from rabta_policy import Authority, PolicyError, open_signed, sign_document

Network = Callable[[], dict[str, Any]]

# The machine that runs this may be busy with homeservers: time says nothing about a seal.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

# Fixed seeds: the keys of nobody's network.
SIGNERS = [
    decode_signing_key_base64("ed25519", str(n), letter * 43)
    for n, letter in enumerate("AEI", start=1)
]


def pinned(*signers: Any, threshold: int = 2, **more: Any) -> Authority:
    """An authority of these signers."""
    keys = {
        f"ed25519:{one.version}": encode_verify_key_base64(get_verify_key(one)) for one in signers
    }
    return Authority(threshold=threshold, keys=keys, **more)


AUTHORITY = pinned(*SIGNERS)


def sealed(plain: dict[str, Any], *signers: Any) -> bytes:
    """The document signed by each in turn, as key holders do it one after the other."""
    raw = encode_canonical_json(plain)
    for signer in signers:
        raw = sign_document(json.loads(raw), signer)
    return bytes(raw)


def refusal(raw: bytes, authority: Authority = AUTHORITY, **last: Any) -> str:
    """Why the file is not believed."""
    with pytest.raises(PolicyError) as caught:
        open_signed(raw, authority, **last)
    assert caught.value.faults
    return caught.value.reason


@pytest.fixture(scope="module", name="raw")
def raw_fixture(network: Network) -> bytes:
    """The small network's policy, signed by the first and second of three."""
    return sealed(network(), *SIGNERS[:2])


def test_two_of_three_signatures_open_a_policy(raw: bytes) -> None:
    policy = open_signed(raw, AUTHORITY, last_serial=7)
    assert (policy.network, policy.serial) == ("small.test", 7)
    assert len(policy.digest) == 64


def test_all_three_signatures_open_it_too(network: Network) -> None:
    assert open_signed(sealed(network(), *SIGNERS), AUTHORITY).serial == 7


def test_the_order_of_signing_changes_nothing(network: Network, raw: bytes) -> None:
    assert sealed(network(), SIGNERS[1], SIGNERS[0]) == raw


def test_signing_twice_with_one_key_counts_once(network: Network) -> None:
    assert refusal(sealed(network(), SIGNERS[0], SIGNERS[0])) == "policy-signatures-too-few"


def test_one_signature_of_two_is_too_few(network: Network) -> None:
    assert refusal(sealed(network(), SIGNERS[0])) == "policy-signatures-too-few"


def test_a_document_without_signatures_is_unsigned(network: Network) -> None:
    assert refusal(encode_canonical_json(network())) == "policy-unsigned"
    assert refusal(encode_canonical_json(network() | {"signatures": {}})) == "policy-unsigned"


def test_signatures_for_another_network_do_not_count(network: Network) -> None:
    elsewhere = sign_json(network(), "other.test", SIGNERS[0])
    assert refusal(encode_canonical_json(elsewhere)) == "policy-unsigned"


def test_a_signer_who_is_not_pinned_is_refused(network: Network) -> None:
    stranger = generate_signing_key("stranger")
    assert refusal(sealed(network(), *SIGNERS[:2], stranger)) == "policy-signer-unknown"


def test_a_strangers_signature_under_a_pinned_name_is_refused(network: Network) -> None:
    impostor = generate_signing_key("2")
    assert refusal(sealed(network(), SIGNERS[0], impostor)) == "policy-signature-bad"


def test_a_lower_serial_than_the_last_is_refused_and_the_same_may_come_again(raw: bytes) -> None:
    digest = open_signed(raw, AUTHORITY).digest
    assert refusal(raw, last_serial=8) == "policy-serial-too-low"
    assert open_signed(raw, AUTHORITY, last_serial=7, last_digest=digest).serial == 7


def test_one_serial_never_carries_two_texts(network: Network, raw: bytes) -> None:
    digest = open_signed(raw, AUTHORITY).digest
    other = sealed(network() | {"grace": "P9D"}, *SIGNERS[:2])
    assert refusal(other, last_serial=7, last_digest=digest) == "policy-serial-reused"


def test_a_server_may_pin_the_network_beside_the_keys(raw: bytes) -> None:
    mine = pinned(*SIGNERS, network="small.test")
    other = pinned(*SIGNERS, network="large.test")
    assert open_signed(raw, mine).network == "small.test"
    assert refusal(raw, other) == "policy-network-wrong"


def test_what_the_seal_would_leave_out_is_refused(raw: bytes) -> None:
    smuggled = encode_canonical_json(json.loads(raw) | {"unsigned": {"a": 1}})
    assert refusal(smuggled) == "policy-malformed"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda raw: raw + b"\n",
        lambda raw: b" " + raw,
        lambda raw: json.dumps(json.loads(raw)).encode(),
        lambda raw: raw.replace("ڈویژن".encode(), b"\\u0688\\u0648\\u06cc\\u0698\\u0646"),
    ],
)
def test_another_spelling_of_the_same_document_is_refused(
    raw: bytes, spoil: Callable[[bytes], bytes]
) -> None:
    assert refusal(spoil(raw)) == "policy-not-canonical"


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"nonsense", b"\xff", b'{"a":1.5}', b'{"a":NaN}', b'{"a":1,"a":1}', b"[" * 99999],
)
def test_what_is_no_strict_json_object_is_malformed(raw: bytes) -> None:
    assert refusal(raw) == "policy-malformed"


def test_a_faulty_document_is_never_signed_and_never_opened(network: Network) -> None:
    faulty = network() | {"grace": "P400D"}
    with pytest.raises(PolicyError):
        sign_document(faulty, SIGNERS[0])
    by_hand = sign_json(sign_json(faulty, "small.test", SIGNERS[0]), "small.test", SIGNERS[1])
    assert refusal(encode_canonical_json(by_hand)) == "policy-malformed"


@unhurried
@given(st.data())
def test_any_changed_byte_of_a_signed_policy_is_refused(raw: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(raw) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != raw[at]))
    assert refusal(raw[:at] + bytes([byte]) + raw[at + 1 :]).startswith("policy-")


@unhurried
@given(st.data())
def test_a_signed_policy_cut_short_anywhere_is_refused(raw: bytes, data: st.DataObject) -> None:
    assert refusal(raw[: data.draw(st.integers(0, len(raw) - 1))]).startswith("policy-")


def test_each_byte_of_the_signatures_counts(raw: bytes) -> None:
    begin = raw.index(b'"signatures"')
    end = raw.index(b'"tls_ca"')
    for at in range(begin, end):
        for byte in (raw[at] ^ 1, raw[at] ^ 32):
            assert refusal(raw[:at] + bytes([byte]) + raw[at + 1 :]).startswith("policy-")


AUTHORITIES = [
    ("keys: {}\nthreshold: 1\n", "keys"),
    ("threshold: 2\nkeys: {'ed25519:1': %s}\n", ""),
    ("threshold: 0\nkeys: {'ed25519:1': %s}\n", "threshold"),
    ("threshold: 2\nkeys: {'ed25519:1': %s, 'ed25519:2': %s}\n", ""),
    ("threshold: 1\nkeys: {'rsa:1': %s}\n", "keys.rsa:1"),
    ("threshold: 1\nkeys: {'ed25519:1': %s}\nquorum: 3\n", "quorum"),
    ("threshold: 1\nthreshold: 1\nkeys: {'ed25519:1': %s}\n", "threshold"),
]


@pytest.mark.parametrize(("text", "path"), AUTHORITIES)
def test_an_authority_that_means_less_than_it_seems_is_refused(text: str, path: str) -> None:
    with pytest.raises(PolicyError) as caught:
        Authority.parse(text.replace("%s", AUTHORITY.keys["ed25519:1"]))
    assert caught.value.reason == "authority-malformed"
    assert any(fault.path.startswith(path) for fault in caught.value.faults)
