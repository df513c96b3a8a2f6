"""An upstream on a raw socket: each connection follows a script, and every byte is recorded."""

import asyncio
import os
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Self, TypeVar

T = TypeVar("T")
BOUND_S = 5.0
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass(eq=False)
class Side:
    """The upstream's end of one connection.

    Attributes:
        heads: the heads of requests as received, with the empty line.
        bodies: their bodies.
        sent: bytes written, sent or buffered.
        is_gone: the other end has closed.
    """

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    heads: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    sent: int = 0
    is_gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def head(self) -> bytes:
        """Reads the head of the next request, not its body."""
        self.heads.append(await self.reader.readuntil(b"\r\n\r\n"))
        return self.heads[-1]

    async def request(self) -> bytes:
        """Reads the next request with its body; returns its head."""
        head = await self.head()
        length = next(
            (
                int(line.partition(b":")[2])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length:")
            ),
            0,
        )
        self.bodies.append(await self.reader.readexactly(length))
        return head

    async def send(self, *pieces: bytes) -> None:
        """Writes pieces, each after the previous one has reached the system's buffer."""
        for piece in pieces:
            self.writer.write(piece)
            self.sent += len(piece)
            await self.writer.drain()

    async def answer(self, *pieces: bytes) -> None:
        """Reads a request and answers it."""
        await self.request()
        await self.send(*pieces)

    def end(self) -> None:
        """Closes cleanly."""
        self.writer.close()

    def end_sending(self) -> None:
        """Closes only its sending direction, below TLS too."""
        # On a duplicate, because sockets from uvloop do not support it.
        with socket.socket(fileno=os.dup(self.writer.get_extra_info("socket").fileno())) as copied:
            copied.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Closes with a reset, like a machine that has lost the connection."""
        linger = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()

    async def until_gone(self) -> None:
        """Reads until the other end closes."""
        while await self.reader.read(65_536):
            pass


Script = Callable[[Side], Awaitable[None]]


def answering(*pieces: bytes, ends: bool = False) -> Script:
    """Answers every request of a connection with the same bytes, then optionally closes it."""

    async def script(side: Side) -> None:
        while True:
            await side.answer(*pieces)
            if ends:
                side.end()

    return script


class RawServer:
    """Listens on loopback.

    Attributes:
        scripts: one for each connection in order; the last one is repeated.
        sides: the connections so far.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.scripts: list[Script] = [answering(OK)]
        self.sides: list[Side] = []
        self._tls = tls
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._changed = asyncio.Condition()
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, ssl=self._tls
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Closes the listener and every connection."""
        assert self._server is not None
        self._server.close()
        for side in self.sides:
            side.writer.transport.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def heads(self) -> list[bytes]:
        """The heads of all requests, by connection."""
        return [head for side in self.sides for head in side.heads]

    @property
    def open(self) -> int:
        """Connections that the other end has not closed."""
        return sum(not side.is_gone.is_set() for side in self.sides)

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Waits until a condition is true; checked on each connection event and on `tell`."""
        async with asyncio.timeout(BOUND_S), self._changed:
            await self._changed.wait_for(is_so)

    def side(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Side:
        """Makes the upstream's end of a new connection."""
        return Side(reader, writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        side = self.side(reader, writer)
        self.sides.append(side)
        await self.tell()
        try:
            await self.scripts[min(len(self.sides), len(self.scripts)) - 1](side)
        except (EOFError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            side.is_gone.set()
            await self.tell()

    async def tell(self) -> None:
        """Makes `until` check its condition again."""
        async with self._changed:
            self._changed.notify_all()


async def within(waiting: Awaitable[T], seconds: float = BOUND_S) -> T:
    """Awaits with a timeout that only a hang reaches."""
    async with asyncio.timeout(seconds):
        return await waiting


def after_reading(then: Callable[[], object], turns: int = 1) -> None:
    """Calls back in the loop iteration that reads what was just sent, right after the read.

    Timers run behind the sockets of the same turn: with further turns, behind what those set off;
    with none, right before the reading.
    """
    loop = asyncio.get_running_loop()
    if turns == 0:
        loop.call_soon(then)
    elif turns == 1:
        loop.call_later(0, then)
    else:
        loop.call_later(0, after_reading, then, turns - 1)
