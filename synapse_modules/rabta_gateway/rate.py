"""Token buckets, one per peer: a flood of one peer costs the others nothing."""

from collections import OrderedDict
from collections.abc import Callable

_MOST_KEYS = 4096


class RateLimiter:
    """At most `per_second` requests of each key in the long run, `burst` at once.

    Keys that have not asked for longest are forgotten beyond 4096, which a registry of
    servers never reaches and a flood of addresses may.
    """

    def __init__(self, *, per_second: float, burst: int, clock: Callable[[], float]) -> None:
        self._per_second = per_second
        self._burst = burst
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def admits(self, key: str) -> bool:
        """Take one token of `key`'s bucket; False when it is empty."""
        now = self._clock()
        tokens, seen = self._buckets.pop(key, (float(self._burst), now))
        tokens = min(float(self._burst), tokens + (now - seen) * self._per_second)
        admitted = tokens >= 1
        self._buckets[key] = (tokens - 1 if admitted else tokens, now)
        while len(self._buckets) > _MOST_KEYS:
            self._buckets.popitem(last=False)
        return admitted
