"""Decides whether and when to try again. Pure: retry decisions are values."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from tenacity import RetryCallState
from tenacity.wait import wait_exponential

from rabta_bots.matrix import MatrixError

SHORTEST = timedelta(seconds=1)
LONGEST = timedelta(minutes=5)
WITHOUT_READER = timedelta(seconds=15)

# The reader is not there yet: the file's other cards need not wait for him.
READERLESS = frozenset({"no-reader", "identity-changed"})


@dataclass(frozen=True, slots=True)
class Permanent:
    """No repeat will help until somebody changes something.

    Args:
        moot: Whether it need not be sent any more, so that nobody has to act.
    """

    reason: str
    moot: bool = False


@dataclass(frozen=True, slots=True)
class Again:
    """Try again at a moment.

    Args:
        waiting: Whether the others of the stream go on meanwhile.
    """

    at: datetime
    reason: str
    waiting: bool = False


def backoff(attempts: int) -> timedelta:
    """How long to wait after so many failed attempts: 1 s doubling up to 5 minutes."""
    state = RetryCallState(None, None, (), {})  # type: ignore[arg-type]  # only the count is read
    state.attempt_number = min(attempts + 1, 20)
    rule = wait_exponential(multiplier=1, exp_base=2, max=LONGEST.total_seconds())
    return max(timedelta(seconds=rule(state)), SHORTEST)


def after_matrix_error(error: MatrixError, attempts: int, now: datetime) -> Permanent | Again:
    """What to do after a message could not be sent."""
    if error.reason in READERLESS:
        return Again(now + WITHOUT_READER, error.reason, waiting=True)
    if error.permanent:
        return Permanent(error.reason)
    wait = max(backoff(attempts), error.retry_after or timedelta(0))
    return Again(now + wait, error.reason)


def without_reader(reason: str, now: datetime) -> Again:
    """What to do while nobody can read a card."""
    return Again(now + WITHOUT_READER, reason, waiting=True)
