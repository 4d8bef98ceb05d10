"""A network cable between two parts on the loopback, which can be cut in three ways."""

import asyncio
import contextlib
from enum import StrEnum

_CHUNK = 64 * 1024
_LOOK_S = 0.05


class Cut(StrEnum):
    """How a cable is cut."""

    REFUSE = "refuse"
    """Connections that stand are reset, new ones are closed at once."""
    HANG = "hang"
    """Nothing gets through in either direction, and nobody is told."""
    RESET = "reset"
    """A question gets through; the connection is reset as its answer comes."""


class Cable:
    """Listens on a port of its own and carries bytes to another.

    Args:
        port: Where it listens, on the loopback.
        to: The port of the part behind it, on the loopback.
    """

    def __init__(self, port: int, to: int) -> None:
        self._port = port
        self._to = to
        self._cut: Cut | None = None
        self._whole = asyncio.Event()
        self._whole.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._carrying = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Begin to listen."""
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self._port)

    async def stop(self) -> None:
        """Stop listening, and reset what stands."""
        if self._server is not None:
            self._server.close()
        self._whole.set()
        # Until each connection has come to its own end.
        while self._carrying:
            self._reset_all()
            await asyncio.sleep(_LOOK_S)

    def cut(self, how: Cut) -> None:
        """Cut it until `mend`."""
        self._cut = how
        self._whole.clear()
        if how is Cut.REFUSE:
            self._reset_all()

    def mend(self) -> None:
        """Carry again; what hung is reset, as if each end had given it up."""
        if self._cut is Cut.HANG:
            self._reset_all()
        self._cut = None
        self._whole.set()

    def _reset_all(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut is Cut.REFUSE:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, far_writer}
        self._writers |= ends
        self._carrying += 1
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(reader, far_writer, answers=False))
                both.create_task(self._pump(far_reader, writer, answers=True))
        finally:
            self._writers -= ends
            self._carrying -= 1
            for end in ends:
                end.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(_CHUNK):
                if self._cut is Cut.HANG:
                    await self._whole.wait()
                if self._cut is Cut.RESET and answers:
                    # Part of the answer is out, the rest never comes.
                    writer.write(chunk[: len(chunk) // 2])
                    await writer.drain()
                    break
                writer.write(chunk)
                await writer.drain()
        # Either end may close: both are.
        writer.transport.abort() if self._cut is Cut.RESET else writer.close()
