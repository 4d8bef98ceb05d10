"""Room keys owed to devices that could not have them when they were due.

A phone that signs in is unsigned for a moment, and a card of that moment is withheld from it. Once
its owner has signed it, it gets the key as it was then. Only those who read the room get it still.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from rabta_bots.matrix import tables
from rabta_bots.matrix.machine import MEGOLM
from rabta_bots.matrix.sealing import Seal
from rabta_bots.matrix.sessions import Device, WritingSession
from rabta_bots.matrix.store import milliseconds

_PLACE = "owed.key"
_TABLE = tables.owed_key


@dataclass(frozen=True, slots=True)
class RoomKey:
    """A room key from one message on; `key` as `m.room_key` carries it (base64)."""

    room_id: str
    session_id: str
    index: int
    key: str
    shared_history: bool

    @classmethod
    def of(cls, room_id: str, session: WritingSession) -> "RoomKey":
        """Give a session's key from its next message on."""
        return cls(room_id, session.id, session.index, session.key, session.shared_history)

    def content(self) -> dict[str, Any]:
        """Give the content of `m.room_key`."""
        content: dict[str, Any] = {
            "algorithm": MEGOLM,
            "room_id": self.room_id,
            "session_id": self.session_id,
            "session_key": self.key,
            "chain_index": self.index,
        }
        if self.shared_history:
            content |= {"shared_history": True, "org.matrix.msc3061.shared_history": True}
        return content


def owe(
    connection: Connection, seal: Seal, key: RoomKey, devices: Sequence[Device], now: datetime
) -> None:
    """Note that devices are owed a key; of one session the earliest that is owed stays."""
    owed = owed_of(connection, seal, key.room_id, key.session_id, devices)
    rows = [
        {
            "user_id": device.user_id,
            "device_id": device.device_id,
            "room_id": key.room_id,
            "session_id": key.session_id,
            "at_index": key.index,
            "sealed": seal.seal(_PLACE, key.key),
            "shared_history": key.shared_history,
            "since_ms": milliseconds(now),
        }
        for device in devices
        if (device.user_id, device.device_id) not in owed
    ]
    if rows:
        connection.execute(insert(_TABLE), rows)


def devices(connection: Connection) -> list[tuple[str, str]]:
    """Give user and device ids of all that are owed something."""
    query = select(_TABLE.c.user_id, _TABLE.c.device_id).distinct()
    return [(row.user_id, row.device_id) for row in connection.execute(query)]


def owed_to(connection: Connection, seal: Seal, device: Device, limit: int) -> list[RoomKey]:
    """Give the keys that a device is owed, at most `limit`, those owed longest first."""
    query = select(_TABLE).where(*_whose(device)).order_by(_TABLE.c.since_ms).limit(limit)
    return [_key(row, seal) for row in connection.execute(query)]


def owed_of(
    connection: Connection, seal: Seal, room_id: str, session_id: str, devices: Sequence[Device]
) -> Mapping[tuple[str, str], RoomKey]:
    """Give what some devices are owed of one session, by user and device id."""
    query = select(_TABLE).where(
        _TABLE.c.room_id == room_id,
        _TABLE.c.session_id == session_id,
        _TABLE.c.user_id.in_({one.user_id for one in devices}),
    )
    return {(row.user_id, row.device_id): _key(row, seal) for row in connection.execute(query)}


def settle(connection: Connection, device: Device, key: RoomKey) -> None:
    """Note that a device is owed a key no more."""
    of_key = _TABLE.c.room_id == key.room_id, _TABLE.c.session_id == key.session_id
    connection.execute(delete(_TABLE).where(*_whose(device), *of_key))


def _whose(device: Device) -> tuple[Any, Any]:
    return _TABLE.c.user_id == device.user_id, _TABLE.c.device_id == device.device_id


def _key(row: Row[Any], seal: Seal) -> RoomKey:
    key = seal.open(_PLACE, row.sealed)
    return RoomKey(row.room_id, row.session_id, row.at_index, key, row.shared_history)
