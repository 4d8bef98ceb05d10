"""What is written down of the staff: one line for each act."""

from dataclasses import dataclass
from typing import Literal

Act = Literal[
    "staff-joined",
    "staff-changed",
    "staff-left",
    "staff-returned",
    "staff-forgotten",
    "post-added",
    "post-changed",
    "post-closed",
    "charge-assumed",
    "charge-relinquished",
    "password-given",
]


@dataclass(frozen=True, slots=True)
class Note:
    """One line for the audit; person and post by e-Office's ids."""

    act: Act
    person: str | None = None
    post: str | None = None
    order: str | None = None

    def __str__(self) -> str:
        told = (self.act, self.person, self.post, self.order)
        return " ".join(part for part in told if part)
