"""What a room's class asks of its state events: rules D4 to D13 and D18, each a pure question.

The values compared with come from the policy (`RoomClass`) or from the judge's answers about
servers; a rule returns the reason against an event, or None.
"""

from collections.abc import Collection, Mapping
from typing import Any

from rabta_policy import RoomClass
from rabta_policy.label import ROOM_CLASS
from rabta_policy.record import ROOM_RECORD, RecordCategory, category_of
from rabta_synapse.refusal import Refusal

MEGOLM = "m.megolm.v1.aes-sha2"
"""The only room encryption algorithm of the Matrix specification (client-server API, 11.12)."""

FULL_POWER = 100

GUARDED = (
    ROOM_CLASS,
    ROOM_RECORD,
    "m.room.encryption",
    "m.room.server_acl",
    "m.room.history_visibility",
    "m.room.power_levels",
    "m.room.tombstone",
    # What the door would refuse here, a moderator of another ministry could send from there.
    "m.room.join_rules",
    "m.room.guest_access",
)
"""State that only full power may change, and so nobody of another organisation."""

UNREDACTABLE = frozenset({"m.room.create", *GUARDED[:5]})
"""State that nobody may redact: it would be empty."""

REDACT = "redact"
"""Key of the power levels for taking away what others wrote; state events are not excepted."""

CLEAR = frozenset(
    {
        "m.room.encrypted",
        "m.room.redaction",
        # Clients never encrypt these: one emoji, and where a call or a dummy stands.
        "m.reaction",
        "org.matrix.dummy_event",
        "m.rtc.notification",
        "org.matrix.msc4075.rtc.notification",
        "m.call.notify",
        "org.matrix.msc4075.call.notify",
    }
)
"""Message-like event types that carry no content of people's and may stay unencrypted."""

ORDINARY = CLEAR - {"m.room.redaction"}
"""Those of them that no rule holds against the room's state: allowed in every room."""


def plain(
    event_type: str, *, encrypted: bool, required: bool, clear: Collection[str]
) -> Refusal | None:
    """D4. What people write goes encrypted where the room is encrypted or its class asks it."""
    if event_type in CLEAR or event_type in clear or not (encrypted or required):
        return None
    return Refusal(
        code="plain-content",
        rule="D4",
        text=f"A plain {event_type} was refused: this room is encrypted, and what is sent "
        "in it must be encrypted too.",
        cure="Use a client that supports encryption and has it switched on.",
    )


def encryption(new: Mapping[str, Any], current: Mapping[str, Any] | None) -> Refusal | None:
    """D5. Encryption is megolm, and once on it stays as it is."""
    if current is not None and dict(new) != dict(current) and current.get("algorithm") == MEGOLM:
        return Refusal(
            code="encryption-fixed",
            rule="D5",
            text="The encryption of a room cannot be changed or taken away.",
            cure="Make a new room.",
        )
    if new.get("algorithm") != MEGOLM:
        return Refusal(
            code="encryption-algorithm",
            rule="D5",
            text=f"Rooms are encrypted with {MEGOLM} and nothing else.",
            cure=f"Set the algorithm to {MEGOLM}.",
        )
    return None


def redaction(guarded_type: str | None) -> Refusal | None:
    """D6. Redacting encryption, ACL, history visibility or the label would empty it."""
    if guarded_type is None:
        return None
    return Refusal(
        code="redaction-of-guard",
        rule="D6",
        text=f"{guarded_type} cannot be removed from a room.",
        cure="Leave it; a wrong value is corrected by sending the right one.",
    )


def server_acl(new: Mapping[str, Any], permitted: Collection[str]) -> Refusal | None:
    """D7. A server ACL names servers, and only such as the policy lets into the room."""
    allow = new.get("allow")
    names = allow if isinstance(allow, list | tuple) else []
    outside = sorted({str(name) for name in names} - set(permitted))
    if new.get("allow_ip_literals") is False and names and not outside:
        return None
    return Refusal(
        code="acl-wider-than-policy",
        rule="D7",
        text="The server list of this room may hold only servers the policy lets in"
        + (f"; not {', '.join(outside[:3])}." if outside else ", by name, without IP addresses."),
        cure="Leave the list to the door; it follows the policy.",
    )


