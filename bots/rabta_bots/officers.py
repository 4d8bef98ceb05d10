"""Finds the officer behind a post or an account: charge, person, Matrix user, language."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from rabta_bots.charges import Charge, holder
from rabta_bots.directory import Directory, Person
from rabta_bots.store.posts import charges_of, chosen_language, posts_with_charges


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


def posts_held(connection: Connection, person_id: str, now: datetime) -> list[str]:
    """The posts that the person holds now."""
    held = []
    for post_id in posts_with_charges(connection, person_id):
        charge = holder(charges_of(connection, post_id), now)
        if charge is not None and charge.person_id == person_id:
            held.append(post_id)
    return held
