"""The register: what joins, transfers and leaves do to the store. Each call is one act, audited.

It asks nobody and calls nobody: what the homeserver and the bridge must follow is marked, and the
service carries it. Whoever is forgotten stays as a row, so that no id and no account is given twice.
"""

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Table, func, or_, select, update

from rabta_staff.faults import refused
from rabta_staff.people import ENDS_SESSIONS, NUMBER, Person, Post, localpart_of
from rabta_staff.tables import acts, charges, persons, posts

_RANK = {"regular": 0, "acting": 1, "current": 2, "additional": 3, "look_after": 4}


def key_of(user_name: str) -> str:
    """A user name as it is compared: without case (RFC 7643, 4.1.1)."""
    return user_name.casefold()


def note(
    connection: Connection,
    act: str,
    now: datetime,
    *,
    person_id: str | None = None,
    post: str | None = None,
    order_no: str | None = None,
) -> None:
    """Write one act down, for the journal."""
    values = {"person_id": person_id, "post": post, "order_no": order_no, "journaled": False}
    connection.execute(acts.insert().values(time=now, act=act, **values))


# -- Persons ---------------------------------------------------------------------------------


def add_person(
    connection: Connection,
    person: Person,
    now: datetime,
    *,
    external_id: str | None = None,
    details: Mapping[str, Any] | None = None,
    account: str | None = None,
    reserved: Iterable[str] = (),
) -> str:
    """Let a person join.

    Args:
        connection: In a transaction.
        person: The person.
        now: The time.
        external_id: Id at the client that provisions, if one does.
        details: What SCIM told beyond the person.
        account: Local part of an account that is there already and becomes this person's; a free
            one is chosen without it.
        reserved: Local parts that nobody gets.

    Raises:
        StaffError: `person-exists`, `account-taken`.
    """
    _unique(connection, person, None)
    taken = _localparts(connection) | set(reserved)
    if account is not None and account in taken:
        cure = "give the account of this person, or none"
        raise refused("account-taken", f"person {person.number}", f"@{account} is taken", cure)
    person_id = _free_id(connection, persons, (person.number, external_id))
    connection.execute(
        persons.insert().values(
            id=person_id,
            **_columns(person),
            external_id=external_id,
            active=True,
            details=dict(details or {}),
            localpart=account or free_localpart(_asked_for(person), taken),
            owned=account is not None,
            created=now,
            modified=now,
        )
    )
    note(connection, "staff-joined", now, person_id=person_id)
    return person_id


def amend_person(
    connection: Connection, person_id: str, person: Person, now: datetime, **further: Any
) -> None:
    """Write down what a person is called now; `further` are columns beside.

    Raises:
        StaffError: `person-exists`.
    """
    _unique(connection, person, person_id)
    _change(connection, persons, [person_id], now, due=True, **_columns(person), **further)


def set_active(connection: Connection, person_id: str, now: datetime, *, active: bool) -> None:
    """Put a person out of the service, or back in; charges stay written down meanwhile."""
    _change(connection, persons, [person_id], now, due=True, active=active)
    _touch_posts(connection, person_id, now)
    note(connection, "staff-returned" if active else "staff-left", now, person_id=person_id)


def leave(connection: Connection, person_id: str, now: datetime) -> None:
    """Let a person leave for good: every charge ends, and the account is closed."""
    for charge in charges_of(connection, person_id):
        end_charge(connection, charge, now)
    set_active(connection, person_id, now, active=False)


def forget_person(connection: Connection, person_id: str, now: datetime) -> None:
    """Let a person leave and be found no more (RFC 7644, 3.6)."""
    leave(connection, person_id, now)
    _change(connection, persons, [person_id], now, gone=True)


def another_localpart(
    connection: Connection, row: Row[Any], now: datetime, *, reserved: Iterable[str]
) -> None:
    """Call the account otherwise: the homeserver has one of this name that is somebody else's."""
    taken = _localparts(connection) | set(reserved)
    localpart = free_localpart(_asked_for(person_of(row)), taken)
    _change(connection, persons, [row.id], now, localpart=localpart)


