"""Decides what a list of staff changes: joins, transfers, leaves. Pure; nothing is done here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from rabta_staff.people import Charge, Person, Post
from rabta_staff.staff_list import StaffList

Act = Literal["post", "join", "return", "amend", "assume", "relinquish", "leave"]


@dataclass(frozen=True, slots=True)
class Roll:
    """Who serves now.

    Attributes:
        persons: Number -> person, those who have left too.
        active: Numbers of those who serve.
        posts: Number -> post.
        charges: Those that have not ended.
    """

    persons: Mapping[str, Person] = field(default_factory=dict)
    active: frozenset[str] = frozenset()
    posts: Mapping[str, Post] = field(default_factory=dict)
    charges: frozenset[Charge] = frozenset()


@dataclass(frozen=True, slots=True)
class Move:
    """One change.

    Attributes:
        act: What is done.
        about: Number of the person, or of the post.
        post: Number of the post, of a charge.
        kind: Of a charge.
        order_no: The order it rests on.
    """

    act: Act
    about: str
    post: str | None = None
    kind: str | None = None
    order_no: str | None = None

    def __str__(self) -> str:
        held = f"{self.post} ({self.kind})"
        order = f", order {self.order_no}" if self.order_no else ""
        return {
            "post": f"post {self.about} is written down",
            "join": f"{self.about} joins",
            "return": f"{self.about} returns",
            "amend": f"{self.about} is written down anew",
            "assume": f"{self.about} takes charge of {held}{order}",
            "relinquish": f"{self.about} relinquishes {held}",
            "leave": f"{self.about} leaves",
        }[self.act]


def moves(present: Roll, wanted: StaffList, *, whole: bool) -> list[Move]:
    """What brings the present to what a list says, in the order in which it is done.

    Args:
        present: Who serves now.
        wanted: The list; whoever stands in it holds the charges it names and no others.
        whole: The list is all of the ministry: whoever does not stand in it leaves.
    """
    found = [
        Move("post", number)
        for number, post in wanted.posts.items()
        if present.posts.get(number) != post
    ]
    for number, person in wanted.persons.items():
        known = present.persons.get(number)
        if known is None:
            found.append(Move("join", number))
            continue
        if number not in present.active:
            found.append(Move("return", number))
        if _told(known, person) != known:
            found.append(Move("amend", number))
    found += [
        Move("relinquish", charge.person, charge.post, charge.kind)
        for charge in sorted(present.charges - wanted.charges.keys(), key=_order)
        if charge.person in wanted.persons
    ]
    found += [
        Move("assume", charge.person, charge.post, charge.kind, order_no)
        for charge, order_no in wanted.charges.items()
        if charge not in present.charges
    ]
    leaving = set(wanted.left)
    if whole:
        leaving |= present.active - wanted.persons.keys()
    return [*found, *(Move("leave", number) for number in sorted(leaving & present.active))]


def _told(known: Person, told: Person) -> Person:
    """A person as a list tells of her or him; a user name that it leaves out stays."""
    if told.user_name == told.number:
        return Person(
            told.number, known.user_name, told.name, told.name_ur, told.language, told.subject
        )
    return told


def told_of(known: Person | None, told: Person) -> Person:
    """What is written down of a person in a list."""
    return told if known is None else _told(known, told)


def _order(charge: Charge) -> tuple[str, str]:
    return charge.person, charge.post
