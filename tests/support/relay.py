"""A TCP relay that delays, throttles, cuts, resets and drops bytes."""

import asyncio
import socket
import struct
from dataclasses import dataclass, field
from typing import Literal, Self


@dataclass(slots=True)
class Line:
    """One direction of a relay.

    Attributes:
        delay_s: the latency.
        bytes_per_s: the bandwidth.
        limit: bytes of each connection to relay; None for all.
        then: what happens at the limit.
        piece_bytes: the maximum size of a segment.
    """

    delay_s: float = 0.0
    bytes_per_s: float = float("inf")
    limit: int | None = None
    then: Literal["end", "reset", "swallow"] = "end"
    piece_bytes: int = 65_536


@dataclass
class Relay:
    """Relays connections from its own port to another.

    Attributes:
        forth: towards `port`; back: from there.
        taken: accepted connections so far.
    """

    to_port: int
    forth: Line = field(default_factory=Line)
    back: Line = field(default_factory=Line)
    port: int = 0
    taken: int = 0

    async def __aenter__(self) -> Self:
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *failure: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.taken += 1
        writers = [writer]
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.to_port)
            writers.append(far_writer)
            async with asyncio.TaskGroup() as both:
                both.create_task(_carry(reader, far_writer, self.forth, writers))
                both.create_task(_carry(far_reader, writer, self.back, writers))
        except* (OSError, asyncio.CancelledError):
            pass
        finally:
            for one in writers:
                one.transport.abort()


async def _carry(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    line: Line,
    both: list[asyncio.StreamWriter],
) -> None:
    carried = 0
    while line.limit is None or carried < line.limit:
        most = line.piece_bytes if line.limit is None else line.limit - carried
        piece = await reader.read(min(most, line.piece_bytes))
        if not piece:
            writer.write_eof()
            return
        carried += len(piece)
        await asyncio.sleep(line.delay_s + len(piece) / line.bytes_per_s)
        writer.write(piece)
        await writer.drain()
    if line.then == "swallow":
        while await reader.read(65_536):
            pass
        return
    for one in both:
        if line.then == "reset":
            linger = struct.pack("ii", 1, 0)
            one.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            one.transport.abort()
        else:
            one.close()
