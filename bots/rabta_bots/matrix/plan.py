"""What a room key needs before it may encrypt: who may read is compared with who holds it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select

from rabta_bots.matrix import roomstate, tables
from rabta_bots.matrix.errors import MatrixError
from rabta_bots.matrix.received import SenderTrust
from rabta_bots.matrix.sessions import Device, WritingSession
from rabta_bots.matrix.state import CryptoState
from rabta_bots.matrix.trust import Trust

_RECIPIENTS = select(tables.recipient).where(tables.recipient.c.room_id == bindparam("room"))


@dataclass(frozen=True, slots=True)
class Plan:
    """What a room's session needs before it may encrypt."""

    session: WritingSession | None
    """The session that holds, unless it must be rotated."""
    rotate: bool
    serve: Sequence[Device]
    """Devices signed by their owner that do not hold the key yet."""
    refuse: Sequence[Device]
    """Devices that must not have it and have not been told."""
    held: int
    """Devices that hold the key."""
    changed: Sequence[str]
    """Members whose identity changed and was not acknowledged."""

    @property
    def settled(self) -> bool:
        """Whether the session may encrypt as it is."""
        return not (self.rotate or self.serve or self.refuse) and self.held > 0


def make(
    connection: Connection,
    state: CryptoState,
    trust: Trust,
    room_id: str,
    worth_trying: Callable[[tuple[str, str]], bool],
) -> Plan:
    """Compare who may read the room with who holds the key.

    Args:
        connection: Inside a transaction.
        state: Our device.
        trust: Judges devices.
        room_id: The room.
        worth_trying: Tells of a user and device id whether a key can be had for it now.

    Raises:
        MatrixError: permanent `room-not-encrypted`, `unsupported-encryption`.
    """
    wanted = roomstate.encryption(connection, room_id)
    if wanted is None:
        raise MatrixError("room-not-encrypted", room_id, permanent=True)
    session = state.store.load_writing_session(room_id)
    rows = {
        (row.user_id, row.device_id): row.state
        for row in connection.execute(_RECIPIENTS, {"room": room_id})
    }
    users = [one for one in roomstate.readers(connection, room_id) if one != state.user_id]
    standing = {
        (device.user_id, device.device_id): (device, trust.standing(device))
        for user in users
        for device in trust.devices(user)
    }
    served = {key for key, row_state in rows.items() if row_state == "sent"}
    allowed = {key for key, (_, one) in standing.items() if one is SenderTrust.SIGNED}
    rotate = (
        session is None
        or session.messages >= wanted.messages
        or state.store.clock() - session.created >= wanted.period
        or session.shared_history != wanted.shared_history
        or not served <= allowed
    )
    if rotate:
        rows, served = {}, set()
    return Plan(
        session=None if rotate else session,
        rotate=rotate,
        serve=[standing[key][0] for key in sorted(allowed - served) if worth_trying(key)],
        refuse=[
            device
            for key, (device, one) in standing.items()
            if one is not SenderTrust.SIGNED and key not in rows
        ],
        held=len(served),
        changed=[user for user in users if (who := state.identities.get(user)) and who.changed],
    )
