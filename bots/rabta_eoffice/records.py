"""Rows to values and back: the one place that spells SQL for files, posts and charges."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, or_, select, update

from rabta_contract import ChargeKind, FileStatus, Grade, Post, Priority
from rabta_eoffice import tables
from rabta_eoffice.rules import Actor, CaseFile, Decided, Moved


@dataclass(frozen=True, slots=True)
class HeldCharge:
    """One dated charge of one person, as the register of charges shows it."""

    charge_id: int
    post_id: str
    person_id: str
    kind: ChargeKind
    held_from: datetime
    held_until: datetime | None
    order_no: str | None


def find_post(connection: Connection, post_id: str) -> Post | None:
    """The post as the contract describes it, or None."""
    row = connection.execute(
        select(tables.posts).where(tables.posts.c.post_id == post_id)
    ).one_or_none()
    return None if row is None else _post(row)


def all_posts(connection: Connection) -> dict[str, Post]:
    """Every post by its id, in the order of their ids."""
    rows = connection.execute(select(tables.posts).order_by(tables.posts.c.post_id))
    return {row.post_id: _post(row) for row in rows}


def is_establishment(connection: Connection, post_id: str) -> bool:
    """Whether the post keeps the register of charges."""
    found = connection.execute(
        select(tables.posts.c.establishment).where(tables.posts.c.post_id == post_id)
    ).scalar_one_or_none()
    return bool(found)


def find_file(connection: Connection, file_id: str) -> CaseFile | None:
    """The file as it stands, or None."""
    row = connection.execute(
        select(tables.files).where(tables.files.c.file_id == file_id)
    ).one_or_none()
    return None if row is None else _case_file(row)


def files_with(connection: Connection, post_ids: list[str]) -> list[CaseFile]:
    """Files that are with any of the posts, newest file first."""
    rows = connection.execute(
        select(tables.files)
        .where(tables.files.c.holder.in_(post_ids))
        .order_by(tables.files.c.opened_at.desc(), tables.files.c.file_id)
    )
    return [_case_file(row) for row in rows]


def files_of(connection: Connection, post_ids: list[str]) -> list[CaseFile]:
    """Files that any of the posts opened and that are with somebody else now."""
    rows = connection.execute(
        select(tables.files)
        .where(tables.files.c.initiator.in_(post_ids), tables.files.c.holder.not_in(post_ids))
        .order_by(tables.files.c.opened_at.desc(), tables.files.c.file_id)
    )
    return [_case_file(row) for row in rows]


def trail(connection: Connection, file: CaseFile) -> frozenset[str]:
    """Every post that the file has been with."""
    rows = connection.execute(
        select(tables.movements.c.from_post, tables.movements.c.to_post).where(
            tables.movements.c.file_id == file.file_id
        )
    )
    return frozenset({file.initiator, *(post for row in rows for post in row)})


def rows_of(connection: Connection, table: Any, file_id: str) -> list[Row[Any]]:
    """Notes, movements or decisions of a file, in the order they were written."""
    key = list(table.primary_key)[-1]
    return list(connection.execute(select(table).where(table.c.file_id == file_id).order_by(key)))


def charges_at(
    connection: Connection,
    now: datetime,
    *,
    person_id: str | None = None,
    post_id: str | None = None,
) -> list[HeldCharge]:
    """Charges in force at `now` (from inclusive, until exclusive), fullest powers first."""
    held = tables.charges.c
    query = select(tables.charges).where(
        held.held_from <= now, or_(held.held_until.is_(None), held.held_until > now)
    )
    if person_id is not None:
        query = query.where(held.person_id == person_id)
    if post_id is not None:
        query = query.where(held.post_id == post_id)
    found = [_charge(row) for row in connection.execute(query.order_by(held.post_id))]
    return sorted(found, key=lambda charge: not charge.kind.may_decide)


def all_charges(connection: Connection) -> list[HeldCharge]:
    """The whole register of charges, by post and date."""
    held = tables.charges.c
    query = select(tables.charges).order_by(held.post_id, held.held_from, held.charge_id)
    return [_charge(row) for row in connection.execute(query)]


def find_charge(connection: Connection, charge_id: int) -> HeldCharge | None:
    """One charge, or None."""
    row = connection.execute(
        select(tables.charges).where(tables.charges.c.charge_id == charge_id)
    ).one_or_none()
    return None if row is None else _charge(row)


def names(connection: Connection) -> dict[str, tuple[str, str | None]]:
    """English and Urdu name of every person, by person id."""
    rows = connection.execute(select(tables.persons).order_by(tables.persons.c.person_id))
    return {row.person_id: (row.name, row.name_ur) for row in rows}


def add_file(connection: Connection, file: CaseFile, now: datetime) -> None:
    """Write a new file."""
    connection.execute(insert(tables.files).values(**_columns(file), opened_at=now))


def save_file(connection: Connection, file: CaseFile) -> None:
    """Write the file as it stands now."""
    connection.execute(
        update(tables.files).where(tables.files.c.file_id == file.file_id).values(**_columns(file))
    )


def add_note(
    connection: Connection, file: CaseFile, actor: Actor, text: str, now: datetime
) -> None:
    """Write the note under the file's newest paragraph number."""
    connection.execute(
        insert(tables.notes).values(
            file_id=file.file_id,
            para=file.note_para,
            post_id=actor.post_id,
            person_id=actor.person_id,
            text=text,
            written_at=now,
        )
    )


