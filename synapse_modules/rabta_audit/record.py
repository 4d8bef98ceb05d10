"""What one audit line says. It holds identifiers and codes only, so content cannot slip in."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

# The longest identifiers are Matrix's own, 255 bytes (spec, appendices, "Identifier Grammar").
Identifier = Annotated[str, Field(max_length=255)]


class Record(BaseModel):
    """One decision, as the auditor reads it.

    Attributes:
        time: when it was decided, with an offset.
        serial: the serial of the policy that decided; 0 while there is none.
        path: the enforcement point, as docs/reference/enforcement-points.md names it.
        action: the judge's action (`invite`, `join`, ...), or the kind of the event audited.
        verdict: `allowed` or `denied`, or `noted` for a fact that is no decision.
        origin: the server that acts.
        destination: the server acted upon, where there is one.
        actor: the user id that acts, where it is known.
        room: the room id, where there is one.
        room_class: the class of that room.
        rules: the rules that decided ("R7"), in the order they were found.
        reasons: the reason codes of a denial.
        ref: the order number of the permit that allowed, where one did.
        events: ids of the events that a delivery carried.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    time: AwareDatetime
    serial: Annotated[int, Field(ge=0)]
    path: Identifier
    action: Identifier
    verdict: Literal["allowed", "denied", "noted"]
    origin: Identifier | None = None
    destination: Identifier | None = None
    actor: Identifier | None = None
    room: Identifier | None = None
    room_class: Identifier | None = None
    rules: tuple[Identifier, ...] = ()
    reasons: tuple[Identifier, ...] = ()
    ref: Identifier | None = None
    events: tuple[Identifier, ...] = ()

    @property
    def when(self) -> datetime:
        """The time as a datetime, for those who sort."""
        return self.time
