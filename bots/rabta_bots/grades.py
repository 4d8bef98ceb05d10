"""Decides what of a file's grade may be shown in chat, and in which class of room. Pure."""

from dataclasses import dataclass

from rabta_contract.vocabulary import Grade
from rabta_policy import Policy
from rabta_policy.classes import ROOM_CLASSES

CLASS_OF_GRADE = {
    Grade.UNCLASSIFIED: "unclassified",
    Grade.RESTRICTED: "restricted",
    Grade.CONFIDENTIAL: "confidential",
    # A notice without content; the file itself never lives in a room.
    Grade.SECRET: "confidential",
}


def fits(needed: str, room_class: str) -> bool:
    """Whether what asks for a class of room may be said in a room of another class."""
    return ROOM_CLASSES.index(needed) <= ROOM_CLASSES.index(room_class)


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a card of one grade may show and take.

    Args:
        room_class: The class of the room it lives in.
        notice: True when the card says no more than that something waits in e-Office.
        decide: `yes`, `confirm` or `no`, as the class says.
    """

    room_class: str
    notice: bool = False
    subject: bool = False
    remarks: bool = False
    attachments: bool = False
    decide: str = "no"


def allowance(policy: Policy, grade: Grade) -> Allowance | None:
    """What the policy allows for `grade`; None when it must not be bridged at all."""
    room_class = CLASS_OF_GRADE.get(grade)
    if room_class is None:
        return None
    rule = policy.room_class(room_class).card
    if not grade.carries_content:
        return Allowance(room_class, notice=True)
    return Allowance(
        room_class,
        subject=rule.subject,
        remarks=rule.remarks,
        attachments=rule.attachments,
        decide=rule.decide,
    )
