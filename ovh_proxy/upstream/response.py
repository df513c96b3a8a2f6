"""A response of OVHcloud as it streams in, with back-pressure."""

import asyncio
from collections import deque
from typing import Protocol

from ovh_proxy.core.errors import UpstreamFailed
from ovh_proxy.ovhcloud.messages import ResponseHead

# For a slow client, at most this much of a response is buffered, plus one read.
HIGH_WATER = 131_072


class Source(Protocol):
    """The connection that a response comes from."""

    def resume_reading(self) -> None:
        """Continues after the buffered bytes were consumed."""

    def abort(self) -> None:
        """Closes the connection at once."""


class UpstreamResponse:
    """A response whose body is still arriving.

    Attributes:
        head: status and headers; set before the response is returned to the caller.
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
            high_water: buffered bytes at which the connection stops reading; it resumes at half.
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
        """The pieces of the body that are buffered, possibly none; never waits."""
        pieces = list(self._pieces)
        self._pieces.clear()
        self._size = 0
        if self._connection is not None:
            self._connection.resume_reading()
        return pieces

    async def read(self) -> bytes:
        """The next piece of the body; empty at its end.

        Raises:
            UpstreamFailed: the rest of the response will not come.
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
            self._connection.resume_reading()
        return piece

    async def read_up_to(self, limit: int) -> list[bytes]:
        """The pieces of the body, until its end or until they exceed `limit` bytes."""
        pieces: list[bytes] = []
        size = 0
        while size <= limit and (piece := await self.read()):
            pieces.append(piece)
            size += len(piece)
        return pieces

    async def read_all(self, limit: int) -> bytes:
        """The whole body; the connection is closed if the body exceeds `limit` or fails.

        A longer body is returned in part: `limit` bytes and the rest of the piece they end in.

        Raises:
            UpstreamFailed: the rest of the response will not come.
        """
        try:
            return b"".join(await self.read_up_to(limit))
        finally:
            self.abandon()

    def unread(self, pieces: list[bytes]) -> None:
        """Puts pieces back, to be read again."""
        self._pieces.extendleft(reversed(pieces))
        self._size += sum(map(len, pieces))

    def raise_if_broken(self) -> None:
        """
        Raises:
            UpstreamFailed: the response has failed already.
        """
        if self._failure is not None:
            raise self._failure

    def abandon(self) -> None:
        """Closes the connection, unless the response is complete."""
        if self._connection is not None:
            self._connection.abort()

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    # Called by the connection.

    def put(self, pieces: list[bytes]) -> int:
        """Appends pieces of the body; returns how many bytes are buffered."""
        self._pieces.extend(pieces)
        self._size += sum(map(len, pieces))
        self._wake()
        return self._size

    def finish(self, failure: UpstreamFailed | None = None) -> None:
        """Ends the body, complete or failed, and releases the connection."""
        self._connection = None
        self._failure = failure
        self.is_complete = failure is None
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
