"""A client that reaches an endpoint through the proxy: CONNECT, then TLS within."""

import asyncio
import ssl
from pathlib import Path

from support.handshake import trusting
from support.proxy_server import BOUND_S, Conversation, Front, Message, read_message
from support.raw import RawAnswer

from ovh_proxy.tls.stored_authority import AuthorityFiles, read_authority

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


def trusted(state: Path) -> ssl.SSLContext:
    """A client's context that trusts the authority of a state directory alone."""
    return trusting(read_authority(AuthorityFiles(state)).root_pem)


def connect_bytes(target: str, *lines: str, version: str = "1.1") -> bytes:
    """The bytes of a CONNECT."""
    return "\r\n".join(
        [f"CONNECT {target} HTTP/{version}", f"Host: {target}", *lines, "", ""]
    ).encode("latin-1")


def get(host: str, target: str = "/1.0/me", *lines: str) -> bytes:
    """The bytes of a request to a host."""
    return "\r\n".join([f"GET {target} HTTP/1.1", f"Host: {host}", *lines, "", ""]).encode()


async def ask_connect(
    front: Front, target: str, *lines: str, listener: int = 0
) -> tuple[Conversation, Message]:
    """A new connection, and the answer to CONNECT on it."""
    conversation = await front.connect(listener)
    conversation.send(connect_bytes(target, *lines))
    async with asyncio.timeout(BOUND_S):
        return conversation, await read_message(conversation.reader)


async def connect_inside(
    front: Front,
    state: Path,
    target: str,
    *lines: str,
    listener: int = 0,
    name: str | None = None,
) -> Conversation:
    """A connection to an endpoint that ends in the proxy, after both handshakes.

    Args:
        target: HOST:PORT; lines: of the CONNECT's head.
        name: that TLS asks for, where it is another than the host.
    """
    conversation, answer = await ask_connect(front, target, *lines, listener=listener)
    assert answer.status == 200, answer
    context = trusted(state)
    if name is not None:
        context.check_hostname = False
    async with asyncio.timeout(BOUND_S):
        await conversation.writer.start_tls(
            context, server_hostname=name or target.rpartition(":")[0].strip("[]")
        )
    return conversation


async def say_inside(url: str, state: Path, target: str, text: bytes, *lines: str) -> RawAnswer:
    """As `support.raw.say`, within a connection to an endpoint that ends in the proxy.

    Args:
        url: the proxy's; target: HOST:PORT; lines: of the CONNECT's head.
    """
    host, _, port = url.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    received = b""
    try:
        async with asyncio.timeout(BOUND_S):
            writer.write(connect_bytes(target, *lines))
            assert await reader.readexactly(len(ESTABLISHED)) == ESTABLISHED
            await writer.start_tls(trusted(state), server_hostname=target.rpartition(":")[0])
            writer.write(text)
            while piece := await reader.read(65_536):
                received += piece
    except ConnectionError:
        pass
    finally:
        writer.close()
    return RawAnswer(received)
