"""A client that keeps one connection, and so one worker."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

BOUND_S = 20.0


@dataclass(frozen=True, slots=True)
class Answered:
    """Status and body of a response."""

    status: int
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(slots=True)
class Caller:
    """A connection to the worker that accepted it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, target: str, *lines: str) -> Answered:
        """The answer to a GET.

        Raises:
            IncompleteReadError, ConnectionError: the worker has ended.
        """
        self.begin(target, *lines)
        return await self.answer()

    def begin(self, target: str, *lines: str) -> None:
        """Sends a GET."""
        head = "\r\n".join([f"GET {target} HTTP/1.1", "Host: localhost", *lines, "", ""])
        self.writer.write(head.encode())

    async def until(self, text: bytes) -> None:
        """Reads until this text has arrived."""
        async with asyncio.timeout(BOUND_S):
            await self.reader.readuntil(text)

    async def rest(self) -> bytes:
        """Returns everything received until the connection ends."""
        received = b""
        try:
            async with asyncio.timeout(BOUND_S):
                while piece := await self.reader.read(65_536):
                    received += piece
        except ConnectionError:
            pass  # a reset ends the connection, too
        return received

    async def answer(self) -> Answered:
        """Returns the next response, with a length or ended by the connection."""
        async with asyncio.timeout(BOUND_S):
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = next(
                (
                    line[15:]
                    for line in head.lower().split(b"\r\n")
                    if line[:15] == b"content-length:"
                ),
                None,
            )
            body = await (
                self.reader.read() if length is None else self.reader.readexactly(int(length))
            )
        return Answered(int(head[9:12]), body)
