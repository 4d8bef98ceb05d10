"""Knows which Matrix user a person of e-Office is, and in which language the person reads.

Where a ministry keeps its staff itself (rabta_staff), the directory also says who holds which post.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from rabta_bots.charges import Charge
from rabta_bots.faults import Fault, SettingsError
from rabta_bots.settings import UserId, parse_document
from rabta_bots.watched_file import WatchedFile
from rabta_contract.vocabulary import ChargeKind

Language = Literal["en", "ur"]
Id = Annotated[str, Field(min_length=1, max_length=128)]


class Person(BaseModel):
    """One officer.

    Args:
        user_id: The Matrix account that speaks for the person.
        language: Of the cards and answers, until the officer writes `lang`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    user_id: UserId
    name: str
    name_ur: str | None = None
    language: Language = "en"

    @property
    def server_name(self) -> str:
        """The homeserver of the account."""
        return self.user_id.partition(":")[2]


class Holding(BaseModel):
    """A person has charge of a post since a moment."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    person_id: Id
    kind: ChargeKind = ChargeKind.REGULAR
    from_: AwareDatetime = Field(alias="from")


class Post(BaseModel):
    """A post whose charges the directory keeps.

    Args:
        section: Within the organisation.
        reports_to: The superior post.
        charges: All that are in force; without any the post is vacant.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    designation: Annotated[str, Field(min_length=1)]
    designation_ur: str | None = None
    section: Annotated[str, Field(max_length=128)] | None = None
    reports_to: Id | None = None
    charges: tuple[Holding, ...] = ()

    def charges_of(self, post_id: str) -> list[Charge]:
        """The charges as the bridge keeps them."""
        return [
            Charge(post_id, one.person_id, one.kind.value, one.kind.may_decide, one.from_)
            for one in self.charges
        ]


class DirectoryDocument(BaseModel):
    """The directory file: person ids of e-Office to persons, and posts whose charges it keeps."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    persons: dict[Id, Person]
    posts: dict[Id, Post] = {}

    @model_validator(mode="after")
    def _one_person_each(self) -> "DirectoryDocument":
        seen: dict[str, str] = {}
        for person_id, person in self.persons.items():
            other = seen.setdefault(person.user_id, person_id)
            if other != person_id:
                raise ValueError(
                    f"{person.user_id} stands for {other} and for {person_id}: "
                    "an account is one person's"
                )
        return self


@dataclass(frozen=True, slots=True)
class Directory:
    """The persons, and the posts that it keeps, as of one reading of the file."""

    persons: dict[str, Person]
    person_of_user: dict[str, str]
    posts: Mapping[str, Post] = field(default_factory=dict)

    @classmethod
    def of(cls, document: DirectoryDocument) -> "Directory":
        """The directory with its reverse table."""
        reverse = {person.user_id: person_id for person_id, person in document.persons.items()}
        return cls(dict(document.persons), reverse, dict(document.posts))

    def person(self, person_id: str) -> Person | None:
        """The person, or None when the file does not name the id."""
        return self.persons.get(person_id)


class DirectoryFile:
    """The directory on disk, read again when it is replaced; a faulty one is not taken."""

    def __init__(self, path: Path) -> None:
        self._file = WatchedFile(path)
        self.current = Directory({}, {})

    def reload(self) -> bool:
        """Take a changed file; True when there was one.

        Raises:
            SettingsError: The file cannot be read or has faults; the last good one stays.
        """
        try:
            raw = self._file.read_if_changed()
        except OSError as error:
            fault = Fault(
                "directory_file",
                f"cannot read {self._file.path}: {error.strerror}.",
                "write the directory of persons there",
            )
            raise SettingsError([fault]) from error
        if raw is None:
            return False
        text = raw.decode("utf-8", errors="replace")
        self.current = Directory.of(parse_document(text, DirectoryDocument))
        return True
