"""Only a holder of a live secret gets a message in, only fresh, and only unchanged."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from rabta_contract import (
    SecretError,
    SignatureError,
    SigningSecrets,
    load_signing_secrets,
    load_token,
    sign,
    verify,
)

NOW = datetime(2026, 7, 14, 15, 0, tzinfo=timezone(timedelta(hours=5)))
BODY = '{"subject":"چھٹی کی درخواست"}'.encode()
OLD = "whsec_" + base64.b64encode(b"o" * 32).decode()
NEW = "whsec_" + base64.b64encode(b"n" * 32).decode()
SECRETS = SigningSecrets.parse(NEW)


def reason(
    headers: dict[str, str],
    body: bytes = BODY,
    secrets: SigningSecrets = SECRETS,
    now: datetime = NOW,
) -> str | None:
    try:
        verify(headers, body, secrets, now)
    except SignatureError as error:
        return error.reason
    return None


def test_the_signature_is_that_of_the_standard() -> None:
    headers = sign("msg-1", BODY, SECRETS, NOW)
    signed = b"msg-1." + str(int(NOW.timestamp())).encode() + b"." + BODY
    mac = base64.b64encode(hmac.digest(b"n" * 32, signed, hashlib.sha256)).decode()
    assert headers == {
        "webhook-id": "msg-1",
        "webhook-timestamp": str(int(NOW.timestamp())),
        "webhook-signature": f"v1,{mac}",
    }
    assert verify(headers, BODY, SECRETS, NOW) == "msg-1"


def test_another_implementation_takes_our_signature() -> None:
    now = datetime.now(UTC)  # noqa: TID251 - the library reads the real clock
    assert Webhook(NEW).verify(BODY, sign("msg-1", BODY, SECRETS, now)) is not None


@given(st.integers(0, len(BODY) - 1), st.integers(1, 255))
def test_any_changed_byte_of_the_body_is_refused(place: int, change: int) -> None:
    tampered = bytearray(BODY)
    tampered[place] ^= change
    assert reason(sign("msg-1", BODY, SECRETS, NOW), bytes(tampered)) == "bad-signature"


@given(st.data())
def test_any_changed_character_of_a_header_is_refused(data: st.DataObject) -> None:
    headers = sign("msg-1", BODY, SECRETS, NOW)
    name = data.draw(st.sampled_from(sorted(headers)))
    place = data.draw(st.integers(0, len(headers[name]) - 1))
    letter = data.draw(st.characters().filter(lambda one: one != headers[name][place]))
    headers[name] = headers[name][:place] + letter + headers[name][place + 1 :]
    assert reason(headers) == "bad-signature"


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=60)), st.binary(max_size=60))
def test_no_headers_and_no_body_raise_anything_else(headers: dict[str, str], body: bytes) -> None:
    assert reason(headers, body) == "bad-signature"


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=60))
def test_no_header_values_raise_anything_else(name: str, time: str, signature: str) -> None:
    headers = {"Webhook-Id": name, "Webhook-Timestamp": time, "Webhook-Signature": signature}
    assert reason(headers) == "bad-signature"


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_header_is_refused(name: str) -> None:
    headers = sign("msg-1", BODY, SECRETS, NOW)
    del headers[name]
    assert reason(headers) == "bad-signature"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, None), (300, None), (-300, None), (301, "stale-timestamp"), (-301, "stale-timestamp")],
)
def test_the_window_is_five_minutes_both_ways(seconds: int, expected: str | None) -> None:
    headers = sign("msg-1", BODY, SECRETS, NOW)
    assert reason(headers, now=NOW + timedelta(seconds=seconds)) == expected


def test_a_stranger_learns_nothing_about_the_clock() -> None:
    headers = sign("msg-1", BODY, SigningSecrets.parse(OLD), NOW)
    assert reason(headers, now=NOW + timedelta(hours=1)) == "bad-signature"


def test_two_secrets_live_side_by_side_while_they_rotate() -> None:
    old, new = SigningSecrets.parse(OLD), SigningSecrets.parse(NEW)
    both = SigningSecrets.parse(f"# from July\n{NEW}\n\n{OLD}\n")
    assert reason(sign("m", BODY, old, NOW), secrets=both) is None
    assert reason(sign("m", BODY, new, NOW), secrets=both) is None
    assert reason(sign("m", BODY, both, NOW), secrets=old) is None
    assert reason(sign("m", BODY, old, NOW), secrets=new) == "bad-signature"


def test_secrets_do_not_show_themselves() -> None:
    assert "nnn" not in repr(SECRETS)


@pytest.mark.parametrize(
    "text",
    ["", "# nothing\n", "bm5ubm4=", "whsec_", "whsec_####", "whsec_bm5ubm4=", f"{NEW}\nwhsec_x"],
)
def test_a_secret_that_is_none_is_refused_without_being_shown(text: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(text)
    file.chmod(0o600)
    with pytest.raises(SecretError) as caught:
        load_signing_secrets(file)
    assert str(file) in str(caught.value)
    assert "bm5u" not in str(caught.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620])
def test_a_secret_that_others_may_touch_is_refused_with_the_cure(mode: int, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(NEW)
    file.chmod(mode)
    with pytest.raises(SecretError, match="chmod 600"):
        load_signing_secrets(file)
    with pytest.raises(SecretError, match="chmod 600"):
        load_token(file)


def test_a_missing_short_or_odd_token_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="cannot be read"):
        load_token(tmp_path / "none")
    for text in ("short", "x" * 15, "ڈ" * 20, "has\x07bell-characters"):
        file = tmp_path / "token"
        file.write_text(text)
        file.chmod(0o600)
        with pytest.raises(SecretError, match="printable"):
            load_token(file)
