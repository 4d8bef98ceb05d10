"""(a) What a decision costs, and that it costs the same in a small and in a large network."""

import gc
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

from rabta_deploy.bench.measure import Measure, middle
from rabta_policy import Action, ActionKind, Policy, Room, Server, decide, load_document
from rabta_policy.document import parse_document

NOW = datetime(2026, 1, 2, tzinfo=UTC)
TARGET_SECONDS = 5e-6
ROUNDS = 9
CALLS = 2_000


def decisions(template: Path) -> list[Measure]:
    """Decide in networks of 10 and of 10,000 organisations, round about, in one run.

    Args:
        template: a policy to take the classes and relations from.
    """
    document = load_document(template.read_text())
    small = network(document, organisations=10, permits=100)
    large = network(document, organisations=10_000, permits=100_000)
    spent: dict[str, list[float]] = {"small": [], "large": []}
    for _ in range(ROUNDS):
        for name, policy, size in (("small", small, 10), ("large", large, 10_000)):
            spent[name].append(seconds_per_decision(policy, size))
    small_us, large_us = (middle(spent[name]) * 1e6 for name in ("small", "large"))
    return [
        Measure("decision, 10,000 organisations to 10", large_us, small_us, "us", 1.5),
        Measure("decision, to its target", large_us, TARGET_SECONDS * 1e6, "us", 1.0),
    ]


def network(document: Mapping[str, Any], *, organisations: int, permits: int) -> Policy:
    """A policy of many divisions of which each has permits with others."""
    server = Server(
        name="s0.gov.test",
        address={"host": "127.0.0.1", "port": 8448},
        verify_keys={"ed25519:1": "A" * 43},
    ).model_dump(mode="json", exclude_none=True)
    pem = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"
    divisions = [
        {
            "code": f"D{number}",
            "from": "2026-01-01T00:00:00Z",
            # None is a division, so that what two of them may do rests on permits alone.
            "kind": "authority",
            "name": f"Authority {number}",
            "name_ur": f"ادارہ {number}",
            "phase": "pilot",
            "status": "active",
            "ceiling": "confidential",
            "server": {**server, "name": f"s{number}.gov.test", "tls_ca": pem},
        }
        for number in range(organisations)
    ]
    granted = [
        {
            "order": f"F.{number}/2026",
            "origin": f"D{origin}",
            "destination": f"D{destination}",
            "direction": "one-way",
            "actions": ["invite", "join"],
            "max_class": "restricted",
            "from": "2026-01-01T00:00:00Z",
            "until": "2027-01-01T00:00:00Z",
        }
        for number, (origin, destination) in zip(
            range(permits), _pairs(organisations), strict=False
        )
    ]
    plain = {
        **document,
        "organisations": divisions,
        "permits": granted,
        "not_after": "2026-12-31T00:00:00Z",
    }
    return Policy(parse_document(plain))


def _pairs(organisations: int) -> Iterator[tuple[int, int]]:
    steps = range(1, organisations)
    return (
        (one, (one + step) % organisations) for step, one in product(steps, range(organisations))
    )


def seconds_per_decision(policy: Policy, organisations: int) -> float:
    """Seconds for one decision, over allowed and denied ones of many pairs."""
    room = Room(room_id="!r", room_class="restricted", owner=None)
    actions = [
        Action(
            kind=kind,
            origin=f"s{number % organisations}.gov.test",
            destination=f"s{(number * 7 + 1) % organisations}.gov.test",
            room=room,
        )
        for number in range(CALLS // 2)
        for kind in (ActionKind.INVITE, ActionKind.JOIN)
    ]
    gc.disable()
    try:
        begun = time.perf_counter()
        for action in actions:
            decide(policy, action, NOW)
        return (time.perf_counter() - begun) / len(actions)
    finally:
        gc.enable()
