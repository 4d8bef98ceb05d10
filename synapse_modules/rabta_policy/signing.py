"""The seal: k of n authority keys over the canonical document. It keeps no key.

A signed file is the canonical JSON of the document with `signatures` beside it, byte for byte
(Matrix specification, appendices, Signing JSON).
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from canonicaljson import encode_canonical_json
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from signedjson.key import decode_verify_key_base64
from signedjson.sign import SignatureVerifyException, sign_json, verify_signed_json
from unpaddedbase64 import decode_base64, encode_base64

from rabta_policy.document import parse_document
from rabta_policy.faults import Fault, PolicyError, refuse
from rabta_policy.policy import Policy
from rabta_policy.reading import Plain, read_json, read_yaml, spell
from rabta_policy.registry import KeyId, PublicKey


class Authority(BaseModel):
    """Whose signatures a server believes, and how many it wants.

    Args:
        threshold: How many different keys must have signed.
        keys: Key id (`ed25519:<version>`) to unpadded base64 of the public key.
        network: The only network believed; None takes any that these keys signed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    threshold: int = Field(ge=1, strict=True)
    keys: dict[KeyId, PublicKey] = Field(min_length=1)
    network: str | None = None

    @model_validator(mode="after")
    def _reachable(self) -> "Authority":
        if self.threshold > len(self.keys):
            raise ValueError("the threshold is above the number of keys")
        if len(set(self.keys.values())) != len(self.keys):
            raise ValueError("the same key stands under two ids")
        return self

    @classmethod
    def parse(cls, text: str) -> "Authority":
        """Read `authority.yaml`.

        Raises:
            PolicyError: `authority-malformed`, with every fault.
        """
        try:
            plain, _ = read_yaml(text)
            return cls.model_validate(plain)
        except PolicyError as error:
            raise PolicyError(error.faults, "authority-malformed") from None
        except ValidationError as error:
            faults = [
                Fault(spell(item["loc"]), f"{item['msg']}.", "See docs/how-to/sign-a-policy.md.")
                for item in error.errors(include_url=False)
            ]
            raise PolicyError(faults, "authority-malformed") from None


def sign_document(document: Mapping[str, Any], key: Any) -> bytes:
    """Add one signature to a document.

    Args:
        document: Plain values, with the signatures it has already; it must hold together.
        key: A `signedjson` signing key (`signedjson.key.generate_signing_key`).

    Returns:
        The signed file: canonical JSON with `signatures`.

    Raises:
        PolicyError: `policy-malformed`; nothing faulty is signed.
    """
    plain = dict(document)
    signatures = plain.pop("signatures", {})
    parse_document(plain)
    kept = {name: dict(by_key) for name, by_key in signatures.items()}
    sealed = sign_json({**plain, "signatures": kept}, plain["network"], key)
    return bytes(encode_canonical_json(sealed))


def open_signed(
    raw: bytes, authority: Authority, *, last_serial: int = 0, last_digest: str = ""
) -> Policy:
    """Open a signed policy, or say why it is not believed.

    Args:
        raw: The file's bytes.
        authority: The keys pinned by this server.
        last_serial: The highest serial this server has had in force; the same one may come again.
        last_digest: `Policy.digest` of that policy; with it, the same serial may not carry other
            words.

    Raises:
        PolicyError: With a code of docs/reference/reason-codes.md in `.reason`.
    """
    plain = read_json(raw)
    _in_one_form(plain, raw)
    signers = _signers(plain, authority)
    if len(signers) < authority.threshold:
        raise refuse(
            "policy-signatures-too-few",
            f"carries {len(signers)} of {authority.threshold} signatures needed.",
            "Let another key holder run `rabta policy sign` on the file.",
        )
    body = {key: value for key, value in plain.items() if key != "signatures"}
    policy = Policy(parse_document(body), sha256(encode_canonical_json(body)).hexdigest())
    if authority.network is not None and authority.network != policy.network:
        raise refuse(
            "policy-network-wrong",
            f"is of the network {policy.network}, not {authority.network}.",
            "Fetch the policy of your own network.",
        )
    _rising(policy, last_serial, last_digest)
    return policy


def _in_one_form(plain: Plain, raw: bytes) -> None:
    # Only one spelling of a document is believed, so that no byte of the file is outside the seal.
    try:
        canonical = encode_canonical_json(plain)
    except (ValueError, RecursionError) as error:
        raise refuse(
            "policy-malformed", f"has no canonical form: {error}.", "Sign it again."
        ) from None
    if canonical != raw:
        raise refuse(
            "policy-not-canonical",
            "is not canonical JSON; somebody has edited or re-formatted it.",
            "Fetch the file again as it was signed.",
        )


def _signers(plain: Plain, authority: Authority) -> set[str]:
    signatures = plain.get("signatures")
    network = plain.get("network")
    if not isinstance(signatures, dict) or not signatures:
        raise refuse("policy-unsigned", "carries no signature.", "Run `rabta policy sign`.")
    if "unsigned" in plain:
        # signedjson leaves `unsigned` out of the seal.
        raise refuse("policy-malformed", "has a part outside the seal.", "Take `unsigned` out.")
    by_key = signatures.get(network) if isinstance(network, str) else None
    if len(signatures) != 1 or not isinstance(by_key, dict) or not by_key:
        raise refuse(
            "policy-unsigned", "carries no signature for its own network.", "Sign it again."
        )
    for key_id in by_key:
        if key_id not in authority.keys:
            raise refuse(
                "policy-signer-unknown",
                f"is signed by {key_id}, which is not pinned here.",
                "Pin the key first on every server, or sign with pinned keys alone.",
            )
        _verify(plain, str(network), key_id, by_key[key_id], authority.keys[key_id])
    return set(by_key)


def _verify(plain: Plain, network: str, key_id: str, signature: Any, public: str) -> None:
    algorithm, _, version = key_id.partition(":")
    try:
        # Base64 has spare bits at its end; only the one proper spelling counts.
        whole = isinstance(signature, str) and encode_base64(decode_base64(signature)) == signature
        if whole:
            verify_signed_json(plain, network, decode_verify_key_base64(algorithm, version, public))
    except (SignatureVerifyException, ValueError):
        whole = False
    if not whole:
        raise refuse(
            "policy-signature-bad",
            f"does not match its signature by {key_id}.",
            "Fetch the file again; if it stays so, ask the holder of that key.",
        )


def _rising(policy: Policy, last_serial: int, last_digest: str) -> None:
    if policy.serial < last_serial:
        raise refuse(
            "policy-serial-too-low",
            f"has the serial {policy.serial}, and {last_serial} was in force already.",
            "Install the newest policy; going back needs a new issue with a higher serial.",
        )
    if policy.serial == last_serial and last_digest and policy.digest != last_digest:
        raise refuse(
            "policy-serial-reused",
            f"has the serial {policy.serial} of another text.",
            "Issue it again with a higher serial.",
        )
