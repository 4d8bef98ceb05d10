"""The raw ceiling: rooms like the bridge's, and ready-made ciphertext sent into them."""

import asyncio
import itertools
import json
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import aiohttp

from rabta_deploy.bench.bridge_stage import PASSWORD
from rabta_deploy.homeserver import Homeserver
from rabta_deploy.jsonhttp import request

_SENDER = "raw"
_MEGOLM = "m.megolm.v1.aes-sha2"


class RawRooms:
    """Rooms of a sender of its own, so that the bridge does not hear of what is sent.

    Args:
        homeserver: The same that the bridge uses.
        reader: Who is in the bridge's rooms too.
    """

    def __init__(self, homeserver: Homeserver, reader: str) -> None:
        self._url = f"{homeserver.client_url}/_matrix/client/v3"
        self._reader = reader
        self._numbers = itertools.count()
        self.user_id = homeserver.register(_SENDER, PASSWORD)
        self._token = homeserver.admin.log_in(_SENDER, PASSWORD)
        self._headers = {
            "Authorization": f"Bearer {self._token}",
            "Content-Type": "application/json",
        }
        self._admin = homeserver.admin_token
        self.rooms: list[str] = []
        self._ciphertext = ""

    async def open(self, count: int, like: tuple[str, str]) -> None:
        """Make the rooms, and take the ciphertext of an event (room and event id) to send."""
        room, event = like
        path = f"/rooms/{quote(room)}/event/{quote(event)}"
        content = await asyncio.to_thread(self._call, "GET", path, None, await self._reader_token())
        self._ciphertext = json.dumps(content["content"])
        body = {
            "preset": "private_chat",
            "invite": [self._reader],
            "creation_content": {"org.rabta.room.class": {"class": "restricted"}},
            "initial_state": [
                {
                    "type": "m.room.encryption",
                    "state_key": "",
                    "content": {"algorithm": _MEGOLM},
                }
            ],
        }
        for _ in range(count):
            made = await asyncio.to_thread(self._call, "POST", "/createRoom", body, self._token)
            self.rooms.append(str(made["room_id"]))

    async def _reader_token(self) -> str:
        base = self._url.partition("/_matrix")[0]
        url = f"{base}/_synapse/admin/v1/users/{quote(self._reader)}/login"
        answer = await asyncio.to_thread(request, "POST", url, json_body={}, token=self._admin)
        return str(answer.body["access_token"])

    def _call(self, method: str, path: str, body: object, token: str) -> dict[str, Any]:
        answer = request(method, f"{self._url}{path}", json_body=body, token=token)
        if answer.status != HTTPStatus.OK:
            raise RuntimeError(f"{path} was refused: {answer.body}")
        return dict(answer.body)

    async def send(self, count: int) -> None:
        """Send `count` events, one at a time in each room, all rooms at once."""
        waiting = iter(range(count))
        async with aiohttp.ClientSession(headers=self._headers) as session:

            async def one_room(room: str) -> None:
                for _ in waiting:
                    await self._put(session, room)

            await asyncio.gather(*(one_room(room) for room in self.rooms))

    async def send_one(self, room: str) -> None:
        """Send one event."""
        async with aiohttp.ClientSession(headers=self._headers) as session:
            await self._put(session, room)

    async def _put(self, session: aiohttp.ClientSession, room: str) -> None:
        path = f"/rooms/{quote(room)}/send/m.room.encrypted/raw{next(self._numbers)}"
        async with session.put(f"{self._url}{path}", data=self._ciphertext) as answer:
            if answer.status != HTTPStatus.OK:
                raise RuntimeError(f"a send was refused: {await answer.text()}")
