"""Gives room keys to the devices that may have them, and tells the others that they may not.

What goes to a device is encrypted, stored and committed before it leaves, and sent again until the
homeserver took it: no device is marked as served by a request that failed (B9).
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
import vodozemac
from sqlalchemy import Connection

from rabta_bots.matrix import owing, plan, roomstate, tables
from rabta_bots.matrix.errors import MatrixError
from rabta_bots.matrix.grammar import mapping
from rabta_bots.matrix.letters import Letters, new_txn_id, queue
from rabta_bots.matrix.machine import MEGOLM
from rabta_bots.matrix.owing import RoomKey
from rabta_bots.matrix.plan import Plan
from rabta_bots.matrix.received import SenderTrust
from rabta_bots.matrix.sessions import Device, WritingSession
from rabta_bots.matrix.state import CryptoState
from rabta_bots.matrix.trust import Trust
from rabta_bots.matrix.wire import Wire
from rabta_bots.rows import put

_BATCH = 25
"""Devices per transaction: some 20 ms of work, then the event loop has its turn."""
_PER_REQUEST = 100
"""Devices per request, which gathers the letters of several transactions."""
_CLAIMED = 250
"""Devices per claim: its answer is parsed in one piece."""
_CLAIM_PATIENCE = timedelta(seconds=10)
_FIRST_BACKOFF = timedelta(minutes=1)
_LONGEST_BACKOFF = timedelta(hours=1)
_ROUNDS = 5

Claimed = dict[tuple[str, str], Any]
"""User id and device id -> the one-time key object that the server gave, of any shape."""

_log = structlog.get_logger(__name__)


class Sharing:
    """The keys of our own room sessions.

    Args:
        state: Our device.
        trust: Judges devices.
        wire: The homeserver.
    """

    def __init__(self, state: CryptoState, trust: Trust, wire: Wire) -> None:
        self._state = state
        self._trust = trust
        self._wire = wire
        self._letters = Letters(state, wire)
        self._claims: dict[tuple[str, str], tuple[datetime, timedelta]] = {}

    def plan(self, connection: Connection, room_id: str) -> Plan:
        """Compare who may read the room with who holds the key; see `plan.make`."""
        return plan.make(connection, self._state, self._trust, room_id, self._worth_trying)

    async def settle(self, room_id: str) -> bool:
        """Work until the room's session may encrypt for everybody who may read it.

        Returns:
            Whether anything was given or refused.

        Raises:
            MatrixError: permanent `room-not-encrypted`, `identity-changed`; not permanent
                `no-reader`, and what `Wire.call` raises.
        """
        told = await self._letters.flush(room_id)
        for _ in range(_ROUNDS):
            with self._state.store.transaction() as connection:
                todo = self.plan(connection, room_id)
            if todo.settled:
                return told
            if not todo.serve and not todo.held:
                raise _nobody(todo, room_id)
            claimed = await self._claim([one for one in todo.serve if not self._has_session(one)])
            await self._share(room_id, todo, claimed)
            told = await self._letters.flush(room_id) or told
        raise MatrixError("room-keeps-changing", room_id, permanent=False)

    async def greet(self, devices: Sequence[Device]) -> None:
        """Start new Olm sessions with devices whose messages we could not read (unwedging)."""
        signed = [one for one in devices if self._worth_trying((one.user_id, one.device_id))]
        claimed = await self._claim(signed)
        async with self._state.lock:
            with self._state.transaction() as connection:
                machine, fresh = self._state.machine, self._open(signed, claimed)
                messages = [(one, machine.encrypt_for(one, "m.dummy", {})) for one in fresh]
                queue(connection, "", "m.room.encrypted", messages)
        for device in signed:
            # Not more than one new session an hour, whatever is thrown at us.
            self._back_off(device, _LONGEST_BACKOFF)
        await self._letters.flush("")

    async def give_owed(self) -> None:
        """Give what was withheld from devices that their owners have signed since.

        Raises:
            MatrixError: as `Wire.call`; what is queued then goes out with the next letters.
        """
        with self._state.store.transaction() as connection:
            owed = [key for key in owing.devices(connection) if self._worth_trying(key)]
        known = [device for key in owed if (device := self._state.machine.device(*key))]
        signed = [
            one
            for one in known
            if not one.deleted and self._trust.standing(one) is SenderTrust.SIGNED
        ]
        if not signed:
            return
        claimed = await self._claim([one for one in signed if not self._has_session(one)])
        async with self._state.lock:
            for device in signed:
                more = True
                while more:
                    more = self._give(device, claimed)
                    await asyncio.sleep(0)
        await self._letters.flush("")

    def _give(self, device: Device, claimed: Claimed) -> bool:
        """Queue some of the keys that a device is owed; tell whether there may be more."""
        with self._state.transaction() as connection:
            if not self._has_session(device) and not self._open([device], claimed):
                return False
            keys = owing.owed_to(connection, self._state.store.seal, device, _BATCH)
            for key in keys:
                owing.settle(connection, device, key)
                if device.user_id not in roomstate.readers(connection, key.room_id):
                    continue
                letter = self._state.machine.encrypt_for(device, "m.room_key", key.content())
                queue(connection, "", "m.room.encrypted", [(device, letter)])
                session = self._state.store.load_writing_session(key.room_id)
                if session is not None and session.id == key.session_id:
                    _note(connection, key.room_id, [device], "sent", key.index)
                _log.info("owed-key-given", device_id=device.device_id)
        return len(keys) == _BATCH

    async def write_to(
        self, devices: Sequence[Device], event_type: str, content: Mapping[str, Any], **further: Any
    ) -> list[Device]:
        """Send an Olm letter to devices, and give those for which it was encrypted.

        Args:
            devices: Signed ones; who may have what is in it, the caller has judged.
            event_type: Of the event inside.
            content: Of the event inside.
            further: What else stands beside them.

        Raises:
            MatrixError: as `Wire.call`; what is queued then goes out with the next letters.
        """
        claimed = await self._claim([one for one in devices if not self._has_session(one)])
        async with self._state.lock:
            with self._state.transaction() as connection:
                self._open([one for one in devices if not self._has_session(one)], claimed)
                reached = [one for one in devices if self._has_session(one)]
                encrypt = self._state.machine.encrypt_for
                messages = [(one, encrypt(one, event_type, content, **further)) for one in reached]
                queue(connection, "", "m.room.encrypted", messages)
        await self._letters.flush("")
        return reached

    def queued(self, connection: Connection, room_id: str) -> bool:
        """Whether letters of the room are still on their way."""
        return self._letters.queued(connection, room_id)

    def ready_session(self, connection: Connection, room_id: str) -> WritingSession | None:
        """The room's session if it may encrypt as it is."""
        todo = self.plan(connection, room_id)
        return todo.session if todo.settled else None

    def _has_session(self, device: Device) -> bool:
        return self._state.machine.session_store.get(device.curve25519) is not None

    def _worth_trying(self, key: tuple[str, str]) -> bool:
        if key not in self._claims:
            return True
        device = self._state.machine.device(*key)
        if device and self._has_session(device):
            return True
        return self._state.store.clock() >= self._claims[key][0]

    def _back_off(self, device: Device, at_least: timedelta = _FIRST_BACKOFF) -> None:
        key = device.user_id, device.device_id
        _, last = self._claims.get(key, (None, at_least / 2))
        wait = min(max(last * 2, at_least), _LONGEST_BACKOFF)
        self._claims[key] = self._state.store.clock() + wait, wait

    async def _claim(self, devices: Sequence[Device]) -> Claimed:
        """Claim a one-time key of each device; those that have none are not in the answer."""
        found: Claimed = {}
        for start in range(0, len(devices), _CLAIMED):
            wanted: dict[str, dict[str, str]] = {}
            for device in devices[start : start + _CLAIMED]:
                wanted.setdefault(device.user_id, {})[device.device_id] = "signed_curve25519"
            answer = await self._wire.call(
                "POST",
                "keys",
                "claim",
                body={
                    "one_time_keys": wanted,
                    "timeout": int(_CLAIM_PATIENCE.total_seconds() * 1000),
                },
                timeout=_CLAIM_PATIENCE * 2,
            )
            for user, keys in mapping(answer.get("one_time_keys")).items():
                found.update(((user, device), key) for device, key in mapping(keys).items())
        return found

    def _open(self, devices: Sequence[Device], claimed: Claimed) -> list[Device]:
        """Start Olm sessions with the claimed keys; give the devices that have a new one now."""
        opened = []
        for device in devices:
            name = device.user_id, device.device_id
            key = claimed.get(name)
            if key and self._state.machine.open_session(device, key):
                self._claims.pop(name, None)
                opened.append(device)
            else:
                self._back_off(device)
                _log.warning("no-olm", device_id=device.device_id)
        return opened

    async def _share(self, room_id: str, todo: Plan, claimed: Claimed) -> None:
        """Queue the key for all who may have it, a few devices to a transaction."""
        async with self._state.lock:
            with self._state.transaction() as connection:
                if todo.rotate:
                    self._rotate(connection, room_id)
                self._refuse(connection, room_id, todo.refuse, "m.unverified")
            txn_id = ""
            for start in range(0, len(todo.serve), _BATCH):
                batch = todo.serve[start : start + _BATCH]
                if start % _PER_REQUEST == 0:
                    txn_id = new_txn_id()
                with self._state.transaction() as connection:
                    self._open([one for one in batch if not self._has_session(one)], claimed)
                    self._serve(connection, room_id, batch, txn_id)
                await asyncio.sleep(0)

    def _rotate(self, connection: Connection, room_id: str) -> None:
        store = self._state.store
        wanted = roomstate.encryption(connection, room_id)
        store.forget_writing_session(room_id)
        session = WritingSession(
            vodozemac.GroupSession(),
            created=store.clock(),
            messages=0,
            shared_history=wanted is not None and wanted.shared_history,
        )
        store.save_writing_session(room_id, session)
        keys = self._state.machine.account.identity_keys
        # Our own reading side: for events of ours that come back, and for later key bundles.
        self._state.machine.create_group_session(
            keys["curve25519"], keys["ed25519"], room_id, session.id, session.key
        )
        if session.shared_history:
            store.note_shareable(room_id, session.id, keys["curve25519"])

    def _serve(
        self, connection: Connection, room_id: str, devices: Sequence[Device], txn_id: str
    ) -> None:
        """Queue the key for devices, in the request of that id, which has not been tried yet."""
        now = RoomKey.of(room_id, self._session(room_id))
        seal, machine = self._state.store.seal, self._state.machine
        owed = owing.owed_of(connection, seal, room_id, now.session_id, devices)
        messages, without = [], []
        for device in devices:
            key = owed.get((device.user_id, device.device_id), now)
            try:
                letter = machine.encrypt_for(device, "m.room_key", key.content())
            except (LookupError, ValueError):
                without.append(device)
                continue
            messages.append((device, letter))
            if key is not now:
                owing.settle(connection, device, key)
        queue(connection, room_id, "m.room.encrypted", messages, txn_id)
        _note(connection, room_id, [device for device, _ in messages], "sent", now.index)
        self._refuse(connection, room_id, without, "m.no_olm")

    def _refuse(
        self, connection: Connection, room_id: str, devices: Sequence[Device], code: str
    ) -> None:
        """Send `m.room_key.withheld` (spec: Reporting that decryption keys are withheld)."""
        if not devices:
            return
        session = self._session(room_id)
        content = {
            "algorithm": MEGOLM,
            "sender_key": self._state.machine.account.identity_keys["curve25519"],
            "code": code,
            "reason": _WITHHELD[code],
        }
        if code != "m.no_olm":
            content |= {"room_id": room_id, "session_id": session.id}
        queue(connection, room_id, "m.room_key.withheld", [(one, content) for one in devices])
        state = "no-olm" if code == "m.no_olm" else "withheld"
        _note(connection, room_id, devices, state, session.index)
        store = self._state.store
        owing.owe(connection, store.seal, RoomKey.of(room_id, session), devices, store.clock())
        for device in devices:
            # Every phone is refused for a moment when it signs in: no name is logged for that.
            _log.warning("key-withheld", device_id=device.device_id, code=code)

    def _session(self, room_id: str) -> WritingSession:
        session = self._state.store.load_writing_session(room_id)
        if session is None:
            raise MatrixError("room-keeps-changing", room_id, permanent=False)
        return session


_WITHHELD = {
    "m.unverified": "The device is not signed by the identity of its owner that is known here.",
    "m.no_olm": "No one-time key of the device could be had.",
}


def _nobody(todo: Plan, room_id: str) -> MatrixError:
    if todo.changed:
        return MatrixError("identity-changed", ", ".join(todo.changed), permanent=True)
    return MatrixError("no-reader", room_id, permanent=False)


def _note(
    connection: Connection, room_id: str, devices: Sequence[Device], state: str, index: int
) -> None:
    rows = [
        {
            "room_id": room_id,
            "user_id": device.user_id,
            "device_id": device.device_id,
            "state": state,
            "at_index": index,
        }
        for device in devices
    ]
    put(connection, tables.recipient, rows)
