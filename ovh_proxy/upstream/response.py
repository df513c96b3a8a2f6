"""A response of OVHcloud as it streams in, with back-pressure."""

import asyncio
from collections import deque
from typing import Protocol

from ovh_proxy.core.errors import UpstreamFailed
from ovh_proxy.ovhcloud.messages import ResponseHead

# A slow client holds no more than this of an answer in our memory, give or take one read.
HIGH_WATER = 131_072


class Source(Protocol):
    """Where an answer comes from."""

    def go_on_reading(self) -> None:
        """What was read has been taken."""

    def abort(self) -> None:
        """Closes at once."""


class UpstreamResponse:
    """An answer as it comes in.

    Attributes:
        head: status and headers; there once the answer is handed out.
    """

    __slots__ = (
        "_connection",
        "_failure",
        "_low_water",
        "_pieces",
        "_size",
        "_waiter",
        "head",
        "is_complete",
    )

    def __init__(self, connection: Source, high_water: int = HIGH_WATER) -> None:
        """
        Args:
            high_water: bytes above which the connection stops reading; at half of them it goes on.
        """
        self._connection: Source | None = connection
        self._low_water = high_water // 2
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._failure: UpstreamFailed | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.head: ResponseHead
        self.is_complete = False

    def take(self) -> list[bytes]:
        """Whatever has come of the body, without waiting; may be nothing."""
        pieces = list(self._pieces)
        self._pieces.clear()
        self._size = 0
        if self._connection is not None:
            self._connection.go_on_reading()
        return pieces

    async def read(self) -> bytes:
        """The next piece of the body as it comes; empty at its end.

        Raises:
            UpstreamFailed: the rest of the answer will not come.
        """
        while not self._pieces:
            if self._failure is not None:
                raise self._failure
            if self.is_complete:
                return b""
            await self._wait()
        piece = self._pieces.popleft()
        self._size -= len(piece)
        if self._connection is not None and self._size <= self._low_water:
            self._connection.go_on_reading()
        return piece

    async def read_up_to(self, limit: int) -> list[bytes]:
        """The pieces until the end of the body or until more than `limit` bytes are there."""
        pieces: list[bytes] = []
        size = 0
        while size <= limit and (piece := await self.read()):
            pieces.append(piece)
            size += len(piece)
        return pieces

    def unread(self, pieces: list[bytes]) -> None:
        """Puts pieces back, to be read again."""
        self._pieces.extendleft(reversed(pieces))
        self._size += sum(map(len, pieces))

    def raise_if_broken(self) -> None:
        """Raises what has already broken the answer.

        Raises:
            UpstreamFailed: the rest of the answer will not come.
        """
        if self._failure is not None:
            raise self._failure

    def abandon(self) -> None:
        """Nobody wants the rest: the connection is closed unless the answer is whole."""
        if self._connection is not None:
            self._connection.abort()

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    # What follows is called by the connection.

    def put(self, pieces: list[bytes]) -> int:
        """More of the body has come; gives the bytes that wait."""
        self._pieces.extend(pieces)
        self._size += sum(map(len, pieces))
        self._wake()
        return self._size

    def finish(self, failure: UpstreamFailed | None = None) -> None:
        """The body is whole, or broken; the connection is no longer ours."""
        self._connection = None
        self._failure = failure
        self.is_complete = failure is None
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
