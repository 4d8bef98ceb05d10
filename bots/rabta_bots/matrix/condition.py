"""Counts what an operator should hear of the account: what cannot be read, and by whom."""

from dataclasses import dataclass

from sqlalchemy import Connection, and_, func, or_, select

from rabta_bots.matrix.tables import device, identity, member, undecryptable


@dataclass(frozen=True, slots=True)
class Condition:
    """How the account stands.

    Args:
        undecryptable: Received events that cannot be read now.
        unsigned_devices: Devices of people in our rooms that their owner has not signed: they get
            no key and may not command.
        changed_identities: People who get nothing until somebody acknowledges their identity.
    """

    undecryptable: int = 0
    unsigned_devices: int = 0
    changed_identities: int = 0


def condition(connection: Connection, own_user: str) -> Condition:
    """Count, as of now.

    Args:
        connection: A transaction.
        own_user: The account itself, which is not counted.
    """
    in_our_rooms = select(member.c.user_id).where(
        member.c.membership == "join", member.c.user_id != own_user
    )
    unsigned = (
        select(func.count())
        .select_from(device.outerjoin(identity, identity.c.user_id == device.c.user_id))
        .where(
            device.c.user_id.in_(in_our_rooms),
            ~device.c.deleted,
            or_(
                device.c.signed_by.is_(None),
                identity.c.self_signing.is_(None),
                device.c.signed_by != identity.c.self_signing,
            ),
        )
    )
    changed = (
        select(func.count())
        .select_from(identity)
        .where(
            and_(
                identity.c.pinned_master.is_not(None),
                identity.c.master.is_not(None),
                identity.c.pinned_master != identity.c.master,
            )
        )
    )
    unread = select(func.count()).select_from(undecryptable)
    counts = (int(connection.execute(query).scalar_one()) for query in (unread, unsigned, changed))
    return Condition(*counts)
