"""Changes one JSON document into another: a place in it gets a value that somebody might send."""

import json
from random import Random  # noqa: TID251 - the fuzzer's seed decides, so a throw can be repeated
from typing import Any

WORDS = (
    *("", "\x00", "\ud800", "=" * 43, "A" * 43, "A" * 5000, "$SESSION_ID", "$SESSION_KEY"),
    *("$CURVE", "$ED", "$EVENT", "@officer:itt.gov.test", "@a\x00:itt.gov.test"),
    *("!room:itt.gov.test", "m.room_key", "m.room.encrypted", "m.room.member", "m.dummy"),
    *("m.megolm.v1.aes-sha2", "m.olm.v1.curve25519-aes-sha2", "m.forwarded_room_key"),
    *("m.room_key.withheld", "m.room_key_bundle", "join", "ban", "shared", "world_readable"),
)
VALUES = (None, True, False, 0, -1, 2**31, 2**63, 2**70, 1.5, 1e308, [], {}, [[]], {"": {}})


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """A document like `data`, changed in one to three places.

    Args:
        data: A document, or any bytes.
        max_size: Of the result, in bytes.
        seed: Decides everything.
    """
    chance = Random(seed)  # noqa: S311 - no secret hangs on it
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        document = {"to_device": [{}], "timeline": [{}]}
    for _ in range(chance.randint(1, 3)):
        document = _changed(document, chance)
    made = json.dumps(document).encode()
    return made if len(made) <= max_size else data[:max_size]


def _changed(value: Any, chance: Random) -> Any:
    """Mostly deeper, at the leaves something else."""
    if isinstance(value, dict) and value and chance.random() < 0.8:
        return _changed_object(value, chance)
    if isinstance(value, list) and value and chance.random() < 0.8:
        at = chance.randrange(len(value))
        if chance.randrange(6) == 0:
            return [*value, value[at]]
        return [*value[:at], _changed(value[at], chance), *value[at + 1 :]]
    if isinstance(value, str) and value and chance.random() < 0.3:
        at = chance.randrange(len(value))
        return value[:at] + chance.choice(("\x00", "A", "=", "é", "")) + value[at + 1 :]
    return chance.choice(WORDS if chance.random() < 0.5 else VALUES)


def _changed_object(value: dict[str, Any], chance: Random) -> dict[str, Any]:
    key = chance.choice(list(value))
    match chance.randrange(8):
        case 0:
            return {name: one for name, one in value.items() if name != key}
        case 1:
            return {**value, str(chance.choice(WORDS)): value[key]}
        case _:
            return {**value, key: _changed(value[key], chance)}
