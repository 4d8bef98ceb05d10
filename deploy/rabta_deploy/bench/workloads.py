"""What the compared homeservers are given to do, the same to each, a round at a time."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from http import HTTPStatus
from itertools import count, islice
from urllib.parse import quote

from rabta_deploy.homeserver import Homeserver
from rabta_deploy.jsonhttp import request
from rabta_deploy.process import until
from rabta_deploy.raw_homeserver import RawRoom, event_id_of

EVENTS = 30
"""In a round."""
# As Megolm makes it of a short sentence; only its size matters to a homeserver.
CIPHERTEXT = {
    "algorithm": "m.megolm.v1.aes-sha2",
    "ciphertext": "A" * 400,
    "session_id": "B" * 43,
    "device_id": "BENCH",
    "sender_key": "C" * 43,
}
_STORED_WITHIN_S = 120

Give = Callable[[Homeserver], None]
"""Gives a homeserver one round's events and returns when it has taken them all."""


class LocalSends:
    """A person of ours sends encrypted messages, one after the other.

    Args:
        size: Members of the room.
        room_id: The room.
        token: The sender's.
    """

    def __init__(self, size: int, room_id: str, token: str) -> None:
        self.name = f"local sends, {size} members"
        self._path = f"/_matrix/client/v3/rooms/{quote(room_id)}/send/m.room.encrypted"
        self._token = token
        self._numbers = count()

    def next_round(self) -> Give:
        """The next messages."""
        numbers = list(islice(self._numbers, EVENTS))

        def give(homeserver: Homeserver) -> None:
            for number in numbers:
                url = f"{homeserver.client_url}{self._path}/t{number}"
                answer = request("PUT", url, json_body=CIPHERTEXT, token=self._token)
                if answer.status != HTTPStatus.OK:
                    raise RuntimeError(f"a send was refused: {answer.body}")

        return give


class ReceivedEvents:
    """A peer sends encrypted messages of its own room, each in a transaction, as in a quiet hour.

    Args:
        size: Members of the room, of whom one is ours.
        room: The peer's room.
        server_name: The name of the homeservers that are compared.
        token: Our member's.
    """

    def __init__(self, size: int, room: RawRoom, server_name: str, token: str) -> None:
        self.name = f"received events, {size} members"
        self._room = room
        self._server_name = server_name
        self._token = token
        self._transactions = (f"r{size}t{number}" for number in count())  # no id comes twice

    def next_round(self) -> Give:
        """The next messages: the same ones for every homeserver, for they are one chain."""
        events = [self._room.say("m.room.encrypted", CIPHERTEXT) for _ in range(EVENTS)]
        last = event_id_of(events[-1], self._room.version)
        transactions = list(islice(self._transactions, EVENTS))
        peer = self._room.server

        def give(homeserver: Homeserver) -> None:
            for event, number in zip(events, transactions, strict=True):
                answer = peer.request(
                    homeserver.settings.federation_port,
                    self._server_name,
                    "PUT",
                    f"/_matrix/federation/v1/send/{number}",
                    {
                        "origin": peer.server_name,
                        "origin_server_ts": event["origin_server_ts"],
                        "pdus": [event],
                    },
                )
                if answer.status != HTTPStatus.OK or any(answer.body["pdus"].values()):
                    raise RuntimeError(f"an event was refused: {answer.body}")
            if not until(lambda: _stored(homeserver, last), within_s=_STORED_WITHIN_S):
                raise RuntimeError(f"{last} never came in")

        return give

    def shown(self, homeserver: Homeserver) -> bool:
        """Whether our member sees the peer's last message: stored is not yet accepted."""
        room_id, last = quote(self._room.room_id), quote(self._room.ids[-1])
        url = f"{homeserver.client_url}/_matrix/client/v3/rooms/{room_id}/event/{last}"
        return request("GET", url, token=self._token).status == HTTPStatus.OK


def _stored(homeserver: Homeserver, event_id: str) -> bool:
    """Read beside the homeserver, whose own CPU must not pay for the question."""
    uri = f"file:{homeserver.files.database}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as database:
        found = database.execute("SELECT 1 FROM events WHERE event_id = ?", (event_id,))
        return found.fetchone() is not None
