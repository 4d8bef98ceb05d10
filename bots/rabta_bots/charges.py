"""Decides who holds a post at a moment, from dated charges. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

# When two charges of one post began at the same moment, the fuller one is the holder's.
RANK = {"look_after": 0, "additional": 1, "current": 2, "acting": 3, "regular": 4}


@dataclass(frozen=True, slots=True)
class Charge:
    """A person's charge of a post.

    Args:
        kind: regular, additional, current, acting or look_after.
        may_decide: False for a look-after charge, or when the order says so.
        begins: First moment of the charge.
        ends: First moment after it, or None while no end is known.
    """

    post_id: str
    person_id: str
    kind: str
    may_decide: bool
    begins: datetime
    ends: datetime | None = None

    def in_force(self, at: datetime) -> bool:
        """Whether the charge covers the moment."""
        return self.begins <= at and (self.ends is None or at < self.ends)


def holder(charges: Iterable[Charge], at: datetime) -> Charge | None:
    """The charge that holds the post at the moment; the one begun last wins.

    A look-after arrangement begun while the regular holder is away therefore holds the post
    until it ends, and the regular charge holds it again afterwards.
    """
    current = [charge for charge in charges if charge.in_force(at)]
    return max(current, key=lambda charge: (charge.begins, RANK[charge.kind]), default=None)
