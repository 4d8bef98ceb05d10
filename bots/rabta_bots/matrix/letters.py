"""The letters to devices that are on their way: queued with what they tell of, sent until taken.

A repeat is the very same request under the same transaction id, so no device gets a letter twice.
"""

import asyncio
import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from rabta_bots.matrix import tables
from rabta_bots.matrix.sessions import Device
from rabta_bots.matrix.state import CryptoState
from rabta_bots.matrix.wire import RefusedError, Wire

_AT_ONCE = 4
"""Requests with room keys under way at a time."""

_QUEUED = (
    select(tables.to_device.c.position)
    .where(tables.to_device.c.room_id == bindparam("room"))
    .limit(1)
)


class Letters:
    """The queue of to-device requests, each of one room; of none for what belongs to no room key.

    Args:
        state: Our device.
        wire: The homeserver.
    """

    def __init__(self, state: CryptoState, wire: Wire) -> None:
        self._state = state
        self._wire = wire

    async def flush(self, room_id: str) -> bool:
        """Send what is queued, and tell whether that was anything.

        A repeat has the same transaction id.

        Raises:
            MatrixError: as `Wire.call`; what a refusal concerned is planned again.
        """
        table = tables.to_device
        with self._state.store.transaction() as connection:
            queued = connection.execute(
                select(table).where(table.c.room_id == room_id).order_by(table.c.position)
            ).all()
        for start in range(0, len(queued), _AT_ONCE):
            rows = queued[start : start + _AT_ONCE]
            answers = await asyncio.gather(*map(self._put, rows), return_exceptions=True)
            self._dequeue(room_id, rows, answers)
            for fault in answers:
                if isinstance(fault, BaseException):
                    raise fault
        return bool(queued)

    def queued(self, connection: Connection, room_id: str) -> bool:
        """Whether something of the room waits for `flush`."""
        return connection.execute(_QUEUED, {"room": room_id}).first() is not None

    async def _put(self, row: Any) -> None:
        path = "sendToDevice", row.event_type, row.txn_id
        await self._wire.call("PUT", *path, body=row.messages)

    def _dequeue(
        self, room_id: str, rows: Sequence[Any], answers: Sequence[BaseException | None]
    ) -> None:
        """Drop what the server took, and what it will never take."""
        refused = any(isinstance(one, RefusedError) for one in answers)
        gone = [
            row.position
            for row, answer in zip(rows, answers, strict=True)
            if answer is None or isinstance(answer, RefusedError)
        ]
        table = tables.to_device
        with self._state.store.transaction() as connection:
            connection.execute(delete(table).where(table.c.position.in_(gone)))
            if refused and room_id:
                self._state.store.forget_writing_session(room_id)


def new_txn_id() -> str:
    """Give an id that only has to be the same when the very same request is sent again."""
    return f"rk-{secrets.token_hex(16)}"


def queue(
    connection: Connection,
    room_id: str,
    event_type: str,
    messages: Sequence[tuple[Device, Mapping[str, Any]]],
    txn_id: str | None = None,
) -> None:
    """Queue a request, or add to one that the same piece of work queued just before.

    Args:
        connection: The transaction of what the letters tell of.
        room_id: Whose key they are about, or an empty text.
        event_type: Of the to-device events.
        messages: Each device and the content for it.
        txn_id: The request's, made by `new_txn_id`; nobody may have tried to send it yet.
    """
    if not messages:
        return
    table = tables.to_device
    begun = connection.execute(select(table.c.messages).where(table.c.txn_id == txn_id)).scalar()
    by_user: dict[str, dict[str, Any]] = json.loads(begun)["messages"] if begun else {}
    for device, content in messages:
        by_user.setdefault(device.user_id, {})[device.device_id] = content
    text = json.dumps({"messages": by_user})
    if begun:
        connection.execute(update(table).where(table.c.txn_id == txn_id).values(messages=text))
        return
    connection.execute(
        insert(table).values(
            room_id=room_id,
            txn_id=txn_id or new_txn_id(),
            event_type=event_type,
            messages=text,
        )
    )
