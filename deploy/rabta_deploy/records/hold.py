"""A legal hold: by order of somebody, what a room holds is destroyed by nobody. Pure."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

Line = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]+$")]


class Lift(BaseModel):
    """The end of a hold, which two persons answer for."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    order: Line
    by: Line
    countersigned: Line
    at: AwareDatetime


class Hold(BaseModel):
    """One hold.

    Attributes:
        id: `H0001` and on, given by the register.
        kind: What `subject` names: a room, a person or a file of e-Office.
        subject: Room id, Matrix user id, or file number.
        order: Number of the order that asked for it.
        by: Who placed it.
        at: When.
        until: When it ends by itself; None: when it is lifted.
        lift: How it was lifted, None while it was not.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    id: Annotated[str, Field(pattern=r"^H[0-9]{4,}$")]
    kind: Literal["room", "person", "file"]
    subject: Line
    order: Line
    by: Line
    at: AwareDatetime
    until: AwareDatetime | None = None
    lift: Lift | None = None

    def in_force(self, now: datetime) -> bool:
        """Whether it stops what would be destroyed now."""
        return self.lift is None and (self.until is None or now < self.until)
