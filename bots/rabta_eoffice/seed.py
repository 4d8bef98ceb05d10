"""The seed: posts, persons, charges and files that an e-Office begins with.

Planting is repeatable: what is there stays, what is missing is added and told.
"""

from pathlib import Path
from typing import Annotated, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import Connection, insert, select, update

from rabta_contract import ChargeKind, Grade, Priority, load_token
from rabta_eoffice import passwords, records, tables
from rabta_eoffice.desk import Desk, NewFile
from rabta_eoffice.establishment import Establishment
from rabta_eoffice.records import HeldCharge
from rabta_eoffice.rules import Refused
from rabta_eoffice.settings import SettingsError, checked, read_yaml

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]
Org = Annotated[str, Field(pattern=r"^[A-Z0-9]{2,8}$")]


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SeedPost(_Row):
    """A post; `establishment` posts keep the register of charges."""

    post_id: Identifier
    designation: str
    designation_ur: str | None = None
    org: Org
    wing: str | None = None
    section: str | None = None
    bps: Annotated[int, Field(ge=1, le=22)] | None = None
    reports_to: Identifier | None = None
    establishment: bool = False


class SeedPerson(_Row):
    """A person; without a password file the person cannot sign in."""

    person_id: Identifier
    name: str
    name_ur: str | None = None
    password_file: Path | None = None


class SeedCharge(_Row):
    """A dated charge of a person on a post."""

    post_id: Identifier
    person_id: Identifier
    kind: ChargeKind
    from_: AwareDatetime = Field(alias="from")
    until: AwareDatetime | None = None
    order_no: str | None = None


class SeedFile(_Row):
    """A file that is open at a post from the beginning."""

    file_id: Identifier
    file_no: Annotated[str, Field(min_length=1, max_length=120)]
    subject: Annotated[str, Field(min_length=1, max_length=500)]
    initiator: Identifier
    classification: Grade = Grade.UNCLASSIFIED
    priority: Priority = Priority.ROUTINE
    section: str | None = None
    certificate_required: bool = False
    note: str = ""


class Seed(_Row):
    """The whole seed file. Every name used must be declared in it."""

    posts: tuple[SeedPost, ...] = ()
    persons: tuple[SeedPerson, ...] = ()
    charges: tuple[SeedCharge, ...] = ()
    files: tuple[SeedFile, ...] = ()

    @model_validator(mode="after")
    def _names_are_declared(self) -> Self:
        posts = {post.post_id for post in self.posts}
        persons = {person.person_id for person in self.persons}
        unknown = [f"post {post.reports_to}" for post in self.posts if post.reports_to]
        unknown += [f"post {charge.post_id}" for charge in self.charges]
        unknown += [f"post {file.initiator}" for file in self.files]
        unknown += [f"person {charge.person_id}" for charge in self.charges]
        declared = {f"post {name}" for name in posts} | {f"person {name}" for name in persons}
        missing = sorted(set(unknown) - declared)
        if missing:
            raise ValueError("not declared: " + ", ".join(missing))
        if len(posts) != len(self.posts) or len(persons) != len(self.persons):
            raise ValueError("a post or a person is declared twice")
        return self


def load_seed(path: Path) -> Seed:
    """Read the seed file; password files are taken from its folder.

    Raises:
        SettingsError: Missing, not YAML, or with faults.
    """
    seed = checked(Seed, read_yaml(path) or {}, path)
    home = path.resolve().parent
    persons = tuple(
        person
        if person.password_file is None
        else person.model_copy(update={"password_file": home / person.password_file})
        for person in seed.persons
    )
    return seed.model_copy(update={"persons": persons})


def plant(seed: Seed, desk: Desk) -> None:
    """Write what is missing, in one transaction.

    Raises:
        SettingsError: A seed file's initiator has no holder.
        SecretError: A password file cannot be used.
    """
    establishment = Establishment(desk)
    now = desk.clock()
    with desk.engine.begin() as connection:
        for post in seed.posts:
            _plant_post(connection, post)
        for person in seed.persons:
            _plant_person(connection, person)
        known = {
            (charge.post_id, charge.person_id, charge.held_from)
            for charge in records.all_charges(connection)
        }
        for row in seed.charges:
            if (row.post_id, row.person_id, row.from_) not in known:
                held = HeldCharge(
                    0, row.post_id, row.person_id, row.kind, row.from_, row.until, row.order_no
                )
                establishment.enter(connection, held, (row.person_id, row.post_id), now)
        for file in seed.files:
            if records.find_file(connection, file.file_id) is None:
                holders = records.charges_at(connection, now, post_id=file.initiator)
                if not holders:
                    raise SettingsError(
                        f"file {file.file_id}: nobody holds {file.initiator}; add a charge for it"
                    )
                opened = desk.open_in(connection, _new_file(file), holders[0].person_id, now)
                if isinstance(opened, Refused):
                    raise SettingsError(f"file {file.file_id}: {opened.detail}")
    desk.on_told()


def _plant_post(connection: Connection, post: SeedPost) -> None:
    columns = post.model_dump()
    where = tables.posts.c.post_id == post.post_id
    if connection.execute(select(tables.posts.c.post_id).where(where)).one_or_none() is None:
        connection.execute(insert(tables.posts).values(**columns))
    else:
        connection.execute(update(tables.posts).where(where).values(**columns))


def _plant_person(connection: Connection, person: SeedPerson) -> None:
    where = tables.persons.c.person_id == person.person_id
    row = connection.execute(select(tables.persons).where(where)).one_or_none()
    kept = None if row is None else row.password_hash
    if person.password_file is not None:
        password = load_token(person.password_file)
        if kept is None or not passwords.matches(password, kept):
            kept = passwords.hashed(password)
    columns = {
        "person_id": person.person_id,
        "name": person.name,
        "name_ur": person.name_ur,
        "password_hash": kept,
    }
    if row is None:
        connection.execute(insert(tables.persons).values(**columns))
    else:
        connection.execute(update(tables.persons).where(where).values(**columns))


def _new_file(file: SeedFile) -> NewFile:
    return NewFile(
        file_no=file.file_no,
        subject=file.subject,
        post_id=file.initiator,
        grade=file.classification,
        priority=file.priority,
        section=file.section,
        certificate_required=file.certificate_required,
        note=file.note,
        file_id=file.file_id,
    )
