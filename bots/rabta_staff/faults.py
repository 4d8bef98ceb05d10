"""What is wrong with settings, a list of staff or an act, each with its place and its cure."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Attributes:
        place: Where it stands, for example `row 7, kind`.
        says: What is wrong, as a sentence without its full stop.
        cure: What to do about it.
    """

    place: str
    says: str
    cure: str

    def __str__(self) -> str:
        return f"{self.place}: {self.says}; {self.cure}"


class StaffError(Exception):
    """Refused, with a stable reason code and every fault at once.

    Attributes:
        reason: Code, see docs/reference/scim.md.
        faults: At least one.
    """

    def __init__(self, reason: str, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join([reason, *(f"  {fault}" for fault in faults)]))
        self.reason = reason
        self.faults = tuple(faults)


def refused(reason: str, place: str, says: str, cure: str) -> StaffError:
    """One fault as an error."""
    return StaffError(reason, [Fault(place, says, cure)])
