"""Signs and verifies JSON objects as the appendix "Signing JSON" of the Matrix spec says."""

from collections.abc import Mapping
from typing import Any

import vodozemac
from canonicaljson import encode_canonical_json
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from unpaddedbase64 import encode_base64


class SigningKey:
    """An Ed25519 cross-signing key made from its 32-byte seed."""

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = encode_base64(self._key.public_key().public_bytes_raw())
        """Unpadded base64: padded key ids are silently dropped by other clients."""

    @property
    def key_id(self) -> str:
        """The id under which its signatures stand."""
        return f"ed25519:{self.public}"

    def sign(self, value: Mapping[str, Any]) -> str:
        """Give the unpadded base64 signature of an object."""
        return encode_base64(self._key.sign(signed_bytes(value)))


def signed_bytes(value: Mapping[str, Any]) -> bytes:
    """Give what a signature covers: canonical JSON without `signatures` and `unsigned`."""
    return encode_canonical_json(
        {key: item for key, item in value.items() if key not in ("signatures", "unsigned")}
    )


def signed_by(value: Mapping[str, Any], user_id: str, key_id: str, public: str) -> bool:
    """Tell whether an object bears a good signature; whatever is malformed is not signed.

    Args:
        value: The object as the server gave it, of any shape.
        user_id: In whose name the signature stands.
        key_id: For example `ed25519:DEVICE`.
        public: The Ed25519 public key, unpadded base64.
    """
    try:
        signature = vodozemac.Ed25519Signature.from_base64(value["signatures"][user_id][key_id])
        key = vodozemac.Ed25519PublicKey.from_base64(public)
        key.verify_signature(signed_bytes(value), signature)
    except (ValueError, KeyError, TypeError, RecursionError):
        return False
    return True
