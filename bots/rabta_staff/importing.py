"""Carries a list of staff into the register, whole or not at all."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import Connection, select

from rabta_staff import register
from rabta_staff.faults import Fault, StaffError
from rabta_staff.moves import Move, Roll, told_of
from rabta_staff.people import Charge
from rabta_staff.staff_list import StaffList
from rabta_staff.tables import charges, persons, posts


def roll(connection: Connection) -> Roll:
    """Who serves now."""
    people = {row.id: row for row in connection.execute(select(persons).where(~persons.c.gone))}
    held = {row.id: row for row in connection.execute(select(posts).where(~posts.c.gone))}
    rows = connection.execute(select(charges).where(charges.c.ends.is_(None)))
    return Roll(
        persons={row.number: register.person_of(row) for row in people.values()},
        active=frozenset(row.number for row in people.values() if row.active),
        posts={row.number: register.post_of(row) for row in held.values()},
        charges=frozenset(
            Charge(held[row.post_id].number, people[row.person_id].number, row.kind) for row in rows
        ),
    )


def carry_out(
    connection: Connection,
    moves: Sequence[Move],
    wanted: StaffList,
    now: datetime,
    *,
    reserved: Iterable[str] = (),
) -> None:
    """Do what was decided, in one transaction.

    Raises:
        StaffError: `list-refused`, with everything that the register refused; roll it back.
    """
    faults: list[Fault] = []
    for move in moves:
        try:
            _do(connection, move, wanted, now, reserved)
        except StaffError as error:
            faults += error.faults
    if faults:
        raise StaffError("list-refused", faults)


def _do(
    connection: Connection, move: Move, wanted: StaffList, now: datetime, reserved: Iterable[str]
) -> None:
    if move.act == "post":
        known = register.post_by_number(connection, move.about)
        post = wanted.posts[move.about]
        if known is None:
            register.add_post(connection, post, now)
        else:
            register.amend_post(connection, known.id, post, now)
        return
    person = register.person_by_number(connection, move.about)
    if move.act == "join":
        account = wanted.accounts.get(move.about)
        register.add_person(
            connection, wanted.persons[move.about], now, account=account, reserved=reserved
        )
        return
    if person is None:
        # It was refused above, and is told there.
        return
    if move.act == "amend":
        told = told_of(register.person_of(person), wanted.persons[move.about])
        register.amend_person(connection, person.id, told, now)
    elif move.act == "return":
        register.set_active(connection, person.id, now, active=True)
    elif move.act == "leave":
        register.leave(connection, person.id, now)
    else:
        _charge(connection, move, person.id, now)


def _charge(connection: Connection, move: Move, person_id: str, now: datetime) -> None:
    post = register.post_by_number(connection, move.post or "")
    if post is None:
        return
    if move.act == "assume":
        kind, order_no = move.kind or "regular", move.order_no
        register.begin_charge(connection, post.id, person_id, now, kind=kind, order_no=order_no)
        return
    for charge in register.members(connection, post.id):
        if charge.person_id == person_id and charge.kind == move.kind:
            register.end_charge(connection, charge, now)
