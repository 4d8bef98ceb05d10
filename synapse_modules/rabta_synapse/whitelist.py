"""Fills Synapse's federation whitelist from the policy, in place, so that it holds at once."""

from collections.abc import Set as AbstractSet


def refill(whitelist: dict[str, bool], servers: AbstractSet[str]) -> bool:
    """Make the whitelist name exactly these servers; what closes, closes first.

    Returns:
        True when anything changed.
    """
    gone = whitelist.keys() - servers
    new = servers - whitelist.keys()
    for name in gone:
        del whitelist[name]
    for name in new:
        whitelist[name] = True
    return bool(gone or new)
