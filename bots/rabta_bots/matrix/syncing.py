"""The sync loop: survives the server, the network and whatever the batch holds; loses nothing."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, TypeVar

import structlog
from sqlalchemy import select

from rabta_bots.matrix import roomstate, tables
from rabta_bots.matrix.errors import MatrixError
from rabta_bots.matrix.gaps import missed
from rabta_bots.matrix.grammar import is_room_id, mapping, objects
from rabta_bots.matrix.identity import OwnIdentity
from rabta_bots.matrix.pruning import Pruning
from rabta_bots.matrix.receiving import Receiving
from rabta_bots.matrix.state import CryptoState
from rabta_bots.matrix.upkeep import Upkeep
from rabta_bots.matrix.wire import RefusedError, Wire

FATAL = frozenset(
    {"token-refused", "identity-not-ours", "device-keys-differ", "store-is-old", "wrong-store-key"}
)
"""Reasons that end the loop: each needs a person. Everything else passes or is tried again."""

_POLL = timedelta(seconds=30)
_SLACK = timedelta(seconds=30)
_FIRST_PAUSE = timedelta(milliseconds=500)
_LONGEST_PAUSE = timedelta(seconds=30)
_ECHOES_SHARE = 10
_ECHOES_LONGEST = timedelta(seconds=1)
"""While we send much, each of our own events would end a sync, and the homeserver would make as
many syncs as it takes messages. So from the second sync on that tells us nothing but what we said
ourselves, the homeserver gets ten times as long for other work as the sync took it."""
_NONE = {"not_types": ["*"]}

_T = TypeVar("_T")

_log = structlog.get_logger(__name__)


class Syncing:
    """Brings in what happened, for ever.

    Args:
        state: Our device.
        wire: The homeserver.
        receiving: Commits each response.
        pruning: Drops what has served its time.
        upkeep: Does what is due afterwards.
        identity: Checked again whenever our own device list changed.
        timeline_limit: Events per room and sync; what is beyond is walked through `/messages`.
    """

    def __init__(
        self,
        state: CryptoState,
        wire: Wire,
        *,
        receiving: Receiving,
        pruning: Pruning,
        upkeep: Upkeep,
        identity: OwnIdentity,
        timeline_limit: int = 50,
    ) -> None:
        self._state = state
        self._wire = wire
        self._receiving = receiving
        self._pruning = pruning
        self._upkeep = upkeep
        self._identity = identity
        self._stopping = asyncio.Event()
        self._filter = json.dumps(
            {
                "presence": _NONE,
                "account_data": _NONE,
                "room": {
                    "account_data": _NONE,
                    "ephemeral": _NONE,
                    "timeline": {"limit": timeline_limit},
                },
            }
        )

    def stop(self) -> None:
        """End `run` after the transaction under way."""
        self._stopping.set()

    async def catch_up(self) -> None:
        """Sync once without waiting for news.

        Raises:
            MatrixError: as `Wire.call`.
        """
        sync = await self._step(timedelta(0))
        await self._afterwards(sync)

    async def run(self, on_received: Callable[[], None]) -> None:
        """Sync until stopped.

        Raises:
            MatrixError: permanent, with a reason of `FATAL`.
        """
        pause, echoes, loop = _FIRST_PAUSE, False, asyncio.get_running_loop()
        # What `catch_up` brought, or a run before this one, waits already.
        _poke(on_received)
        while not self._stopping.is_set():
            try:
                asked = loop.time()
                sync = await self._unless_stopping(self._step(_POLL))
                if sync is None:
                    return
                took = loop.time() - asked
                await self._afterwards(sync)
                _poke(on_received)
                pause = _FIRST_PAUSE
                echoes, before = self._only_echoes(sync), echoes
                if echoes and before:
                    rest = min(took * _ECHOES_SHARE, _ECHOES_LONGEST.total_seconds())
                    await self._unless_stopping(asyncio.sleep(rest))
            except Exception as error:
                if self._stopping.is_set():
                    return  # the connection was closed under a request: that is no failure
                if isinstance(error, MatrixError) and error.reason in FATAL:
                    _log.exception("sync-ended", reason=error.reason)
                    raise
                # Whatever it was, the token stands where it stood: the same batch comes again.
                reason = error.reason if isinstance(error, MatrixError) else type(error).__name__
                _log.warning("sync-failed", reason=reason, pause_s=pause.total_seconds())
                self._state.forget()
                await self._unless_stopping(asyncio.sleep(pause.total_seconds()))
                pause = min(pause * 2, _LONGEST_PAUSE)

    async def _step(self, poll: timedelta) -> dict[str, Any]:
        with self._state.store.transaction() as connection:
            since = connection.execute(select(tables.account.c.sync_token)).scalar_one()
        query = {"filter": self._filter, "timeout": str(poll // timedelta(milliseconds=1))}
        if since is not None:
            query["since"] = since
        sync = await self._wire.call("GET", "sync", query=query, timeout=poll + _SLACK)
        if not isinstance(sync.get("next_batch"), str):
            raise MatrixError("homeserver-failed", "no sync token", permanent=False)
        if since is None:
            # Before the first sync nobody could write to this device; what older devices of the
            # account could read is not repeated.
            for room in mapping(mapping(sync.get("rooms")).get("join")).values():
                timeline = mapping(mapping(room).get("timeline")).get("events")
                mapping(room)["timeline"] = {  # type: ignore[index] # a dict parsed just now
                    "events": [one for one in objects(timeline) if "state_key" in one]
                }
        await self._receiving.apply(sync, await self._gaps(sync, since))
        return sync

    async def _gaps(
        self, sync: Mapping[str, Any], since: str | None
    ) -> dict[str, list[dict[str, Any]]]:
        """Fetch what limited timelines left out, before the transaction opens."""
        found = {}
        for room_id, room in mapping(mapping(sync.get("rooms")).get("join")).items():
            timeline = mapping(mapping(room).get("timeline"))
            prev_batch = timeline.get("prev_batch")
            if not timeline.get("limited") or not isinstance(prev_batch, str):
                continue
            if since is None or not is_room_id(room_id):
                continue
            with self._state.store.transaction() as connection:
                known = roomstate.is_known(connection, room_id)
            try:
                found[room_id] = await missed(
                    self._wire,
                    room_id,
                    prev_batch=prev_batch,
                    since=since if known else None,
                    is_last=self._our_join,
                )
            except RefusedError as refused:
                _log.warning("gap-refused", room_id=room_id, reason=refused.reason)
            else:
                _log.info("gap-filled", room_id=room_id, events=len(found[room_id]))
        return found

    def _only_echoes(self, sync: Mapping[str, Any]) -> bool:
        """Whether a response brought events of ours and nothing else."""
        rooms = mapping(sync.get("rooms"))
        told = mapping(sync.get("to_device")).get("events")
        if rooms.get("invite") or rooms.get("leave") or told:
            return False
        events = [
            event
            for room in mapping(rooms.get("join")).values()
            for part in ("state", "timeline")
            for event in objects(mapping(mapping(room).get(part)).get("events"))
        ]
        return bool(events) and all(
            one.get("sender") == self._state.user_id and one.get("type") == "m.room.encrypted"
            for one in events
        )

    def _our_join(self, event: Mapping[str, Any]) -> bool:
        return (
            event.get("type") == "m.room.member"
            and event.get("state_key") == self._state.user_id
            and mapping(event.get("content")).get("membership") == "join"
        )

    async def _afterwards(self, sync: Mapping[str, Any]) -> None:
        changed = mapping(sync.get("device_lists")).get("changed")
        if isinstance(changed, list) and self._state.user_id in changed:
            await self._try("identity", self._identity.check())
        await self._try("keys", self._upkeep.publish(sync))
        await self._try("device-lists", self._upkeep.refresh())
        await self._try("owed-keys", self._upkeep.give_owed())
        await self._try("olm", self._upkeep.mend())
        await self._try("invites", self._upkeep.answer_invites())
        self._pruning.prune()

    async def _try(self, what: str, work: Awaitable[None]) -> None:
        """Do one piece of upkeep; the next sync brings it up again if it fails."""
        try:
            await work
        except MatrixError as error:
            if error.reason in FATAL:
                raise
            _log.warning("upkeep-failed", what=what, reason=error.reason)

    async def _unless_stopping(self, work: Awaitable[_T]) -> _T | None:
        task = asyncio.ensure_future(work)
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return await task if task.done() else None
        finally:
            for one in (task, stopping):
                one.cancel()
            await asyncio.gather(task, stopping, return_exceptions=True)


def _poke(on_received: Callable[[], None]) -> None:
    try:
        on_received()
    except Exception:  # noqa: BLE001 - B12: nobody else's fault ends the loop
        _log.exception("on-received-failed")
