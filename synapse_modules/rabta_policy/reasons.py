"""Every reason for a denial: its code, the rule it stands for, and its words."""

from dataclasses import dataclass
from enum import StrEnum


class ReasonCode(StrEnum):
    """Stable public words; logs, metrics, audit, docs and tests use the same."""

    POLICY_EXPIRED = "policy-expired"
    POLICY_IN_GRACE = "policy-in-grace"
    SERVER_UNKNOWN = "server-unknown"
    ORGANISATION_NOT_BEGUN = "organisation-not-begun"
    ORGANISATION_PLANNED = "organisation-planned"
    ORGANISATION_SUSPENDED = "organisation-suspended"
    ORGANISATION_RETIRED = "organisation-retired"
    PHASE_CLOSED = "phase-closed"
    SERVER_NOT_PINNED = "server-not-pinned"
    ROOM_MISSING = "room-missing"
    CLASS_UNKNOWN = "class-unknown"
    CLASS_NEVER_IN_A_ROOM = "class-never-in-a-room"
    CLASS_DOES_NOT_FEDERATE = "class-does-not-federate"
    CLASS_ABOVE_CEILING = "class-above-ceiling"
    CLASS_NOT_PUBLISHED = "class-not-published"
    CLASS_WITHOUT_KNOCK = "class-without-knock"
    NO_PERMIT = "no-permit"
    CLASS_ABOVE_RELATION = "class-above-relation"
    PERMIT_NOT_IN_FORCE = "permit-not-in-force"
    CLASS_ABOVE_PERMIT = "class-above-permit"
    OWNER_UNKNOWN = "owner-unknown"
    OWNER_HAS_NO_RIGHT = "owner-has-no-right"
    ACTOR_NOT_OF_ORIGIN = "actor-not-of-origin"
    CLOCK_WITHOUT_ZONE = "clock-without-zone"


@dataclass(frozen=True, slots=True)
class Wording:
    """How a reason is numbered and said."""

    rule: str
    text: str
    cure: str


CATALOGUE = {
    ReasonCode.POLICY_EXPIRED: Wording(
        "R1",
        "The policy and its days of grace are over; every server talks to itself alone.",
        "Install the policy with the next serial; the network authority signs it.",
    ),
    ReasonCode.POLICY_IN_GRACE: Wording(
        "R2",
        "The policy is in its days of grace: no new {action} across organisations.",
        "Install the policy with the next serial; existing rooms go on meanwhile.",
    ),
    ReasonCode.SERVER_UNKNOWN: Wording(
        "R3",
        "{subject} stands in no entry of the registry.",
        "Check the server name; a new organisation is added by the network authority.",
    ),
    ReasonCode.ORGANISATION_NOT_BEGUN: Wording(
        "R3",
        "{subject} stands in the registry for a later date only.",
        "Wait for that date, or ask the network authority for an earlier one.",
    ),
    ReasonCode.ORGANISATION_PLANNED: Wording(
        "R4",
        "{subject} is planned and not yet active.",
        "The network authority sets its status to active once its server is ready.",
    ),
    ReasonCode.ORGANISATION_SUSPENDED: Wording(
        "R4",
        "{subject} is suspended.",
        "Ask the network authority why, and by which order it can return.",
    ),
    ReasonCode.ORGANISATION_RETIRED: Wording(
        "R4",
        "{subject} is retired and nobody follows it.",
        "Write to the organisation that took over its work.",
    ),
    ReasonCode.PHASE_CLOSED: Wording(
        "R5",
        "The phase '{detail}' of {subject} is not open.",
        "Wait for the phase to open; its dates stand under `phases`.",
    ),
    ReasonCode.SERVER_NOT_PINNED: Wording(
        "R6",
        "The server of {subject} has no pinned address, CA and key.",
        "The organisation sends its server's address, CA and key to the network authority.",
    ),
    ReasonCode.ROOM_MISSING: Wording(
        "R7",
        "An act of kind {action} names no room, and its class cannot be judged.",
        "Name the room's class; the strictest that federates where it has no label.",
    ),
    ReasonCode.CLASS_UNKNOWN: Wording(
        "R7",
        "'{room_class}' is no class of this network.",
        "Label the room unclassified, restricted or confidential.",
    ),
    ReasonCode.CLASS_NEVER_IN_A_ROOM: Wording(
        "R7",
        "What is graded '{room_class}' never lives in a room.",
        "Deal with it on paper or in e-Office, as its grade demands.",
    ),
    ReasonCode.CLASS_DOES_NOT_FEDERATE: Wording(
        "R8",
        "A {room_class} room stays on one server; {origin} and {destination} are two.",
        "Use a room of a class that federates, or e-Office.",
    ),
    ReasonCode.CLASS_ABOVE_CEILING: Wording(
        "R9",
        "{subject} may be in rooms up to {detail}, and this one is {room_class}.",
        "Use a room of a lower class if the matter allows; the authority alone raises a ceiling.",
    ),
    ReasonCode.CLASS_NOT_PUBLISHED: Wording(
        "R10",
        "A {room_class} room stands in no room directory.",
        "Invite the people instead.",
    ),
    ReasonCode.CLASS_WITHOUT_KNOCK: Wording(
        "R10",
        "Nobody knocks at a {room_class} room.",
        "Ask a member of the room for an invitation.",
    ),
    ReasonCode.NO_PERMIT: Wording(
        "R11",
        "{subject}: the relation is '{detail}', and neither it nor any permit allows {action}.",
        "Ask the network authority for a permit with dates and an order number.",
    ),
    ReasonCode.CLASS_ABOVE_RELATION: Wording(
        "R11",
        "{subject}: the relation '{detail}' allows {action}, but not in a {room_class} room.",
        "Use a room of a lower class, or ask the network authority for a permit.",
    ),
    ReasonCode.PERMIT_NOT_IN_FORCE: Wording(
        "R12",
        "{subject}: a permit for {action} exists, but it is not in force today.",
        "Ask the network authority to renew it with new dates and an order number.",
    ),
    ReasonCode.CLASS_ABOVE_PERMIT: Wording(
        "R12",
        "{subject}: permit {detail} allows {action}, but not in a {room_class} room.",
        "Use a room of a lower class, or ask for a permit for this class.",
    ),
    ReasonCode.OWNER_UNKNOWN: Wording(
        "R13",
        "The room belongs to '{subject}', which stands in no entry of the registry.",
        "Label the room with the code of a known organisation.",
    ),
    ReasonCode.OWNER_HAS_NO_RIGHT: Wording(
        "R13",
        "The room belongs to {subject}, which has no such right with {detail}.",
        "Ask the owner's side for a permit, or use a room of one of the two.",
    ),
    ReasonCode.ACTOR_NOT_OF_ORIGIN: Wording(
        "R14",
        "{subject} is no user of {origin}.",
        "A server acts for its own users only; look for a forged event.",
    ),
    ReasonCode.CLOCK_WITHOUT_ZONE: Wording(
        "R15",
        "The time given to the judge has no time zone, so nothing can be said to be in force.",
        "Give `now` with its zone.",
    ),
}
"""The words of every code; a test holds the docs to it."""
