"""A small network to try rules on: six organisations, one permit of each sort."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from rabta_policy import Action, ActionKind, Policy, Room, parse_document
from rabta_policy.policy import Policy as Compiled

Plain = dict[str, Any]

# A certificate's shape is all that a policy looks at; the gateway loads real ones in its own tests.
PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
KEY = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
ALL = [str(kind) for kind in ActionKind]
FEW = ["invite", "join", "knock", "create-room", "publish", "keys"]


def _organisation(code: str, **facts: Any) -> Plain:
    server = {
        "name": f"{code.lower()}.gov.test",
        "address": {"host": "127.0.0.1", "port": 8448},
        "verify_keys": {"ed25519:1": KEY},
    }
    return {
        "code": code,
        "from": "2026-01-01T00:00:00Z",
        "kind": "division",
        "name": f"{code} Division",
        "name_ur": "ڈویژن",
        "phase": "pilot",
        "status": "active",
        "ceiling": "confidential",
        "server": server,
    } | facts


def _class(**rules: Any) -> Plain:
    return {
        "encryption_required": True,
        "federation": "all",
        "history_visibility": "shared",
        "join_rules": ["invite", "knock"],
        "publish": True,
        "guests": False,
        "media": {"max_bytes": 1000, "types": ["image/*", "text/plain"]},
        "card": {"subject": True, "remarks": True, "attachments": True, "decide": "yes"},
    } | rules


_CLOSED = {
    "publish": False,
    "join_rules": ["invite"],
    "card": {"subject": False, "remarks": False, "attachments": False, "decide": "no"},
}
_TIMES = {"from": "2026-03-01T00:00:00Z", "until": "2026-04-01T00:00:00Z"}

NETWORK: Plain = {
    "network": "small.test",
    "serial": 7,
    "issued_at": "2026-01-01T00:00:00Z",
    "not_after": "2026-12-01T00:00:00Z",
    "grace": "P10D",
    "tls_ca": PEM,
    "phases": {
        "pilot": {"opens": "2026-02-01T00:00:00Z"},
        "federal": {"opens": "2026-02-01T00:00:00Z", "closes": "2026-06-01T00:00:00Z"},
    },
    "classes": {
        "unclassified": _class(),
        "restricted": _class(federation="listed", **_CLOSED),
        "confidential": _class(federation="none", history_visibility="joined", **_CLOSED),
    },
    "relations": {
        "same": {"actions": ALL, "max_class": "confidential"},
        "parent-child": {
            "downward": {"actions": [*FEW, "directory"], "max_class": "restricted"},
            "upward": {"actions": FEW, "max_class": "unclassified"},
        },
        "siblings": {"actions": ["keys"]},
        "division-division": {"actions": FEW, "max_class": "restricted"},
    },
    "organisations": [
        _organisation("ITT"),
        _organisation("FIN", phase="federal"),
        _organisation("LAW", ceiling="unclassified"),
        _organisation("NITB", kind="attached", parent="ITT"),
        _organisation("CERT", kind="attached", parent="ITT"),
        _organisation("NADRA", kind="authority"),
    ],
    "groups": {"circle": ["FIN", "NADRA"]},
    "permits": [
        {
            "order": "1/2026",
            "origin": "NITB",
            "destination": "circle",
            "direction": "one-way",
            "actions": ["invite", "directory"],
            "max_class": "unclassified",
        }
        | _TIMES,
        {
            "order": "2/2026",
            "origin": "NITB",
            "destination": "CERT",
            "direction": "both",
            "room": "!one",
            "actions": ["invite", "join"],
            "max_class": "restricted",
        }
        | _TIMES,
    ],
}

MARCH = datetime(2026, 3, 15, tzinfo=UTC)


@pytest.fixture(scope="session")
def network() -> Callable[[], Plain]:
    """A fresh copy of the small network's document, as plain values."""
    return lambda: json.loads(json.dumps(NETWORK))


@pytest.fixture(scope="session")
def organisation() -> Callable[..., Plain]:
    """An active division of the pilot phase with a pinned server, with other facts where given."""
    return _organisation


@pytest.fixture(scope="session")
def compiled() -> Callable[[Plain], Policy]:
    """A document made into a policy."""
    return lambda plain: Compiled(parse_document(plain))


@pytest.fixture(scope="session")
def small(compiled: Callable[[Plain], Policy]) -> Policy:
    """The small network's policy."""
    return compiled(NETWORK)


@pytest.fixture(scope="session")
def act() -> Callable[..., Action]:
    """`act("ITT invite FIN", "restricted", owner="ITT")`: an action in a few words."""

    def build(
        words: str,
        room_class: str | None = None,
        owner: str | None = None,
        room: str | None = None,
        actor: str | None = None,
    ) -> Action:
        origin, kind, destination = words.split()
        label = None if room_class is None else Room(room, room_class, owner)
        names = (f"{code.lower()}.gov.test" for code in (origin, destination))
        return Action(ActionKind(kind), *names, label, actor)

    return build
