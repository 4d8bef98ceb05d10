"""Room classes: what a label demands of a room, and what a card may show of a file."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

ROOM_CLASSES = ("unclassified", "restricted", "confidential")
"""From loosest to strictest. What is graded higher never lives in a room."""

NEVER_IN_A_ROOM = frozenset({"secret", "top_secret", "top-secret"})

HISTORY = ("joined", "invited", "shared", "world_readable")
"""History visibility from closest to loosest (Client-Server API, Room History Visibility)."""

FEDERATION = ("none", "listed", "all")
DECIDE = ("no", "confirm", "yes")

Federation = Literal["none", "listed", "all"]
HistoryVisibility = Literal["joined", "invited", "shared", "world_readable"]
JoinRule = Literal["invite", "restricted", "knock", "knock_restricted", "public", "private"]
Decide = Literal["yes", "confirm", "no"]
MediaType = Annotated[
    str, Field(pattern=r"^(\*/\*|[a-z]+/(\*|[a-z0-9][a-z0-9.+-]*))$", examples=["image/*"])
]


class CardRule(BaseModel):
    """What the chat card of a file of this class may carry."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    subject: bool = Field(description="whether the card shows the file's subject")
    remarks: bool = Field(description="whether the card shows the movement's remarks")
    attachments: bool = Field(description="whether documents come along")
    decide: Decide = Field(description="whether a decision may be taken from chat")


class MediaRule(BaseModel):
    """What may be attached in a room of this class."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_bytes: int = Field(ge=0, strict=True, description="largest attachment in bytes; 0 forbids")
    types: tuple[MediaType, ...] = Field(description="MIME types, `image/*` for a whole family")

    def covers(self, media_type: str, size: int) -> bool:
        """Whether an attachment of this MIME type and size in bytes may be posted."""
        family = media_type.partition("/")[0] + "/*"
        return size <= self.max_bytes and not {media_type, family, "*/*"}.isdisjoint(self.types)


class RoomClassRule(BaseModel):
    """One class as the policy writes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    encryption_required: bool = Field(description="whether a room must be encrypted")
    federation: Federation = Field(
        description="none: one server only; listed: whom the owner, too, may deal with; "
        "all: whoever has the right with the other side"
    )
    history_visibility: HistoryVisibility = Field(description="the loosest that is allowed")
    join_rules: tuple[JoinRule, ...] = Field(min_length=1, description="the join rules allowed")
    publish: bool = Field(description="whether a room may stand in a room directory")
    guests: bool = Field(description="whether guest accounts may enter")
    media: MediaRule
    card: CardRule


class RoomClass(RoomClassRule):
    """One class with its name and its place in the order (0 is the loosest)."""

    name: str
    rank: int

    def allows_history(self, visibility: str) -> bool:
        """Whether a room of this class may have this history visibility."""
        return visibility in HISTORY[: HISTORY.index(self.history_visibility) + 1]

    def allows_join_rule(self, join_rule: str) -> bool:
        """Whether a room of this class may have this join rule."""
        return join_rule in self.join_rules


class RoomClasses(BaseModel):
    """The three classes of rooms; there is no fourth, for secret and above never live in a room."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    unclassified: RoomClassRule
    restricted: RoomClassRule
    confidential: RoomClassRule

    def named(self) -> dict[str, RoomClass]:
        """The classes by name, loosest first."""
        return {
            name: RoomClass(name=name, rank=rank, **getattr(self, name).model_dump())
            for rank, name in enumerate(ROOM_CLASSES)
        }


def closed_class(name: str) -> RoomClass:
    """What a class that no room may have allows: nothing. For `secret`, and for unknown words."""
    return RoomClass(
        name=name,
        rank=len(ROOM_CLASSES),
        encryption_required=True,
        federation="none",
        history_visibility="joined",
        join_rules=("invite",),
        publish=False,
        guests=False,
        media=MediaRule(max_bytes=0, types=()),
        card=CardRule(subject=False, remarks=False, attachments=False, decide="no"),
    )
