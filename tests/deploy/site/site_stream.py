"""Somebody who writes to a site all the time, whatever happens to it."""

import itertools
import threading
import time

from rabta_deploy.jsonhttp import request
from rabta_deploy.process import until
from rabta_deploy.site.running import Running

CLIENT = "/_matrix/client/v3"


class Stream:
    """Somebody who writes all the time, and sends again what was not acknowledged."""

    def __init__(self, site: Running, token: str) -> None:
        self.acknowledged: list[str] = []
        self.moments: list[float] = []
        """When each was, by `time.monotonic`."""
        self._url, self._token = f"{site.client_url}{CLIENT}", token
        self._enough = threading.Event()
        self.room = self._made()

    def _made(self) -> str:
        """A room, made as clients do: asked again when the homeserver says it was too soon."""
        answers = []

        def made() -> bool:
            url = f"{self._url}/createRoom"
            answers.append(request("POST", url, json_body={}, token=self._token))
            return answers[-1].status != 429  # the stream before filled what `rc_message` allows

        assert until(made, within_s=60, every_s=0.5)
        assert answers[-1].status == 200, answers[-1]
        return str(answers[-1].body["room_id"])

    def write(self) -> None:
        for number in itertools.count():
            while not self._sent(number):
                if self._enough.wait(0.1):
                    return
            if self._enough.wait(0.02):
                return

    def _sent(self, number: int) -> bool:
        url = f"{self._url}/rooms/{self.room}/send/m.room.encrypted/s{number}"
        body = {"ciphertext": "x"}
        try:
            answer = request("PUT", url, json_body=body, token=self._token, timeout_s=10)
        except OSError:
            return False
        if answer.status == 200:
            self.acknowledged.append(answer.body["event_id"])
            self.moments.append(time.monotonic())
        return answer.status == 200

    def longest_wait(self, since: float) -> float:
        """The longest time without an acknowledgement after a moment, in seconds."""
        later = [since, *(moment for moment in self.moments if moment > since)]
        return max(after - before for before, after in itertools.pairwise(later))

    def stop(self) -> None:
        self._enough.set()

    def told(self) -> list[str]:
        """Every message in the room."""
        found, at = [], ""
        while True:
            url = f"{self._url}/rooms/{self.room}/messages?dir=b&limit=500{at}"
            body = request("GET", url, token=self._token).body
            found += [one["event_id"] for one in body["chunk"] if one["type"] == "m.room.encrypted"]
            if "end" not in body:
                return found
            at = f"&from={body['end']}"
