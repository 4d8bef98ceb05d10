"""The network authority of a trial network: three keys of which two sign, and what they publish.

A real network's authority keeps its keys off line; here they lie side by side in the state.
"""

import json
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from signedjson.key import (
    decode_signing_key_base64,
    encode_signing_key_base64,
    encode_verify_key_base64,
    generate_signing_key,
    get_verify_key,
)

from rabta_deploy.ministry import PolicyFiles
from rabta_deploy.secretfile import keep_secret
from rabta_policy import parse, reissue, sign_document

_KEYS = ("1", "2", "3")
_THRESHOLD = 2
_LIFETIME = timedelta(days=30)
_ISSUE = frozenset({"serial", "issued_at", "not_after", "signatures"})


class NetworkAuthority:
    """Signs policies in `directory`: `authority-N.key` (0600), `authority.yaml`, `policy.json`."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.files = PolicyFiles(directory / "policy.json", directory / "authority.yaml")
        self._serial_file = directory / "last-serial"
        self._keys = [_key(directory / f"authority-{version}.key", version) for version in _KEYS]
        pinned = {
            f"ed25519:{key.version}": encode_verify_key_base64(get_verify_key(key))
            for key in self._keys
        }
        _replace(
            self.files.authority,
            yaml.safe_dump({"threshold": _THRESHOLD, "keys": pinned}, sort_keys=False).encode(),
        )

    @property
    def last_serial(self) -> int:
        """The highest serial ever issued; 0 before the first."""
        return int(self._serial_file.read_text()) if self._serial_file.exists() else 0

    @property
    def published(self) -> dict[str, Any]:
        """The policy on disk, with its signatures; empty before the first one."""
        if not self.files.policy.exists():
            return {}
        document: dict[str, Any] = json.loads(self.files.policy.read_bytes())
        return document

    def publish(self, document: Mapping[str, Any], *, now: datetime) -> int:
        """Sign and publish a policy with the next serial, in force for 30 days.

        What is published already, and has half of its time before it, is left as it is.

        Args:
            document: The policy; its `serial`, `issued_at` and `not_after` are set here.
            now: Timezone-aware.

        Returns:
            The serial in force.

        Raises:
            PolicyError: The document has faults; nothing is signed.
        """
        before = self.published
        serial = self.last_serial
        current = serial > 0 and before.get("serial") == serial
        if current and _matter(before) == _matter(document) and _fresh(before, now):
            return serial
        issue = reissue(document, serial=serial + 1, issued_at=now, not_after=now + _LIFETIME)
        raw = self.signed(issue)
        # First the number, so that it is never given twice, whatever dies when.
        _replace(self._serial_file, str(serial + 1).encode())
        self.replace(raw)
        return serial + 1

    def signed(self, document: Mapping[str, Any]) -> bytes:
        """The document as canonical JSON with the signatures of two of the three keys.

        Raises:
            PolicyError: The document has faults.
        """
        raw = b""
        for key in self._keys[:_THRESHOLD]:
            raw = sign_document(json.loads(raw) if raw else document, key)
        return raw

    def replace(self, raw: bytes) -> None:
        """Put a signed policy where door, gateways and bridge look, whole or not at all."""
        _replace(self.files.policy, raw)


def _key(file: Path, version: str) -> Any:
    text = keep_secret(file, lambda: encode_signing_key_base64(generate_signing_key(version)))
    return decode_signing_key_base64("ed25519", version, text)


def _matter(document: Mapping[str, Any]) -> dict[str, Any]:
    """What a policy says, without when and by whom it was issued."""
    return {key: value for key, value in document.items() if key not in _ISSUE}


def _fresh(document: Mapping[str, Any], now: datetime) -> bool:
    return parse(json.dumps(document)).not_after > now + _LIFETIME / 2


def _replace(file: Path, raw: bytes) -> None:
    fresh = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    fresh.write_bytes(raw)
    fresh.replace(file)
