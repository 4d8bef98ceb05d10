"""The small network the door is tested in: four ministries, their rights, a key that signs.

ITT and FIN may deal with each other; LAW only once its phase is open; WAR stands in the registry
and may deal with nobody but itself: no relation and no permit names it.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from signedjson.key import encode_verify_key_base64, generate_signing_key, get_verify_key

from rabta_policy import sign_document

START = datetime(2026, 1, 1, tzinfo=UTC)
DEALINGS = [
    "invite", "join", "knock", "profile", "directory", "presence", "keys", "to-device", "media",
    "alias", "call", "reference",
]  # fmt: skip
AT_HOME = [*DEALINGS, "create-room", "publish"]
DENIED = "WAR"
"""The organisation whose pair is closed."""


def moment(when: datetime) -> str:
    """RFC 3339."""
    return when.astimezone(UTC).isoformat()


class Seal:
    """An authority key, the file that pins it, and policies signed with it."""

    def __init__(self, directory: Path) -> None:
        self.key = generate_signing_key("authority")
        self.authority_file = directory / "authority.yaml"
        self.policy_file = directory / "policy.json"
        public = encode_verify_key_base64(get_verify_key(self.key))
        key_id = f"ed25519:{self.key.version}"
        self.authority_file.write_text(yaml.safe_dump({"threshold": 1, "keys": {key_id: public}}))

    def issue(self, document: Mapping[str, Any]) -> None:
        """Sign a policy and put it in its place, as its writers do: by renaming."""
        self.put(sign_document(document, self.key))

    def put(self, raw: bytes) -> None:
        """Put any bytes in the policy's place."""
        new = self.policy_file.with_suffix(".new")
        new.write_bytes(raw)
        new.replace(self.policy_file)


def room_class(**changes: Any) -> dict[str, Any]:
    """A class of rooms: encrypted, listed, by invitation."""
    return {
        "encryption_required": True,
        "federation": "listed",
        "history_visibility": "shared",
        "join_rules": ["invite"],
        "publish": False,
        "guests": False,
        "media": {"max_bytes": 10_000_000, "types": ["*/*"]},
        "card": {"subject": False, "remarks": False, "attachments": False, "decide": "confirm"},
        **changes,
    }


def server(name: str, keys: Mapping[str, str], tls_ca: str) -> dict[str, Any]:
    """A pinned server."""
    return {
        "name": name,
        "address": {"host": "127.0.0.1", "port": 1},
        "tls_ca": tls_ca,
        "verify_keys": dict(keys),
    }


def document(
    servers: Mapping[str, dict[str, Any]],
    *,
    serial: int,
    now: datetime,
    open_to_law: bool = False,
    lasts: timedelta = timedelta(days=30),
    grace: timedelta = timedelta(days=7),
    without: tuple[str, ...] = (),
    withdrawn: tuple[str, ...] = (),
    but: tuple[str, ...] = (),
) -> dict[str, Any]:
    """A policy of the small network.

    Args:
        servers: By organisation code (ITT, FIN, LAW, WAR).
        serial: Its number.
        now: When it is issued.
        open_to_law: Whether LAW's phase is open.
        lasts: How long it is in force.
        grace: The days of grace.
        without: Organisations that are suspended.
        but: Actions that no permit allows.
        withdrawn: Organisations whose permits are withdrawn, though they stay active.
    """
    closed = moment(now + timedelta(days=300))
    dealings = {
        "actions": [kind for kind in DEALINGS if kind not in but],
        "max_class": "restricted",
    }
    pairs = [("ITT", "FIN"), ("ITT", "LAW"), ("FIN", "LAW")]
    return {
        "format": 1,
        "network": "rabta.test",
        "serial": serial,
        "issued_at": moment(now - timedelta(minutes=1)),
        "not_after": moment(now + lasts),
        "grace": f"PT{int(grace.total_seconds())}S",
        "phases": {
            "pilot": {"opens": moment(START)},
            "federal": {"opens": moment(START) if open_to_law else closed},
        },
        "classes": {
            "unclassified": room_class(
                encryption_required=False,
                history_visibility="shared",
                join_rules=["invite", "knock", "public"],
                publish=True,
                guests=False,
            ),
            "restricted": room_class(),
            "confidential": room_class(federation="none", history_visibility="invited"),
        },
        "relations": {"same": {"actions": AT_HOME, "max_class": "confidential"}},
        "organisations": [
            {
                "code": code,
                "from": moment(START),
                "kind": "division",
                "parent": None,
                "name": code,
                "name_ur": code,
                "phase": "federal" if code == "LAW" else "pilot",
                "status": "suspended" if code in without else "active",
                "ceiling": "confidential",
                "server": found,
            }
            for code, found in servers.items()
        ],
        "permits": [
            {
                "order": f"O-{one}-{other}",
                "origin": one,
                "destination": other,
                "direction": "both",
                **dealings,
                "from": moment(START),
                "until": moment(now + timedelta(days=365)),
            }
            for one, other in pairs
            if not {one, other} & set(withdrawn)
        ],
    }
