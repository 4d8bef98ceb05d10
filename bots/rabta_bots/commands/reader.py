"""Takes what came from rooms, oldest first, each message in one transaction with its being done."""

from collections.abc import Callable

from sqlalchemy import Connection, Engine

from rabta_bots.chat import Chat
from rabta_bots.commands.processing import Processing
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
        received = self._chat.received()
        for letter in received:
            await self._read(letter)
        return len(received)

    async def _read(self, letter: Received) -> None:
        processing = self._processing()

        def once(connection: Connection) -> str:
            result = processing.process(connection, letter)
            self._chat.done(letter.event_id, connection)
            return result

        result = await in_store(self._engine, once)
        self._metrics.commands.labels(result=result).inc()
