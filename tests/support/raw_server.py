"""An upstream on a raw socket: each connection follows a script, and every byte is kept."""

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
        heads: of the requests, as they came, the empty line included.
        bodies: of the same requests.
        sent: bytes that the system has taken, or that wait for it.
        is_gone: the other end has closed.
    """

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    heads: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    sent: int = 0
    is_gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def head(self) -> bytes:
        """The next request's line and headers; its body stays unread."""
        self.heads.append(await self.reader.readuntil(b"\r\n\r\n"))
        return self.heads[-1]

    async def request(self) -> bytes:
        """The next request, body included; gives its head."""
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
        """Writes pieces, each once the one before has left for the system's buffer."""
        for piece in pieces:
            self.writer.write(piece)
            self.sent += len(piece)
            await self.writer.drain()

    async def answer(self, *pieces: bytes) -> None:
        """Reads a request and answers it."""
        await self.request()
        await self.send(*pieces)

    def end(self) -> None:
        """Closes in good order."""
        self.writer.close()

    def end_sending(self) -> None:
        """Closes its own direction alone, beneath TLS as well."""
        # On a copy: the sockets that uvloop shows cannot do it.
        with socket.socket(fileno=os.dup(self.writer.get_extra_info("socket").fileno())) as copied:
            copied.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Closes with a reset, as a machine that has lost the connection does."""
        linger = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()

    async def until_gone(self) -> None:
        """Reads on until the other end closes."""
        while await self.reader.read(65_536):
            pass


Script = Callable[[Side], Awaitable[None]]


def answering(*pieces: bytes, ends: bool = False) -> Script:
    """Answers every request of a connection by the same bytes, and perhaps ends it then."""

    async def script(side: Side) -> None:
        while True:
            await side.answer(*pieces)
            if ends:
                side.end()

    return script


class RawServer:
    """Listens on loopback.

    Attributes:
        scripts: what connections do, in their order; the last holds for all that follow.
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
        """Ends the listener and every connection."""
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
        """Of all requests, connection by connection."""
        return [head for side in self.sides for head in side.heads]

    @property
    def open(self) -> int:
        """Connections that the other end has not closed."""
        return sum(not side.is_gone.is_set() for side in self.sides)

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Waits until something is so: a connection has come, or gone, or somebody tells."""
        async with asyncio.timeout(BOUND_S), self._changed:
            await self._changed.wait_for(is_so)

    def side(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Side:
        """The end of a new connection."""
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
        """Something has changed: whoever waits in `until` looks again."""
        async with self._changed:
            self._changed.notify_all()


async def within(waiting: Awaitable[T], seconds: float = BOUND_S) -> T:
    """What is awaited, or a failure after a bound that only a hang reaches."""
    async with asyncio.timeout(seconds):
        return await waiting


def after_reading(then: Callable[[], object], turns: int = 1) -> None:
    """Calls back in the loop turn that reads what was just sent, right behind the reading.

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
