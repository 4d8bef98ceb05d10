"""Says what a workflow of Mayan means in a ministry: posts, charges, states and transitions."""

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from rabta_bots.faults import Fault, SettingsError
from rabta_bots.settings import parse_document
from rabta_contract.event import Post
from rabta_contract.vocabulary import ChargeKind, Grade, Priority

STRICT = ConfigDict(extra="forbid", frozen=True)
Word = Annotated[str, Field(min_length=1, max_length=128)]
# Posts and persons stand in ids of the contract.
Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]


class Meaning(StrEnum):
    """What a transition does with a file."""

    PUT_UP = "put_up"
    FORWARD = "forward"
    APPROVE = "approve"
    NOT_APPROVE = "not_approve"
    RETURN = "return"
    PULL_BACK = "pull_back"
    CLOSE = "close"


class MayanPost(BaseModel):
    """A post, as cards name it."""

    model_config = STRICT
    designation: Word
    designation_ur: Word | None = None
    org: Annotated[str, Field(pattern=r"^[A-Z0-9]{2,8}$")]
    wing: Word | None = None
    section: Word | None = None


class MayanCharge(BaseModel):
    """A person's dated hold on a post."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    post: Id
    person: Id
    kind: ChargeKind = ChargeKind.REGULAR
    from_: Annotated[AwareDatetime, Field(alias="from")]
    until: AwareDatetime | None = None

    @property
    def key(self) -> str:
        """The same charge has the same key, whenever it ends."""
        return f"{self.post}|{self.person}|{self.kind}|{self.from_.isoformat()}"


class MayanPerson(BaseModel):
    """Who an officer is in Mayan.

    Args:
        user: Id of the user in Mayan.
        token_file: Holds that user's own API token, so that Mayan's ACL decides what the officer
            may do from chat; without one, the officer only reads cards.
    """

    model_config = STRICT
    user: Annotated[int, Field(ge=1)]
    token_file: Path | None = None


class Mapping(BaseModel):
    """The mapping file of one workflow.

    Args:
        workflow: Id of the workflow template in Mayan.
        separator: Stands between file number and subject in a document's label.
        classification: Of every file in the workflow; what a room of that class does not allow
            is stripped as ever.
        posts: By post id.
        persons: By person id, as in the bridge's directory of persons.
        states: Label of a state to the post that has a file in it.
        transitions: Label of a transition to what it means.
    """

    model_config = STRICT
    workflow: Annotated[int, Field(ge=1)]
    separator: Annotated[str, Field(min_length=1, max_length=8)] = " — "
    classification: Grade
    priority: Priority = Priority.ROUTINE
    posts: dict[Id, MayanPost]
    persons: dict[Id, MayanPerson]
    charges: Annotated[tuple[MayanCharge, ...], Field(min_length=1)]
    states: Annotated[dict[Word, Id], Field(min_length=1)]
    transitions: Annotated[dict[Word, Meaning], Field(min_length=1)]

    @model_validator(mode="after")
    def _joined(self) -> Self:
        charged = {charge.post for charge in self.charges}
        faults = [
            *(f"charges: {one} is no post of this file" for one in charged - set(self.posts)),
            *(
                f"charges: {charge.person} is no person of this file"
                for charge in self.charges
                if charge.person not in self.persons
            ),
            *(
                f"states: {post} has no charge, so nobody could ever read its cards"
                for post in set(self.states.values()) - charged
            ),
        ]
        users = [person.user for person in self.persons.values()]
        if len(set(users)) < len(users):
            faults.append("persons: one user of Mayan stands for two persons")
        keys = [charge.key for charge in self.charges]
        if len(set(keys)) < len(keys):
            faults.append("charges: a charge is named twice")
        if faults:
            raise ValueError("; ".join(sorted(faults)))
        return self

    def post(self, post_id: str) -> Post:
        """The post as the contract has it."""
        return Post(post_id=post_id, **self.posts[post_id].model_dump(exclude_none=True))

    def person_of_user(self, user: int | None) -> str | None:
        """The person behind a user of Mayan."""
        for person_id, person in self.persons.items():
            if person.user == user:
                return person_id
        return None

    def over_at(self, now: datetime) -> tuple[MayanCharge, ...]:
        """The charges that have ended."""
        return tuple(one for one in self.charges if one.until is not None and one.until <= now)


def load_mapping(path: Path) -> Mapping:
    """Read the mapping file.

    Raises:
        SettingsError: With every fault of the file, its path and its cure.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        fault = Fault(
            "eoffice.mayan.mapping_file",
            f"cannot read {path} ({type(error).__name__}).",
            "write the mapping there, see docs/how-to/connect-mayan.md",
        )
        raise SettingsError([fault]) from error
    return parse_document(text, Mapping)
