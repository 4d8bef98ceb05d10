"""The register of charges: who may assume a post, who may end a charge, and telling of both."""

from datetime import datetime, timedelta

from sqlalchemy import Connection, insert, select, update

from rabta_contract import Charge, ChargeKind, EventType, Party, clean_line
from rabta_eoffice import records, telling
from rabta_eoffice.desk import Desk
from rabta_eoffice.records import HeldCharge
from rabta_eoffice.rules import Reason, Refused
from rabta_eoffice.tables import charges


class Establishment:
    """Keeps charges; each method is one transaction, told by an event."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def assume(self, by: tuple[str, str], wanted: HeldCharge) -> HeldCharge | Refused:
        """Post a person, as the establishment officer `by` (person id, post id)."""
        now = self._desk.clock()
        with self._desk.engine.begin() as connection:
            refusal = self._not_allowed(connection, by, now) or _unsound(connection, wanted, now)
            if refusal is not None:
                return refusal
            made = self.enter(connection, wanted, by, now)
        self._desk.on_told()
        return made

    def relinquish(self, by: tuple[str, str], charge_id: int) -> HeldCharge | Refused:
        """End a charge now."""
        now = self._desk.clock()
        with self._desk.engine.begin() as connection:
            refusal = self._not_allowed(connection, by, now)
            if refusal is not None:
                return refusal
            charge = records.find_charge(connection, charge_id)
            if charge is None:
                return Refused(Reason.UNKNOWN_CHARGE, "no such charge")
            if charge.held_until is not None and charge.held_until <= now:
                return Refused(Reason.CHARGE_ENDED, "that charge has ended already")
            # One that has not begun yet ends where it begins: it never holds.
            end = max(now, charge.held_from)
            connection.execute(
                update(charges)
                .where(charges.c.charge_id == charge_id)
                .values(held_until=end, end_told=True)
            )
            ended = records.find_charge(connection, charge_id)
            assert ended is not None  # noqa: S101 - read in the transaction that wrote it
            self._tell(connection, EventType.CHARGE_RELINQUISHED, ended, by, now)
        self._desk.on_told()
        return ended

    def tell_ended(self) -> int:
        """Tell of every charge whose last moment has passed; gives how many."""
        now = self._desk.clock()
        with self._desk.engine.begin() as connection:
            ended = connection.execute(
                select(charges.c.charge_id).where(
                    charges.c.held_until <= now, charges.c.end_told.is_(False)
                )
            ).scalars()
            told = 0
            for charge_id in list(ended):
                charge = records.find_charge(connection, charge_id)
                if charge is not None:
                    by = (charge.person_id, charge.post_id)
                    self._tell(connection, EventType.CHARGE_RELINQUISHED, charge, by, now)
                    told += 1
            connection.execute(
                update(charges).where(charges.c.held_until <= now).values(end_told=True)
            )
        if told:
            self._desk.on_told()
        return told

    def enter(
        self, connection: Connection, wanted: HeldCharge, by: tuple[str, str], now: datetime
    ) -> HeldCharge:
        """Write a charge and tell of it, within a transaction that the caller has begun."""
        written = connection.execute(
            insert(charges)
            .values(
                post_id=wanted.post_id,
                person_id=wanted.person_id,
                kind=wanted.kind,
                held_from=wanted.held_from,
                held_until=wanted.held_until,
                order_no=clean_line(wanted.order_no or "") or None,
                end_told=False,
            )
            .returning(charges.c.charge_id)
        ).scalar_one()
        made = records.find_charge(connection, written)
        assert made is not None  # noqa: S101 - read in the transaction that wrote it
        self._tell(connection, EventType.CHARGE_ASSUMED, made, by, now)
        return made

    def _not_allowed(
        self, connection: Connection, by: tuple[str, str], now: datetime
    ) -> Refused | None:
        person_id, post_id = by
        held = records.charges_at(connection, now, person_id=person_id, post_id=post_id)
        if not held or not records.is_establishment(connection, post_id):
            return Refused(
                Reason.NOT_ESTABLISHMENT,
                "only an Establishment post keeps the register",
            )
        return None

    def _tell(
        self,
        connection: Connection,
        kind: EventType,
        held: HeldCharge,
        by: tuple[str, str],
        now: datetime,
    ) -> None:
        posts = records.all_posts(connection)
        name = records.names(connection).get(by[0], (None, None))[0]
        acting = records.charges_at(connection, now, person_id=by[0], post_id=by[1])
        actor = Party(
            post=posts[by[1]],
            person_id=by[0],
            person_name=name,
            charge=acting[0].kind if acting else None,
        )
        charge = Charge(
            post=posts[held.post_id],
            person_id=held.person_id,
            kind=held.kind,
            from_=held.held_from,
            until=held.held_until,
            order_no=held.order_no,
            may_decide=held.kind.may_decide,
        )
        self._desk.tell(
            connection,
            now,
            lambda envelope: telling.of_charge(envelope, kind, charge, actor=actor),
        )


# Additional and current charges are for months, not years (research/domain.md 1.3).
_LONGEST = {
    ChargeKind.ADDITIONAL: timedelta(days=186),
    ChargeKind.CURRENT: timedelta(days=186),
    ChargeKind.LOOK_AFTER: timedelta(days=186),
}


def _unsound(connection: Connection, wanted: HeldCharge, now: datetime) -> Refused | None:
    if records.find_post(connection, wanted.post_id) is None:
        return Refused(Reason.UNKNOWN_POST, "no such post")
    if wanted.person_id not in records.names(connection):
        return Refused(Reason.UNKNOWN_PERSON, "no such person")
    until = wanted.held_until
    if until is not None and until <= max(now, wanted.held_from):
        return Refused(Reason.MALFORMED, "the charge would end before it begins")
    longest = _LONGEST.get(wanted.kind)
    if longest is not None and (until is None or until - wanted.held_from > longest):
        return Refused(
            Reason.MALFORMED, f"a charge of kind {wanted.kind} needs an end within six months"
        )
    for other in records.all_charges(connection):
        same = (other.person_id, other.post_id) == (wanted.person_id, wanted.post_id)
        apart = (until is not None and until <= other.held_from) or (
            other.held_until is not None and other.held_until <= wanted.held_from
        )
        if same and not apart:
            return Refused(Reason.CHARGE_OVERLAPS, "the person holds that post in that time")
    return None
