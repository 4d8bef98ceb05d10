"""A peer's own key answer, compared with the keys that the policy pins for it.

Source: server-server API, "Publishing Keys". Synapse caches what it is told here and checks
events with it, so only what the network authority signed may pass.
"""

import json
from collections.abc import Mapping
from typing import Any

from canonicaljson import encode_canonical_json
from signedjson.sign import SignatureVerifyException, verify_signed_json

from rabta_gateway.refusals import RefusedError
from rabta_gateway.x_matrix import verify_key


def checked_key_answer(answer: bytes, *, server_name: str, pinned: Mapping[str, str]) -> bytes:
    """Refuse a key answer that says more or other than the policy.

    Every key in `verify_keys` must be pinned with the same bytes and must have signed the
    answer; no `old_verify_keys` entry may give a pinned key id other bytes.

    Args:
        answer: Body of `GET /_matrix/key/v2/server`.
        server_name: The peer that was asked.
        pinned: Its keys from the policy, key id -> unpadded base64.

    Returns:
        The same answer as canonical JSON: what was checked is what is passed on.

    Raises:
        RefusedError: `key-mismatch`, or `peer-answer-broken` if it is no JSON object.
    """
    try:
        document = json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise RefusedError("peer-answer-broken") from error
    if not isinstance(document, dict):
        raise RefusedError("peer-answer-broken")
    told = _keys(document, "verify_keys")
    old = _keys(document, "old_verify_keys")
    if document.get("server_name") != server_name or not told:
        raise RefusedError("key-mismatch")
    if any(pinned.get(key_id) != key for key_id, key in told.items()):
        raise RefusedError("key-mismatch")
    if any(pinned.get(key_id, key) != key for key_id, key in old.items()):
        raise RefusedError("key-mismatch")
    try:
        for key_id, key in told.items():
            verify_signed_json(document, server_name, verify_key(key_id, key))
        return encode_canonical_json(document)
    except (SignatureVerifyException, AttributeError, TypeError, ValueError) as error:
        raise RefusedError("key-mismatch") from error


def _keys(document: Mapping[str, Any], name: str) -> dict[str, str]:
    """Key id -> unpadded base64 of one member; anything else is a mismatch."""
    member = document.get(name, {})
    if not isinstance(member, dict):
        raise RefusedError("key-mismatch")
    found: dict[str, str] = {}
    for key_id, entry in member.items():
        key = entry.get("key") if isinstance(entry, dict) else None
        if not isinstance(key, str):
            raise RefusedError("key-mismatch")
        found[key_id] = key.rstrip("=")
    return found
