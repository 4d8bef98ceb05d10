"""Secret storage, recovery keys, sealed values and secret files."""

import base64
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rabta_bots.matrix import MatrixError, MatrixSettings, secret_storage
from rabta_bots.matrix.sealing import Seal, read_secret, write_secret

# The test vector that matrix-rust-sdk, Element Android, Element iOS and Trixnity share.
KEY = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
WRITTEN = "EsTc LW2K PGiF wKEA 3As5 g5c4 BXwk qeeJ ZJV8 Q9fu gUMN UE4d"


def _reason(work: Callable[[], Any]) -> str:
    with pytest.raises(MatrixError) as failed:
        work()
    assert failed.value.permanent
    return failed.value.reason


def test_a_recovery_key_is_written_as_every_other_client_writes_it() -> None:
    assert secret_storage.encode_recovery_key(KEY) == WRITTEN


@pytest.mark.parametrize("text", [WRITTEN, WRITTEN.replace(" ", ""), f" {WRITTEN}\r\n"])
def test_a_recovery_key_is_read_with_and_without_spaces(text: str) -> None:
    assert secret_storage.decode_recovery_key(text) == KEY


@pytest.mark.parametrize("text", [WRITTEN[:-1] + "e", WRITTEN[:-5], "", "0OIl", "گ" * 48])
def test_a_mistyped_recovery_key_is_told(text: str) -> None:
    assert _reason(lambda: secret_storage.decode_recovery_key(text)) == "recovery-key-malformed"


@given(st.binary(min_size=32, max_size=32))
def test_every_recovery_key_can_be_read_back(key: bytes) -> None:
    written = secret_storage.encode_recovery_key(key)
    assert secret_storage.decode_recovery_key(written) == key


@given(st.binary(min_size=32, max_size=32), st.text(max_size=80))
def test_a_stored_secret_opens_with_its_key_and_name_only(key: bytes, secret: str) -> None:
    sealed = secret_storage.encrypt(key, "m.cross_signing.master", secret)
    assert secret_storage.decrypt(key, "m.cross_signing.master", sealed) == secret
    other = bytes([key[0] ^ 1]) + key[1:]
    for wrong_key, name in ((other, "m.cross_signing.master"), (key, "m.megolm_backup.v1")):
        assert _reason(lambda k=wrong_key, n=name: secret_storage.decrypt(k, n, sealed)) == (
            "recovery-key-wrong"
        )


def test_a_key_is_recognised_by_its_description_padded_or_not() -> None:
    description = secret_storage.describe(KEY)
    padded = description | {"mac": description["mac"] + "=", "iv": description["iv"] + "=="}
    assert secret_storage.recognises(KEY, description)
    assert secret_storage.recognises(KEY, padded)
    assert not secret_storage.recognises(bytes(32), description)
    assert not secret_storage.recognises(KEY, {})


def test_the_key_of_another_implementation_is_recognised() -> None:
    """The vector of matrix-rust-sdk's tests of secret storage."""
    key = secret_storage.decode_recovery_key(
        "EsTj 3yST y93F SLpB jJsz eAXc 2XzA ygD3 w69H fGaN TKBj jXEd"
    )
    description = {
        "algorithm": "m.secret_storage.v1.aes-hmac-sha2",
        "iv": "xv5b6/p3ExEw++wTyfSHEg==",
        "mac": "ujBBbXahnTAMkmPUX2/0+VTfUh63pGyVRuBcDMgmJC8=",
    }
    assert secret_storage.recognises(key, description)


def test_a_sealed_value_opens_at_its_own_place_only() -> None:
    seal = Seal(os.urandom(32))
    sealed = seal.seal("received", "منظور")
    assert seal.open("received", sealed) == "منظور"
    assert "منظور".encode() not in sealed
    assert _reason(lambda: seal.open("access-token", sealed)) == "wrong-store-key"
    assert _reason(lambda: Seal(os.urandom(32)).open("received", sealed)) == "wrong-store-key"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_secret_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "secret"
    path.write_text("word")
    path.chmod(mode)
    assert _reason(lambda: read_secret(path)) == "secret-file-open"


def test_a_missing_or_empty_secret_file_is_told(tmp_path: Path) -> None:
    assert _reason(lambda: read_secret(tmp_path / "none")) == "secret-file-missing"
    write_secret(tmp_path / "empty", "")
    assert _reason(lambda: read_secret(tmp_path / "empty")) == "secret-file-empty"


def test_a_secret_is_never_written_over_another(tmp_path: Path) -> None:
    write_secret(tmp_path / "secret", "first")
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
    assert _reason(lambda: write_secret(tmp_path / "secret", "x")) == "secret-file-not-written"
    assert read_secret(tmp_path / "secret") == "first"


@pytest.mark.parametrize("text", ["short", base64.b64encode(bytes(31)).decode(), "ü" * 43])
def test_a_store_key_of_another_length_is_refused(tmp_path: Path, text: str) -> None:
    write_secret(tmp_path / "store.key", text)
    assert _reason(lambda: Seal.from_file(tmp_path / "store.key")) == "store-key-malformed"


def test_settings_want_one_way_in_and_know_no_other_keys(tmp_path: Path) -> None:
    given_ = {
        "homeserver_url": "http://127.0.0.1:8008",
        "user_id": "@bridge:itt.gov.test",
        "store_key_file": tmp_path / "store.key",
        "recovery_key_file": tmp_path / "recovery.key",
    }
    one = tmp_path / "password"
    assert MatrixSettings.model_validate(given_ | {"password_file": one}).device_id is None
    for more in (
        {},
        {"password_file": one, "access_token_file": one},
        {"password_file": one, "password": "x"},
        {"password_file": one, "homeserver_url": "http://127.0.0.1:8008/"},
    ):
        with pytest.raises(ValidationError):
            MatrixSettings.model_validate(given_ | more)
