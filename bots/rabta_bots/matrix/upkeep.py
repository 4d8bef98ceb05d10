"""What is due after a sync: one-time keys, device lists, invitations, broken Olm sessions."""

from collections.abc import Collection, Mapping
from typing import Any

import structlog
from sqlalchemy import delete, select

from rabta_bots.matrix import tables
from rabta_bots.matrix.errors import MatrixError
from rabta_bots.matrix.grammar import mapping
from rabta_bots.matrix.received import SenderTrust
from rabta_bots.matrix.rooms import Rooms
from rabta_bots.matrix.sharing import Sharing
from rabta_bots.matrix.state import CryptoState
from rabta_bots.matrix.trust import Trust
from rabta_bots.matrix.wire import RefusedError, Wire

_CURVE = "signed_curve25519"

_log = structlog.get_logger(__name__)


class Upkeep:
    """Keeps our device reachable and our knowledge of others fresh.

    Args:
        state: Our device.
        wire: The homeserver.
        trust: Devices of others.
        sharing: Starts Olm sessions.
        rooms: Joins and leaves.
        allowed_inviters: User ids, or `:server.name` endings.
    """

    def __init__(
        self,
        state: CryptoState,
        wire: Wire,
        *,
        trust: Trust,
        sharing: Sharing,
        rooms: Rooms,
        allowed_inviters: Collection[str],
    ) -> None:
        self._state = state
        self._wire = wire
        self._trust = trust
        self._sharing = sharing
        self._rooms = rooms
        self._allowed_inviters = allowed_inviters

    async def publish(self, sync: Mapping[str, Any] | None = None) -> None:
        """Publish device keys once, and one-time and fallback keys whenever they run low.

        Args:
            sync: The last sync response, or None before the first. A count of 0, or none at
                all, means that nothing is left (B5).

        Raises:
            MatrixError: permanent `store-is-old` when the server holds other keys under our
                ids: the database is an old copy, or a second process uses the account.
        """
        machine = self._state.machine
        if sync is None and machine.account.shared:
            return
        counts = mapping((sync or {}).get("device_one_time_keys_count"))
        left = counts.get(_CURVE, 0)
        most = machine.account.max_one_time_keys
        fallback = sync is None or _CURVE not in _unused_fallbacks(sync)
        if isinstance(left, int) and left > most // 2 and not fallback:
            return
        async with self._state.lock:
            body = self._prepare(int(left) if isinstance(left, int) else 0, fallback=fallback)
        try:
            await self._wire.call("POST", "keys", "upload", body=body)
        except RefusedError as refused:
            if "already exists" in str(refused.body.get("error")):
                raise MatrixError("store-is-old", refused.detail, permanent=True) from refused
            raise
        async with self._state.lock:
            with self._state.transaction():
                machine = self._state.machine
                machine.account.shared = True
                machine.account.mark_keys_as_published()
                machine.save_account()

    def _prepare(self, left: int, *, fallback: bool) -> dict[str, Any]:
        """Make keys and commit their private halves before anybody hears of them (B6)."""
        with self._state.transaction():
            machine = self._state.machine
            account = machine.account
            # Keys made and saved but not acknowledged go out again as they are.
            wanted = account.max_one_time_keys - left - len(account.one_time_keys["curve25519"])
            if wanted > 0:
                account.generate_one_time_keys(wanted)
            if fallback and account.unpublished_fallback_key() is None:
                account.make_fallback_key()
            machine.save_account()
            body: dict[str, Any] = {
                "one_time_keys": {
                    f"{_CURVE}:{key_id}": machine.signed({"key": key})
                    for key_id, key in account.one_time_keys["curve25519"].items()
                }
            }
            if (made := account.unpublished_fallback_key()) is not None:
                key_id, key = made
                body["fallback_keys"] = {
                    f"{_CURVE}:{key_id}": machine.signed({"key": key, "fallback": True})
                }
            if not account.shared:
                body["device_keys"] = machine.device_keys()
        return body

    async def refresh(self) -> None:
        """Ask for the devices of everybody whose list changed."""
        await self._trust.refresh(self._trust.outdated())

    async def give_owed(self) -> None:
        """Give what was withheld from devices that their owners have signed since."""
        await self._sharing.give_owed()

    async def mend(self) -> None:
        """Start new Olm sessions with signed devices whose messages we could not read."""
        machine = self._state.machine
        wedged, machine.wedged = machine.wedged, set()
        devices = [device for key in sorted(wedged) if (device := machine.device(*key))]
        await self._sharing.greet(
            [one for one in devices if self._trust.standing(one) is SenderTrust.SIGNED]
        )

    async def answer_invites(self) -> None:
        """Join where an allowed person invites us, and decline everybody else."""
        table = tables.invite
        with self._state.store.transaction() as connection:
            invites = connection.execute(select(table)).all()
        for row in invites:
            allowed = any(
                one in (row.inviter, ":" + row.inviter.partition(":")[2])
                for one in self._allowed_inviters
            )
            try:
                await (self._rooms.join if allowed else self._rooms.leave)(row.room_id)
            except RefusedError as refused:
                _log.warning("invite-failed", room_id=row.room_id, fault=refused.reason)
            else:
                _log.info("invite-answered", room_id=row.room_id, joined=allowed)
            with self._state.store.transaction() as connection:
                connection.execute(delete(table).where(table.c.room_id == row.room_id))


def _unused_fallbacks(sync: Mapping[str, Any]) -> list[Any]:
    unused = sync.get("device_unused_fallback_key_types")
    # A server that does not name the field knows no fallback keys.
    return unused if isinstance(unused, list) else [_CURVE]
