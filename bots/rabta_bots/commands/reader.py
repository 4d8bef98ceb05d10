"""Takes what came from rooms, oldest first, each message in one transaction with its being done."""

from collections.abc import Callable

from sqlalchemy import Connection, Engine

from rabta_bots.chat import Chat
from rabta_bots.commands.processing import HELD, Processing
from rabta_bots.matrix import Received
from rabta_bots.metrics import Metrics
from rabta_bots.store.opening import in_store


class Reader:
    """Reads commands.

    Args:
        processing: Gives the processing as of now: policy, directory, moment.
    """

    def __init__(
        self,
        *,
        chat: Chat,
        engine: Engine,
        metrics: Metrics,
        processing: Callable[[], Processing],
    ) -> None:
        self._chat = chat
        self._engine = engine
        self._metrics = metrics
        self._processing = processing

    async def read_all(self) -> int:
        """Process what came; gives how many messages that was."""
        read, held = 0, set[str]()
        for letter in self._chat.received():
            if letter.room_id in held:
                continue
            if await self._read(letter):
                read += 1
            else:
                held.add(letter.room_id)
        return read

    async def _read(self, letter: Received) -> bool:
        """Process a message; False when it is held back."""
        processing = self._processing()

        def once(connection: Connection) -> str:
            result = processing.process(connection, letter)
            if result != HELD:
                self._chat.done(letter.event_id, connection)
            return result

        result = await in_store(self._engine, once)
        if result == HELD:
            return False
        self._metrics.commands.labels(result=result).inc()
        return True
