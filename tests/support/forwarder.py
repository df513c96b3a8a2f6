"""An HTTP proxy that connects wherever CONNECT says, as a script of a raw server."""

import asyncio
from contextlib import suppress

from support.raw_server import Side

MADE = b"HTTP/1.1 200 Connection established\r\n\r\n"


async def forward(side: Side) -> None:
    """Opens the requested connection, and relays bytes until one end closes."""
    host, _, port = (await side.head()).split()[1].rpartition(b":")
    reader, writer = await asyncio.open_connection(host.strip(b"[]").decode(), int(port))
    await side.send(MADE)
    passing = [
        asyncio.ensure_future(_pass(side.reader, writer)),
        asyncio.ensure_future(_pass(reader, side.writer)),
    ]
    try:
        await asyncio.wait(passing, return_when=asyncio.FIRST_COMPLETED)
    finally:
        writer.close()
        for one in passing:
            one.cancel()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()
