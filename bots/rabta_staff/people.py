"""What the register's resources mean to a ministry: names, numbers, who is known by which post."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from rabta_contract.vocabulary import ChargeKind
from rabta_staff.shapes import Group, Language, User, enterprise_of, post_of

ENDS_SESSIONS = frozenset({ChargeKind.REGULAR, ChargeKind.CURRENT, ChargeKind.ACTING})
"""Who loses a charge of these kinds has left a desk: every session ends, and the person signs in
again. An additional or look-after charge that ends takes its rooms along and no more."""

_RANK = {kind: rank for rank, kind in enumerate(ChargeKind)}
_LONGEST_SHOWN = 256
"""Synapse takes no longer display name (`MAX_DISPLAYNAME_LEN`)."""


@dataclass(frozen=True, slots=True)
class Charge:
    """A person has charge of a post.

    Attributes:
        person: SCIM's id.
        kind: In what capacity.
        begins: Since when, in this capacity.
        order_no: The order that it rests on.
    """

    person: str
    kind: ChargeKind
    begins: datetime
    order_no: str | None = None


def name_of(user: User) -> str:
    """The name by which colleagues know a person; never empty."""
    name = user.name
    parts = (name.given_name, name.family_name) if name else ()
    told = " ".join(part for part in parts if part)
    return user.display_name or (name.formatted if name else None) or told or user.user_name or ""


def number_of(user: User) -> str:
    """e-Office's id of a person: the personnel number, else the id that SCIM knows."""
    return enterprise_of(user).employee_number or str(user.id)


def language_of(user: User) -> Language:
    """Of cards and answers."""
    return "ur" if (user.preferred_language or "").lower().startswith("ur") else "en"


def post_number_of(group: Group) -> str:
    """e-Office's id of a post: its number, else the id that SCIM knows."""
    return post_of(group).post_number or str(group.id)


def shown_name(user: User, held: Iterable[tuple[Group, Charge]]) -> str:
    """The display name, by which people find each other: `Name, Post (Section)`.

    Args:
        user: The person.
        held: The posts the person has charge of; the fullest charge is shown, of two the later.
    """
    name = name_of(user)
    by_rank = sorted(held, key=lambda one: one[1].begins, reverse=True)
    known_by = min(by_rank, key=lambda one: _RANK[one[1].kind], default=None)
    if known_by is None:
        return name[:_LONGEST_SHOWN]
    group = known_by[0]
    section = post_of(group).section
    told = f"{name}, {group.display_name}" + (f" ({section})" if section else "")
    return told[:_LONGEST_SHOWN]


def localpart_of(user_name: str, taken: Iterable[str]) -> str:
    """The local part that a user name asks for, or the next that is free: a homonym's."""
    asked = re.sub(r"[^a-z0-9._-]+", ".", user_name.partition("@")[0].lower()).strip("._-")
    asked = asked[:48] or "officer"
    held, number = set(taken), 2
    if asked not in held:
        return asked
    while f"{asked}{number}" in held:
        number += 1
    return f"{asked}{number}"
