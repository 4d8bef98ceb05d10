"""Hands the room keys of the past to somebody who is about to be invited (spec: Sharing room keys).

Only keys whose maker marked them `shared_history`, only of the one room, and only to devices that
the person's pinned identity signed: a bundle opens everything that was ever said there.
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import structlog

from rabta_bots.matrix.identity import OwnIdentity
from rabta_bots.matrix.machine import MEGOLM
from rabta_bots.matrix.media import Media
from rabta_bots.matrix.received import SenderTrust
from rabta_bots.matrix.sessions import RoomSession
from rabta_bots.matrix.sharing import Sharing
from rabta_bots.matrix.state import CryptoState
from rabta_bots.matrix.trust import Trust

EVENT_TYPE = "m.room_key_bundle"
_PAGE = 100
"""Keys per look into the store: some 10 ms of work, then the event loop has its turn."""

_log = structlog.get_logger(__name__)


class KeyBundles:
    """What a new reader of a room needs of its past.

    Args:
        state: Our device.
        trust: Knows which devices are the person's own.
        sharing: Writes to devices.
        media: Takes the bundle; only ciphertext leaves.
        identity: Signs our device keys, which stand beside the bundle.
    """

    def __init__(
        self,
        state: CryptoState,
        trust: Trust,
        sharing: Sharing,
        media: Media,
        identity: OwnIdentity,
    ) -> None:
        self._state = state
        self._trust = trust
        self._sharing = sharing
        self._media = media
        self._identity = identity

    async def offer(self, room_id: str, user_id: str) -> None:
        """Send the bundle of a room to a person's signed devices; call it before the invitation.

        Without signed devices, or without keys that may be handed on, nothing is sent, and that is
        no fault: the person then reads from the invitation on. A repeat sends another bundle.

        Raises:
            MatrixError: as `Wire.call`; then do not invite yet.
        """
        await self._trust.refresh([user_id])
        devices = [
            one
            for one in self._trust.devices(user_id)
            if self._trust.standing(one) is SenderTrust.SIGNED
        ]
        if not devices:
            _log.warning("history-not-shared", room_id=room_id)
            return
        bundle = await self._bundle(room_id)
        if bundle is None:
            return
        file = await self._media.upload_bytes(bundle)
        reached = await self._sharing.write_to(
            devices,
            EVENT_TYPE,
            {"room_id": room_id, "file": file.content()},
            sender_device_keys=self._identity.device_keys(),
        )
        _log.info("history-shared", room_id=room_id, devices=len(reached))

    async def _bundle(self, room_id: str) -> bytes | None:
        """Give the JSON of the bundle, or None when no key may be handed on."""
        shared: list[str] = []
        withheld: list[str] = []
        after = "", ""
        while page := self._state.store.room_history(room_id, after, _PAGE):
            for session, shareable in page:
                if shareable:
                    shared.append(json.dumps(_shared(session)))
                else:
                    withheld.append(json.dumps(_withheld(session)))
            after = page[-1][0].id, page[-1][0].sender_key
            await asyncio.sleep(0)
        if not shared:
            return None
        return f'{{"room_keys":[{",".join(shared)}],"withheld":[{",".join(withheld)}]}}'.encode()


def _shared(session: RoomSession) -> Mapping[str, Any]:
    return {
        "algorithm": MEGOLM,
        "room_id": session.room_id,
        "sender_key": session.sender_key,
        "sender_claimed_keys": {"ed25519": session.ed25519},
        "session_id": session.id,
        "session_key": session.exported(),
    }


def _withheld(session: RoomSession) -> Mapping[str, Any]:
    return {
        "algorithm": MEGOLM,
        "room_id": session.room_id,
        "sender_key": session.sender_key,
        "session_id": session.id,
        "code": "m.history_not_shared",
        "reason": "Its maker did not let it be handed on.",
    }
