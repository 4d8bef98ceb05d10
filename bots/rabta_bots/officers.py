"""Finds the officer behind a post or an account: charge, person, Matrix user, language."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from rabta_bots.charges import Charge, holder
from rabta_bots.directory import Directory, Person
from rabta_bots.store.posts import (
    all_charges,
    all_posts,
    charges_of,
    chosen_language,
    chosen_languages,
    posts_with_charges,
)


@dataclass(frozen=True, slots=True)
class Officer:
    """A person as the directory and the person's own choice of language describe them."""

    person_id: str
    user_id: str
    language: str

    @property
    def server_name(self) -> str:
        """The homeserver of the officer's account."""
        return self.user_id.partition(":")[2]


def _officer(connection: Connection, person_id: str, person: Person) -> Officer:
    language = chosen_language(connection, person_id) or person.language
    return Officer(person_id, person.user_id, language)


def officer_of_user(connection: Connection, directory: Directory, user_id: str) -> Officer | None:
    """The officer who speaks from an account, or None for an account that nobody named."""
    person_id = directory.person_of_user.get(user_id)
    if person_id is None:
        return None
    return _officer(connection, person_id, directory.persons[person_id])


def holder_now(
    connection: Connection, directory: Directory, post_id: str, now: datetime
) -> tuple[Charge, Officer] | None:
    """Who holds the post now and has an account; None for a vacant post or a person without one."""
    charge = holder(charges_of(connection, post_id), now)
    if charge is None:
        return None
    person = directory.person(charge.person_id)
    if person is None:
        return None
    return charge, _officer(connection, charge.person_id, person)


def holders_now(
    connection: Connection, directory: Directory, now: datetime
) -> tuple[dict[str, str], datetime | None]:
    """Who holds which post now, all at once.

    Returns:
        Post id to Matrix user id of its holder, where it has one with an account; and when the
        next charge that is known begins or ends.
    """
    holders: dict[str, str] = {}
    known = all_charges(connection)
    for post_id, charges in known.items():
        charge = holder(charges, now)
        person = directory.person(charge.person_id) if charge is not None else None
        if person is not None:
            holders[post_id] = person.user_id
    moments = (
        moment
        for charges in known.values()
        for charge in charges
        for moment in (charge.begins, charge.ends)
        if moment is not None and moment > now
    )
    return holders, min(moments, default=None)


def posts_held(connection: Connection, person_id: str, now: datetime) -> list[str]:
    """The posts that the person holds now."""
    held = []
    for post_id in posts_with_charges(connection, person_id):
        charge = holder(charges_of(connection, post_id), now)
        if charge is not None and charge.person_id == person_id:
            held.append(post_id)
    return held


@dataclass(frozen=True, slots=True)
class Roll:
    """Who holds which post at one moment, of all posts at once.

    Args:
        holders: Post id to its charge and its officer; a vacant post is not in it.
        sections: `ORG/section` to its posts.
        organisations: Organisation to its posts.
    """

    holders: Mapping[str, tuple[Charge, Officer]]
    sections: Mapping[str, Sequence[str]]
    organisations: Mapping[str, Sequence[str]]


def roll_now(connection: Connection, directory: Directory, now: datetime) -> Roll:
    """Every post with its holder, in a few queries however many posts there are."""
    chosen = chosen_languages(connection)
    holders = {}
    for post_id, charges in all_charges(connection).items():
        charge = holder(charges, now)
        person = directory.person(charge.person_id) if charge else None
        if charge is not None and person is not None:
            language = chosen.get(charge.person_id, person.language)
            holders[post_id] = (charge, Officer(charge.person_id, person.user_id, language))
    sections: dict[str, list[str]] = defaultdict(list)
    organisations: dict[str, list[str]] = defaultdict(list)
    for post_id, org, section in all_posts(connection):
        organisations[org].append(post_id)
        if section:
            sections[f"{org}/{section}"].append(post_id)
    return Roll(holders, sections, organisations)
