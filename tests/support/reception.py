"""A server behind an acceptor that greets each accepted connection."""

import asyncio

from ovh_proxy.limits.concurrency import ConnectionCounts

BOUND_S = 5.0


class Reception:
    """A server behind an acceptor that counts its connections.

    Attributes:
        share: the connection count of the accepting worker.
    """

    def __init__(self, shares: ConnectionCounts, number: int) -> None:
        self.share = shares.share(number)
        self.made = 0
        self.transports: list[asyncio.BaseTransport] = []
        self._changed = asyncio.Event()

    def protocol(self) -> asyncio.Protocol:
        reception = self

        class Counting(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                reception.made += 1
                reception.share.count += 1
                reception.transports.append(transport)
                reception._changed.set()
                transport.write(b"welcome")  # type: ignore[attr-defined] # a socket transport can write

        return Counting()

    async def until_made(self, count: int) -> None:
        async with asyncio.timeout(BOUND_S):
            while self.made < count:
                self._changed.clear()
                await self._changed.wait()
