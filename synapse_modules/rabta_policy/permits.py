"""Relations and permits: what organisations may do to each other by what they are, and by order."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from rabta_policy.actions import ActionKind
from rabta_policy.moments import Moment
from rabta_policy.registry import Ceiling, Code

GroupName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,63}$", examples=["economic-circle"])]
Party = Annotated[
    str,
    Field(
        pattern=r"^([A-Z][A-Z0-9]{1,15}|[a-z][a-z0-9-]{0,63})$",
        description="an organisation's code (capitals) or a group's name (small letters)",
    ),
]
RoomId = Annotated[str, Field(pattern=r"^![^\s]{1,254}$", examples=["!opaque"])]


class Right(BaseModel):
    """The actions a relation allows, and up to which class."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    actions: tuple[ActionKind, ...] = ()
    max_class: Ceiling = "unclassified"


class ParentChild(BaseModel):
    """The two directions between an organisation and the one it is under."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    downward: Right = Field(default=Right(), description="what the parent may do to the child")
    upward: Right = Field(default=Right(), description="what the child may do to the parent")


class Relations(BaseModel):
    """What each relation allows. What is not listed is not allowed."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    same: Right = Right()
    parent_child: ParentChild = Field(default=ParentChild(), alias="parent-child")
    siblings: Right = Right()
    division_division: Right = Field(default=Right(), alias="division-division")
    other: Right = Right()


class Permit(BaseModel):
    """An exception by order: from one party to another, for a time that is always written."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    order: str = Field(min_length=1, max_length=200, description="the order's number")
    origin: Party
    destination: Party
    direction: Literal["both", "one-way"] = Field(description="one-way: origin to destination only")
    room: RoomId | None = Field(default=None, description="for this room alone")
    actions: tuple[ActionKind, ...] = Field(min_length=1)
    max_class: Ceiling
    from_: Moment = Field(alias="from")
    until: Moment


Groups = dict[GroupName, tuple[Code, ...]]
