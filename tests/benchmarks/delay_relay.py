"""A TCP relay that simulates distance: it delays bytes by half a round trip, connections by one.

Run as `delay_relay.py PORT UPSTREAM_PORT ROUND_TRIP_S`.
"""

import asyncio
import selectors
import sys
from collections import deque


class Line:
    """One direction of a connection: delays bytes and keeps their order."""

    def __init__(self, delay_s: float, not_before: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._delay_s = delay_s
        self._not_before = not_before
        self._pieces: deque[tuple[float, bytes]] = deque()
        self.far_end: asyncio.Transport | None = None

    def put(self, piece: bytes) -> None:
        """Accepts bytes; an empty piece means the end."""
        due = max(self._loop.time(), self._not_before) + self._delay_s
        self._pieces.append((due, piece))
        self._loop.call_at(due, self.deliver)

    def deliver(self) -> None:
        """Writes all bytes that are due, if the other end is connected."""
        while self.far_end is not None and self._pieces:
            due, piece = self._pieces[0]
            if due > self._loop.time() + 1e-6:
                return
            self._pieces.popleft()
            if piece:
                self.far_end.write(piece)
            else:
                self.far_end.close()


class End(asyncio.Protocol):
    """One end of a connection: puts the bytes that it receives into its line."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def data_received(self, data: bytes) -> None:
        self._line.put(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._line.put(b"")


class Near(End):
    """The client's end."""

    def __init__(self, upstream_port: int, round_trip_s: float) -> None:
        now = asyncio.get_running_loop().time()
        # The kernel accepts immediately. On a real network, the client would still be waiting.
        self._to = Line(round_trip_s / 2, now + round_trip_s)
        self._back = Line(round_trip_s / 2, now)
        self._upstream_port = upstream_port
        super().__init__(self._to)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._back.far_end = transport
        self._opening = asyncio.get_running_loop().create_task(self._open())

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(
            lambda: End(self._back), "127.0.0.1", self._upstream_port
        )
        self._to.far_end = transport
        self._to.deliver()


async def main(port: int, upstream_port: int, round_trip_s: float) -> None:
    server = await asyncio.get_running_loop().create_server(
        lambda: Near(upstream_port, round_trip_s), "127.0.0.1", port
    )
    await server.serve_forever()


if __name__ == "__main__":
    # select has a resolution of microseconds, epoll of milliseconds.
    loop = asyncio.SelectorEventLoop(selectors.SelectSelector())
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