def free_localpart(user_name: str, taken: Iterable[str]) -> str:
    """The local part that a user name asks for, or the next that is free: a homonym's."""
    wanted, held = localpart_of(user_name), set(taken)
    if wanted not in held:
        return wanted
    number = 2
    while f"{wanted}{number}" in held:
        number += 1
    return f"{wanted}{number}"


def _asked_for(person: Person) -> str:
    """Of which the account is called; a number says nothing to colleagues."""
    return person.name if person.user_name == person.number else person.user_name


def _localparts(connection: Connection) -> set[str]:
    return set(connection.execute(select(persons.c.localpart)).scalars())


def _columns(person: Person) -> dict[str, Any]:
    return {
        "number": person.number,
        "user_name": person.user_name,
        "user_name_key": key_of(person.user_name),
        "name": person.name,
        "name_ur": person.name_ur,
        "language": person.language,
        "subject": person.subject,
    }


def person_of(row: Row[Any]) -> Person:
    """The person of a row."""
    return Person(
        row.number, row.user_name, row.name, row.name_ur, row.language, subject=row.subject
    )


def _unique(connection: Connection, person: Person, but: str | None) -> None:
    same = or_(
        persons.c.number == person.number, persons.c.user_name_key == key_of(person.user_name)
    )
    query = select(persons).where(same, ~persons.c.gone)
    for row in connection.execute(query):
        if row.id != but:
            what = "number" if row.number == person.number else "user name"
            raise refused(
                "person-exists",
                f"person {person.number}",
                f"the {what} is that of person {row.number}",
                "give each person a number and a user name of their own",
            )


# -- Posts -----------------------------------------------------------------------------------


def add_post(
    connection: Connection, post: Post, now: datetime, *, external_id: str | None = None
) -> str:
    """Set a post up.

    Raises:
        StaffError: `post-exists`.
    """
    _unique_post(connection, post, None)
    post_id = _free_id(connection, posts, (post.number, external_id))
    values = {**_post_columns(post), "external_id": external_id, "created": now, "modified": now}
    connection.execute(posts.insert().values(id=post_id, **values))
    note(connection, "post-added", now, post=post.number)
    return post_id


def amend_post(
    connection: Connection, post_id: str, post: Post, now: datetime, **further: Any
) -> None:
    """Write down what a post is called now; its holders' display names follow.

    Raises:
        StaffError: `post-exists`.
    """
    _unique_post(connection, post, post_id)
    _change(connection, posts, [post_id], now, **_post_columns(post), **further)
    holders = [charge.person_id for charge in members(connection, post_id)]
    _change(connection, persons, holders, now, due=True)


def forget_post(connection: Connection, post_id: str, now: datetime) -> None:
    """Close a post: every charge of it ends."""
    row = connection.execute(select(posts).where(posts.c.id == post_id)).one()
    for charge in members(connection, post_id):
        end_charge(connection, charge, now)
    _change(connection, posts, [post_id], now, gone=True)
    note(connection, "post-closed", now, post=row.number)


def post_of(row: Row[Any]) -> Post:
    """The post of a row."""
    return Post(
        row.number, row.designation, row.designation_ur, row.section, row.grade, row.reports_to
    )


def _post_columns(post: Post) -> dict[str, Any]:
    return {
        "number": post.number,
        "designation": post.designation,
        "designation_ur": post.designation_ur,
        "section": post.section,
        "grade": post.grade,
        "reports_to": post.reports_to,
    }


def _unique_post(connection: Connection, post: Post, but: str | None) -> None:
    query = select(posts.c.id).where(posts.c.number == post.number, ~posts.c.gone)
    if connection.execute(query).scalar() not in {None, but}:
        cure = "give each post a number of its own"
        raise refused("post-exists", f"post {post.number}", "the number is taken", cure)


# -- Charges ---------------------------------------------------------------------------------


