"""An HTTP proxy that is itself the remote end of every tunnel."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from ovh_proxy.core.settings import HttpProxy, TcpAddress, Upstream

BOUND_S = 5.0


def _set() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


@dataclass
class RemoteEnd:
    """An HTTP proxy.

    Attributes:
        targets: the target of every CONNECT.
        refuses: answer every CONNECT with 403.
        upstream_site: a target that is refused and not recorded.
        may_answer: CONNECT waits until this is set.
    """

    targets: list[str] = field(default_factory=list)
    refuses: bool = False
    upstream_site: str = ""
    may_answer: asyncio.Event = field(default_factory=_set)
    port: int = 0
    _ends: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = field(
        default_factory=asyncio.Queue
    )
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)

    @property
    def upstream(self) -> Upstream:
        """Upstream settings that send everything here."""
        return Upstream(proxy=HttpProxy(TcpAddress("127.0.0.1", self.port)))

    async def end(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Returns the remote end of the next tunnel."""
        async with asyncio.timeout(BOUND_S):
            return await self._ends.get()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            writer.close()
            return
        target = head.split()[1].decode()
        # The own requests of the proxy under test arrive here, too.
        is_wanted = target != self.upstream_site
        if is_wanted:
            self.targets.append(target)
        if self.refuses or not is_wanted:
            writer.write(b"HTTP/1.1 403 Forbidden\r\n\r\n")
            writer.close()
            return
        await self.may_answer.wait()
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        self._ends.put_nowait((reader, writer))


@asynccontextmanager
async def remote_end() -> AsyncIterator[RemoteEnd]:
    """Serves until the end of the block."""
    far = RemoteEnd()
    server = await asyncio.start_server(far.serve, "127.0.0.1", 0, limit=2**16)
    far.port = server.sockets[0].getsockname()[1]
    try:
        yield far
    finally:
        server.close()
        for writer in far._writers:
            writer.transport.abort()
        await asyncio.sleep(0)  # lets the transports close their sockets
