"""What every callback answers when the door's own code fails: one decorator, a choice per callback.

The table of choices is in docs/reference/enforcement-points.md.
"""

import logging
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from synapse.api.errors import SynapseError
from twisted.internet.defer import CancelledError

from rabta_synapse.metrics import FAILURES
from rabta_synapse.refusal import FAILED

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


def closed(callback: Callable[P, Awaitable[T]], on_failure: T) -> Callable[P, Awaitable[T]]:
    """Wrap a callback so that a fault of ours is answered with `on_failure`.

    A `SynapseError` is a denial and passes; a cancelled request stays cancelled.
    """

    @wraps(callback)
    async def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await callback(*args, **kwargs)
        except (SynapseError, CancelledError):
            raise
        except Exception as fault:  # noqa: BLE001 - whatever failed, the answer is closed
            _count(callback, fault)
            return on_failure

    return guarded


def closed_by_raising(callback: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """Wrap a callback so that a fault of ours raises the 403 of `FAILED`.

    For the callbacks where a returned code would destroy content or cannot be returned.
    """

    @wraps(callback)
    async def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await callback(*args, **kwargs)
        except (SynapseError, CancelledError):
            raise
        except Exception as fault:
            _count(callback, fault)
            raise FAILED.error from fault

    return guarded


def _count(callback: Callable[..., object], fault: Exception) -> None:
    name = getattr(callback, "__name__", "callback")
    FAILURES.labels(name).inc()
    logger.error("%s failed and is answered as closed", name, exc_info=fault)