def power_levels(new: Mapping[str, Any], *, settled: bool, ours: Collection[str]) -> Refusal | None:
    """D8. Full power stays in the owning organisation, and what is guarded needs full power.

    Args:
        new: Content of the power levels event.
        settled: The room has power levels already; at creation the door writes them itself.
        ours: The user ids in the event that belong to the owning organisation.
    """
    users, events = new.get("users"), new.get("events")
    users = users if isinstance(users, Mapping) else {}
    events = events if isinstance(events, Mapping) else {}
    strangers = sorted(
        user
        for user, level in users.items()
        if user not in ours and _level(level, FULL_POWER) >= FULL_POWER
    )
    if strangers or _level(new.get("users_default", 0), FULL_POWER) >= FULL_POWER:
        return Refusal(
            code="foreign-power",
            rule="D8",
            text="Only people of the ministry that owns the room may hold full power in it"
            + (f"; not {strangers[0]}." if strangers else "."),
            cure="Give at most power level 99.",
        )
    default = _level(new.get("state_default", 50), 0)
    weak = [kind for kind in GUARDED if _level(events.get(kind, default), 0) < FULL_POWER]
    if _level(new.get(REDACT, 50), 0) < FULL_POWER:
        weak.append(REDACT)
    if settled and weak:
        return Refusal(
            code="guard-weakened",
            rule="D8",
            text=f"{weak[0]} must need power level {FULL_POWER}.",
            cure=f"Leave {weak[0]} at {FULL_POWER} in the power levels.",
        )
    return None


def acl_content(servers: Collection[str]) -> dict[str, object]:
    """Content of an `m.room.server_acl` that admits exactly these servers."""
    return {"allow": sorted(servers), "deny": [], "allow_ip_literals": False}


def creators(new: Mapping[str, Any], ours: Collection[str]) -> Refusal | None:
    """D9. Nobody of another organisation becomes a creator (room version 12): it is for ever."""
    additional = new.get("additional_creators")
    named = additional if isinstance(additional, list | tuple) else []
    strangers = [str(user) for user in named if user not in ours]
    if not strangers:
        return None
    return Refusal(
        code="foreign-creator",
        rule="D9",
        text=f"{strangers[0]} belongs to another ministry and cannot become a creator: "
        "a creator's power cannot be taken back.",
        cure="Leave them out of additional_creators and invite them.",
    )


def join_rule(new: Mapping[str, Any], room_class: RoomClass) -> Refusal | None:
    """D10. The join rule is one the class allows."""
    rule = new.get("join_rule")
    if isinstance(rule, str) and room_class.allows_join_rule(rule):
        return None
    return Refusal(
        code="join-rule-looser-than-class",
        rule="D10",
        text=f"Rooms of class {room_class.name} may not have the join rule {rule}.",
        cure=f"Choose {' or '.join(room_class.join_rules)}.",
    )


def history_visibility(new: Mapping[str, Any], room_class: RoomClass) -> Refusal | None:
    """D11. History is not shown more widely than the class allows."""
    visible = new.get("history_visibility")
    if isinstance(visible, str) and room_class.allows_history(visible):
        return None
    return Refusal(
        code="history-looser-than-class",
        rule="D11",
        text=f"Rooms of class {room_class.name} may not show their history as {visible}.",
        cure=f"Choose {room_class.history_visibility} or stricter.",
    )


def guest_access(new: Mapping[str, Any], room_class: RoomClass) -> Refusal | None:
    """D12. Guests come in only where the class allows guests."""
    if room_class.guests or new.get("guest_access") == "forbidden":
        return None
    return Refusal(
        code="guests-looser-than-class",
        rule="D12",
        text=f"Rooms of class {room_class.name} are closed to guests.",
        cure="Set guest_access to forbidden.",
    )


def label(new_rank: int | None, current_rank: int | None) -> Refusal | None:
    """D13. A label names a class of the policy and may be raised, never lowered."""
    if new_rank is None:
        return Refusal(
            code="class-unknown",
            rule="D13",
            text="The label must name a class of the policy in force.",
            cure='Give {"class": ...} with a class your administrator has told you.',
        )
    if current_rank is not None and new_rank < current_rank:
        return Refusal(
            code="label-lowered",
            rule="D13",
            text="The class of a room can be raised but not lowered.",
            cure="Make a new room of the lower class.",
        )
    return None


def record(new: Mapping[str, Any], current: RecordCategory | None) -> Refusal | None:
    """D18. A room's record category is one of the four; what is kept longer is not kept less."""
    category = category_of(new)
    if category is None:
        return Refusal(
            code="category-unknown",
            rule="D18",
            text="The record category of a room is A, B, C or D.",
            cure='Give {"category": ...} with one of them.',
        )
    if current is not None and category.keeps_less_than(current):
        return Refusal(
            code="category-shortened",
            rule="D18",
            text=f"This room is kept as category {current}, and not less from now on.",
            cure="Make a new room of the other category.",
        )
    return None


LIFETIME_BY_CATEGORY = Refusal(
    code="lifetime-by-category",
    rule="D18",
    text="How long the messages of a room are kept follows from its record category alone.",
    cure="Ask the records officer of the ministry for another category.",
)
"""D18, against `m.room.retention`: another server might destroy by it."""


def _level(value: object, otherwise: int) -> int:
    """A power level; what is no integer counts as `otherwise`, the side that closes."""
    return value if isinstance(value, int) else otherwise
