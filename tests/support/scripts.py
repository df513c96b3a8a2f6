"""Behaviours of a hostile upstream on its connections."""

import asyncio

from support.raw_server import OK, Script, Side

# Endless responses stop when nobody reads them, and after this many pieces.
_ENDLESS = 100_000


class Held:
    """Receives calls, and answers them on demand."""

    def __init__(self, answer: bytes = OK) -> None:
        self.answer = answer
        self.go = asyncio.Event()

    async def __call__(self, side: Side) -> None:
        while True:
            await side.request()
            asking = asyncio.ensure_future(side.reader.read(1))
            going = asyncio.ensure_future(self.go.wait())
            await asyncio.wait((asking, going), return_when=asyncio.FIRST_COMPLETED)
            going.cancel()
            if asking.done():
                return
            asking.cancel()
            await asyncio.wait((asking,))
            await side.send(self.answer)


async def silent(side: Side) -> None:
    """Reads requests and answers none."""
    await side.request()
    await side.until_gone()


async def deaf(side: Side) -> None:
    """Accepts the connection and reads nothing."""
    await asyncio.Event().wait()


async def closing(side: Side) -> None:
    """Reads a request and closes cleanly."""
    await side.request()
    side.end()


async def resetting(side: Side) -> None:
    """Reads a request and resets the connection."""
    await side.request()
    side.reset()


def in_turn(*turns: bytes | Script) -> Script:
    """Answers the requests of a connection with these responses or scripts in turn."""

    async def script(side: Side) -> None:
        for turn in turns:
            await (side.answer(turn) if isinstance(turn, bytes) else turn(side))
        await side.until_gone()

    return script


def endless(start: bytes, piece: bytes) -> Script:
    """Sends a start, then the same piece endlessly."""

    async def script(side: Side) -> None:
        await side.request()
        await side.send(start)
        for _ in range(_ENDLESS):
            await side.send(piece)

    return script


def dripping(start: bytes, piece: bytes, every_s: float) -> Script:
    """Sends a start, then the same piece at intervals."""

    async def script(side: Side) -> None:
        await side.request()
        await side.send(start)
        while True:
            await asyncio.sleep(every_s)
            await side.send(piece)

    return script


def stalling(*pieces: bytes) -> Script:
    """Sends these bytes and then nothing, with the connection open."""

    async def script(side: Side) -> None:
        await side.answer(*pieces)
        await side.until_gone()

    return script