def begin_charge(
    connection: Connection,
    post_id: str,
    person_id: str,
    now: datetime,
    *,
    kind: str = "regular",
    order_no: str | None = None,
) -> None:
    """Let a person take charge of a post; who has it already in this capacity keeps it."""
    for charge in members(connection, post_id):
        if charge.person_id == person_id:
            if charge.kind == kind:
                return
            end_charge(connection, charge, now)
    connection.execute(
        charges.insert().values(
            post_id=post_id, person_id=person_id, kind=kind, order_no=order_no, begins=now
        )
    )
    _moved(connection, post_id, person_id, now, "charge-assumed", order_no, ends_sessions=False)


def end_charge(
    connection: Connection, charge: Row[Any], now: datetime, *, order_no: str | None = None
) -> None:
    """Let a person relinquish a post."""
    connection.execute(update(charges).where(charges.c.row == charge.row).values(ends=now))
    _moved(
        connection,
        charge.post_id,
        charge.person_id,
        now,
        "charge-relinquished",
        order_no,
        ends_sessions=charge.kind in ENDS_SESSIONS,
    )


def _moved(
    connection: Connection,
    post_id: str,
    person_id: str,
    now: datetime,
    act: str,
    order_no: str | None,
    *,
    ends_sessions: bool,
) -> None:
    ending = {"sessions_end": True} if ends_sessions else {}
    _change(connection, persons, [person_id], now, due=True, **ending)
    _change(connection, posts, [post_id], now)
    number = connection.execute(select(posts.c.number).where(posts.c.id == post_id)).scalar_one()
    note(connection, act, now, person_id=person_id, post=number, order_no=order_no)


def members(connection: Connection, post_id: str) -> list[Row[Any]]:
    """The charges of a post that have not ended, the latest last."""
    query = select(charges).where(charges.c.post_id == post_id, charges.c.ends.is_(None))
    return list(connection.execute(query.order_by(charges.c.row)))


def charges_of(connection: Connection, person_id: str) -> list[Row[Any]]:
    """A person's charges that have not ended, the one to be known by first."""
    query = select(charges).where(charges.c.person_id == person_id, charges.c.ends.is_(None))
    found = list(connection.execute(query))
    return sorted(found, key=lambda charge: (_RANK[charge.kind], -charge.row))


def posts_of(connection: Connection, person_id: str) -> list[Post]:
    """The posts a person holds, the one to be known by first."""
    held = [charge.post_id for charge in charges_of(connection, person_id)]
    rows = {row.id: row for row in connection.execute(select(posts).where(posts.c.id.in_(held)))}
    return [post_of(rows[post_id]) for post_id in held]


# -- Rows ------------------------------------------------------------------------------------


def _touch_posts(connection: Connection, person_id: str, now: datetime) -> None:
    held = [charge.post_id for charge in charges_of(connection, person_id)]
    _change(connection, posts, held, now)


def _change(
    connection: Connection, table: Table, ids: Iterable[str], now: datetime, **values: Any
) -> None:
    """Change rows and raise their version, of which the ETag is made."""
    connection.execute(
        update(table)
        .where(table.c.id.in_(list(ids)))
        .values(version=table.c.version + 1, modified=now, **values)
    )


def _free_id(connection: Connection, table: Table, wanted: Iterable[str | None]) -> str:
    """The first wanted id that was never given, else a new one (RFC 7643, 3.1: non-reassignable)."""
    for candidate in wanted:
        if candidate is not None and NUMBER.fullmatch(candidate):
            used = select(func.count()).where(table.c.id == candidate)
            if not connection.execute(used).scalar_one():
                return candidate
    return uuid.uuid4().hex


def person_by_number(connection: Connection, number: str) -> Row[Any] | None:
    """Who has a number now."""
    query = select(persons).where(persons.c.number == number, ~persons.c.gone)
    return connection.execute(query).one_or_none()


def post_by_number(connection: Connection, number: str) -> Row[Any] | None:
    """The post that has a number now."""
    query = select(posts).where(posts.c.number == number, ~posts.c.gone)
    return connection.execute(query).one_or_none()
