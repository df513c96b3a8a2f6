"""A client that reaches an endpoint through the proxy: CONNECT, then TLS."""

import asyncio
import ssl
from pathlib import Path

from support.handshake import trusting
from support.proxy_server import BOUND_S, Conversation, Message, ProxyServer, read_message
from support.raw import RawAnswer

from ovh_proxy.tls.stored_authority import AuthorityFiles, read_authority

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


def client_of(files: AuthorityFiles, *, checks_name: bool = True) -> ssl.SSLContext:
    """Returns a client context that trusts only a stored authority."""
    context = trusting(read_authority(files).root_pem)
    context.check_hostname = checks_name
    return context


def trusted(state: Path) -> ssl.SSLContext:
    """Returns a client context that trusts only the authority in a state directory."""
    return client_of(AuthorityFiles(state))


def connect_bytes(target: str, *lines: str, version: str = "1.1") -> bytes:
    """Returns the bytes of a CONNECT request."""
    return "\r\n".join(
        [f"CONNECT {target} HTTP/{version}", f"Host: {target}", *lines, "", ""]
    ).encode("latin-1")


def get(host: str, target: str = "/1.0/me", *lines: str) -> bytes:
    """Returns the bytes of a GET request to a host."""
    return "\r\n".join([f"GET {target} HTTP/1.1", f"Host: {host}", *lines, "", ""]).encode()


async def ask_connect(
    proxy_server: ProxyServer, target: str, *lines: str, listener: int = 0
) -> tuple[Conversation, Message]:
    """Opens a connection, sends CONNECT, and returns connection and response."""
    conversation = await proxy_server.connect(listener)
    conversation.send(connect_bytes(target, *lines))
    async with asyncio.timeout(BOUND_S):
        return conversation, await read_message(conversation.reader)


async def connect_inside(
    proxy_server: ProxyServer,
    state: Path,
    target: str,
    *lines: str,
    listener: int = 0,
    name: str | None = None,
) -> Conversation:
    """Opens an intercepted connection to an endpoint, after CONNECT and TLS handshake.

    Args:
        target: HOST:PORT; lines: header lines of the CONNECT request.
        name: the TLS server name, if it differs from the host.
    """
    conversation, answer = await ask_connect(proxy_server, target, *lines, listener=listener)
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
    """Like `support.raw.say`, inside an intercepted connection.

    Args:
        url: the proxy's; target: HOST:PORT; lines: header lines of the CONNECT request.
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