def add_movement(
    connection: Connection, file: CaseFile, actor: Actor, moved: Moved, now: datetime
) -> None:
    """Write the movement."""
    connection.execute(
        insert(tables.movements).values(
            file_id=file.file_id,
            number=moved.number,
            from_post=moved.from_post,
            to_post=moved.to_post,
            purpose=moved.purpose,
            remarks=moved.remarks,
            person_id=actor.person_id,
            moved_at=now,
        )
    )


def add_decision(
    connection: Connection, file: CaseFile, actor: Actor, decided: Decided, now: datetime
) -> None:
    """Write a line of the ledger."""
    connection.execute(
        insert(tables.decisions).values(
            file_id=file.file_id,
            movement_no=decided.movement_no,
            note_para=decided.note_para,
            outcome=decided.outcome,
            post_id=actor.post_id,
            person_id=actor.person_id,
            charge=actor.charge or "",
            channel=actor.channel,
            command_id=actor.command_id,
            matrix_user=actor.matrix_user,
            decided_at=now,
        )
    )


def next_file_number(connection: Connection) -> int:
    """How many files there are, plus one."""
    count = connection.execute(select(func.count()).select_from(tables.files)).scalar_one()
    return int(count) + 1


def _post(row: Row[Any]) -> Post:
    return Post(
        post_id=row.post_id,
        designation=row.designation,
        designation_ur=row.designation_ur,
        org=row.org,
        wing=row.wing,
        section=row.section,
        bps=row.bps,
        reports_to=row.reports_to,
    )


def _case_file(row: Row[Any]) -> CaseFile:
    return CaseFile(
        file_id=row.file_id,
        file_no=row.file_no,
        subject=row.subject,
        org=row.org,
        section=row.section,
        grade=Grade(row.grade),
        priority=Priority(row.priority),
        certificate_required=row.certificate_required,
        status=FileStatus(row.status),
        initiator=row.initiator,
        holder=row.holder,
        came_from=row.came_from,
        pull_back_by=row.pull_back_by,
        movement_no=row.movement_no,
        note_para=row.note_para,
        received=row.received,
    )


def _columns(file: CaseFile) -> dict[str, Any]:
    return {name: getattr(file, name) for name in CaseFile.__slots__}


def _charge(row: Row[Any]) -> HeldCharge:
    return HeldCharge(
        charge_id=row.charge_id,
        post_id=row.post_id,
        person_id=row.person_id,
        kind=ChargeKind(row.kind),
        held_from=row.held_from,
        held_until=row.held_until,
        order_no=row.order_no,
    )
