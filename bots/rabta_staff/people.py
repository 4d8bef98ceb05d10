"""Persons, posts and charges as a ministry's staff office knows them. Pure values."""

import re
from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal["regular", "additional", "current", "acting", "look_after"]
KINDS: tuple[str, ...] = get_args(Kind)
Language = Literal["en", "ur"]

ENDS_SESSIONS = frozenset({"regular", "current", "acting"})
"""Who loses a charge of these kinds has left a desk: every session ends, and the person signs in
again. An additional or look-after charge that ends takes its rooms along and no more."""

NUMBER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
"""How e-Office's ids of persons and posts are spelt."""
LOCALPART = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
LONGEST_NAME = 120
LONGEST_SHOWN = 255
"""Synapse takes a display name of 256 characters at most."""


@dataclass(frozen=True, slots=True)
class Person:
    """A person.

    Attributes:
        number: e-Office's id, the staff office's number.
        user_name: What the person signs in with; unique, compared without case.
        name: In Latin letters.
        name_ur: In Urdu.
        language: Of cards and answers.
        subject: By which the ministry's single sign-on knows the person, where it does.
    """

    number: str
    user_name: str
    name: str
    name_ur: str | None = None
    language: Language = "en"
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class Post:
    """A post.

    Attributes:
        number: e-Office's id.
        grade: Basic pay scale, 1 to 22.
        reports_to: Number of the post above.
    """

    number: str
    designation: str
    designation_ur: str | None = None
    section: str | None = None
    grade: int | None = None
    reports_to: str | None = None


@dataclass(frozen=True, slots=True)
class Charge:
    """A person holds a post."""

    post: str
    person: str
    kind: Kind = "regular"


def shown_name(name: str, posts: list[Post]) -> str:
    """The display name, by which people find each other: name, post and section.

    Args:
        name: Of the person.
        posts: Those the person holds; the first is the one that is shown.
    """
    if not posts:
        return name[:LONGEST_SHOWN]
    post = posts[0]
    says_section = post.section and post.section not in post.designation
    where = f"{post.designation}, {post.section}" if says_section else post.designation
    return f"{name} ({where})"[:LONGEST_SHOWN]


def localpart_of(user_name: str) -> str:
    """The local part that a user name asks for; never empty."""
    plain = re.sub(r"[^a-z0-9._-]+", ".", user_name.partition("@")[0].lower()).strip("._-")
    return plain[:48] or "officer"
