"""(a) What a decision costs, and that it costs the same in a small and in a large network.

Two ways to ask: *round about*, where every question names two organisations not asked about for
thousands of questions, so that what the policy holds of them comes from main memory; and *the same
pairs*, as a homeserver asks, whose people talk to some dozens of others all day. The first tells
what memory costs, the second what the judge costs.
"""

import gc
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

from rabta_deploy.bench.measure import Line, in_turns, to_target
from rabta_policy import Action, ActionKind, Policy, Room, Server, decide, load_document
from rabta_policy.document import parse_document

NOW = datetime(2026, 1, 2, tzinfo=UTC)
TARGET_US, GROWTH = 5.0, 1.5
PERMITS_EACH = {10: 4, 100: 10, 1_000: 10, 10_000: 10}
"""Organisations in a network -> to how many others each has a permit."""
SIZES = tuple(PERMITS_EACH)
ROUNDS, QUESTIONS, PAIRS = 15, 2_000, 25
_PAIRED = QUESTIONS // 2
_WITH_PERMIT, _STRIDE = 3, 7919


def decisions(template: Path) -> list[Line]:
    """Decide in networks from 10 to 10,000 organisations, in turns, in one run.

    Args:
        template: a policy to take the classes and relations from.
    """
    document = load_document(template.read_text())
    networks = {
        size: network(document, organisations=size, permits_each=each)
        for size, each in PERMITS_EACH.items()
    }
    lines: list[Line] = []
    for way, pairs in (("round about", _PAIRED), ("the same pairs", PAIRS)):
        spent: dict[int, list[float]] = {size: [] for size in SIZES}
        for turn in range(ROUNDS):
            for size, policy in networks.items():
                asked = questions(size, pairs, turn * _PAIRED if pairs == _PAIRED else 0)
                spent[size].append(microseconds_each(policy, asked))
        smallest, largest = spent[SIZES[0]], spent[SIZES[-1]]
        lines.append(to_target(f"decision, {way}", median(largest), TARGET_US, "us"))
        for size in SIZES[1:]:
            target = GROWTH if size == SIZES[-1] else None
            name = f"decision, {way}: {size:,} organisations to {SIZES[0]}"
            lines.append(in_turns(name, spent[size], smallest, unit="us", target=target))
    return lines


def network(document: Mapping[str, Any], *, organisations: int, permits_each: int) -> Policy:
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
            "order": f"F.{step}.{origin}/2026",
            "origin": f"D{origin}",
            "destination": f"D{(origin + step) % organisations}",
            "direction": "one-way",
            "actions": ["invite", "join"],
            "max_class": "restricted",
            "from": "2026-01-01T00:00:00Z",
            "until": "2027-01-01T00:00:00Z",
        }
        for step, origin in product(range(1, permits_each + 1), range(organisations))
    ]
    plain = {
        **document,
        "organisations": divisions,
        "permits": granted,
        "not_after": "2026-12-31T00:00:00Z",
    }
    return Policy(parse_document(plain))


def questions(organisations: int, pairs: int, start: int) -> list[Action]:
    """Acts to judge: of each origin one that a permit allows, and one that nothing allows.

    Args:
        organisations: How many there are.
        pairs: How many different origins ask.
        start: The number of the first.
    """
    room = Room(room_id="!r", room_class="restricted", owner=None)
    origins = [(start + number % pairs) * _STRIDE % organisations for number in range(_PAIRED)]
    return [
        Action(
            kind=ActionKind.INVITE,
            origin=f"s{origin}.gov.test",
            destination=f"s{(origin + step) % organisations}.gov.test",
            room=room,
        )
        for origin in origins
        for step in (_WITH_PERMIT, organisations // 2)
    ]


def microseconds_each(policy: Policy, asked: list[Action]) -> float:
    """CPU microseconds for one decision."""
    gc.disable()
    try:
        begun = time.thread_time_ns()
        for action in asked:
            decide(policy, action, NOW)
        return (time.thread_time_ns() - begun) / 1000 / len(asked)
    finally:
        gc.enable()
