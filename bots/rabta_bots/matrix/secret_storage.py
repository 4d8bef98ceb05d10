"""Secret storage of the account, and the recovery key that opens it.

Spec: "Secret storage", `m.secret_storage.v1.aes-hmac-sha2`, and "Deriving keys from passphrases /
Recovery key". It lets an empty disk find the same identity again.
"""

import hmac
import os
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from unpaddedbase64 import decode_base64, encode_base64

from rabta_bots.matrix.errors import MatrixError
from rabta_bots.matrix.grammar import mapping

ALGORITHM = "m.secret_storage.v1.aes-hmac-sha2"
_KEY_BYTES = 32
_PREFIX = b"\x8b\x01"
_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_GROUP = 4


def encode_recovery_key(key: bytes) -> str:
    """Give 32 bytes as people write them: base58 with a parity byte, in groups of four."""
    raw = _PREFIX + key
    number = int.from_bytes(raw + bytes([_parity(raw)]), "big")
    digits = ""
    while number:
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return " ".join(digits[at : at + _GROUP] for at in range(0, len(digits), _GROUP))


def decode_recovery_key(text: str) -> bytes:
    """Give the 32 bytes of a recovery key.

    Raises:
        MatrixError: permanent `recovery-key-malformed`.
    """
    number = 0
    try:
        for character in "".join(text.split()):
            number = number * len(_ALPHABET) + _ALPHABET.index(character)
        raw = number.to_bytes(len(_PREFIX) + _KEY_BYTES + 1, "big")
    except (ValueError, OverflowError) as error:
        raise MatrixError("recovery-key-malformed", permanent=True) from error
    if raw[: len(_PREFIX)] != _PREFIX or _parity(raw) != 0:
        raise MatrixError("recovery-key-malformed", permanent=True)
    return raw[len(_PREFIX) : -1]


def encrypt(key: bytes, name: str, secret: str) -> dict[str, str]:
    """Encrypt a secret for the account data event called `name`."""
    aes_key, mac_key = _derive(key, name)
    # Bit 63 clear works round differing AES-CTR counters (spec, step 2).
    nonce = bytearray(os.urandom(16))
    nonce[8] &= 0x7F
    return _seal(aes_key, mac_key, bytes(nonce), secret.encode())


def decrypt(key: bytes, name: str, sealed: Mapping[str, Any]) -> str:
    """Decrypt a secret.

    Raises:
        MatrixError: permanent `recovery-key-wrong` when the MAC does not hold.
    """
    aes_key, mac_key = _derive(key, name)
    try:
        nonce, ciphertext, mac = (
            decode_base64(str(sealed[part])) for part in ("iv", "ciphertext", "mac")
        )
        if not hmac.compare_digest(hmac.digest(mac_key, ciphertext, "sha256"), mac):
            raise MatrixError("recovery-key-wrong", name, permanent=True)
        return _ctr(aes_key, nonce, ciphertext).decode()
    except (KeyError, ValueError) as error:
        raise MatrixError("recovery-key-wrong", name, permanent=True) from error


def describe(key: bytes) -> dict[str, Any]:
    """Give the content of `m.secret_storage.key.<id>`, by which a key can be recognised."""
    aes_key, mac_key = _derive(key, "")
    nonce = bytearray(os.urandom(16))
    nonce[8] &= 0x7F
    check = _seal(aes_key, mac_key, bytes(nonce), bytes(_KEY_BYTES))
    return {"name": "recovery key", "algorithm": ALGORITHM, "iv": check["iv"], "mac": check["mac"]}


def recognises(key: bytes, description: object) -> bool:
    """Tell whether a key is the one described."""
    content = mapping(description)
    aes_key, mac_key = _derive(key, "")
    try:
        check = _seal(aes_key, mac_key, decode_base64(str(content.get("iv"))), bytes(_KEY_BYTES))
        return hmac.compare_digest(
            decode_base64(check["mac"]), decode_base64(str(content.get("mac")))
        )
    except ValueError:
        return False


def _seal(aes_key: bytes, mac_key: bytes, nonce: bytes, plaintext: bytes) -> dict[str, str]:
    ciphertext = _ctr(aes_key, nonce, plaintext)
    return {
        "iv": encode_base64(nonce),
        "ciphertext": encode_base64(ciphertext),
        "mac": encode_base64(hmac.digest(mac_key, ciphertext, "sha256")),
    }


def _derive(key: bytes, name: str) -> tuple[bytes, bytes]:
    both = HKDF(
        algorithm=SHA256(), length=2 * _KEY_BYTES, salt=bytes(_KEY_BYTES), info=name.encode()
    ).derive(key)
    return both[:_KEY_BYTES], both[_KEY_BYTES:]


def _ctr(key: bytes, nonce: bytes, text: bytes) -> bytes:
    cipher = Cipher(AES(key), CTR(nonce)).encryptor()
    return cipher.update(text) + cipher.finalize()


def _parity(raw: bytes) -> int:
    parity = 0
    for byte in raw:
        parity ^= byte
    return parity
