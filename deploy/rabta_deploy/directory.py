"""Who is who in a demo network: posts, persons, dated charges. One file, read whole or refused."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from rabta_deploy.fault import YardError

_STRICT = ConfigDict(extra="forbid", frozen=True)
Code = Annotated[str, Field(pattern=r"^[A-Z0-9]{2,8}$")]


class DirectoryError(YardError):
    """The directory of the demo has faults."""


class Post(BaseModel):
    """A post of one organisation, as e-Office names it."""

    model_config = _STRICT
    designation: str
    designation_ur: str | None = None
    org: Code
    section: str | None = None
    bps: Annotated[int, Field(ge=1, le=22)]
    reports_to: str | None = None


class Person(BaseModel):
    """An officer and the Matrix account made for her or him."""

    model_config = _STRICT
    localpart: Annotated[str, Field(pattern=r"^[a-z0-9._-]+$")]
    org: Code
    name: str
    name_ur: str | None = None
    language: Literal["en", "ur"] = "en"


class Charge(BaseModel):
    """Who holds which post, from when on and in what capacity."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    post_id: str
    person_id: str
    kind: Literal["regular", "additional", "current", "acting", "look_after"]
    begins: AwareDatetime = Field(alias="from")
    until: AwareDatetime | None = None
    order_no: str

    def in_force(self, now: datetime) -> bool:
        """Whether it covers the moment."""
        return self.begins <= now and (self.until is None or now < self.until)


class Directory(BaseModel):
    """The whole file.

    Attributes:
        servers: Organisation code -> Matrix server name, in the order they are started.
        posts: Post id -> post.
        persons: Person id -> person.
        charges: All charges, past ones too.
        files: Files that e-Office begins with, in the words of its seed.
    """

    model_config = _STRICT
    servers: dict[Code, str]
    posts: dict[str, Post]
    persons: dict[str, Person]
    charges: tuple[Charge, ...]
    files: tuple[dict[str, Any], ...] = ()

    @model_validator(mode="after")
    def _every_name_is_known(self) -> "Directory":
        faults = [
            f"post {name}: no post {post.reports_to} to report to"
            for name, post in self.posts.items()
            if post.reports_to and post.reports_to not in self.posts
        ]
        faults += [
            f"{kind} {name}: no server for {part.org}"
            for kind, parts in (("post", self.posts), ("person", self.persons))
            for name, part in parts.items()
            if part.org not in self.servers
        ]
        for charge in self.charges:
            if charge.post_id not in self.posts:
                faults.append(f"charge {charge.order_no}: no post {charge.post_id}")
            if charge.person_id not in self.persons:
                faults.append(f"charge {charge.order_no}: no person {charge.person_id}")
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def server_of(self, person_id: str) -> str:
        """Server name of a person's account."""
        return self.servers[self.persons[person_id].org]

    def user_id(self, person_id: str) -> str:
        """Matrix user id of a person."""
        return f"@{self.persons[person_id].localpart}:{self.server_of(person_id)}"

    def post_of(self, person_id: str, now: datetime) -> str | None:
        """The post a person holds: the regular one, else the first by any charge."""
        held = [c for c in self.charges if c.person_id == person_id and c.in_force(now)]
        held.sort(key=lambda charge: charge.kind != "regular")
        return held[0].post_id if held else None

    def eoffice_seed(self, passwords: Mapping[str, Path]) -> dict[str, Any]:
        """e-Office's seed file. `passwords`: person id -> password file."""
        return {
            "posts": [
                {"post_id": post_id, **post.model_dump(exclude_none=True)}
                for post_id, post in self.posts.items()
            ],
            "persons": [
                {
                    "person_id": person_id,
                    "name": person.name,
                    "name_ur": person.name_ur,
                    "password_file": str(passwords[person_id]),
                }
                for person_id, person in self.persons.items()
            ],
            "charges": [
                charge.model_dump(mode="json", by_alias=True, exclude_none=True)
                for charge in self.charges
            ],
            "files": list(self.files),
        }

    def bridge_document(self) -> dict[str, Any]:
        """The bridge's directory file: who among the persons reads where, and in what language."""
        return {
            "persons": {
                person_id: {
                    "user_id": self.user_id(person_id),
                    "name": person.name,
                    "name_ur": person.name_ur,
                    "language": person.language,
                }
                for person_id, person in self.persons.items()
            }
        }


def load(path: Path) -> Directory:
    """Read a directory file.

    Raises:
        DirectoryError: `directory-unreadable` or `directory-faulty`, with every fault.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Directory.model_validate(document)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DirectoryError(
            "directory-unreadable", f"{path} cannot be read: {error}", "mend the file"
        ) from error
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(step) for step in fault['loc']) or 'document'}: {fault['msg']}"
            for fault in error.errors()
        )
        raise DirectoryError("directory-faulty", f"{path}: {faults}", "mend the file") from error
