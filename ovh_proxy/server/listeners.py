"""TCP, unix, TLS and inherited sockets."""

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from ovh_proxy.core.endpoints import is_loopback
from ovh_proxy.core.errors import ListenFailed
from ovh_proxy.core.settings import Listener, TcpAddress, UnixAddress
from ovh_proxy.server.peers import can_tell_users
from ovh_proxy.server.sockets import bind
from ovh_proxy.server.tls import Certificates

# Precedent: nginx and Go take what the system allows; Linux cuts it at net.core.somaxconn.
_BACKLOG = 4096


@dataclass(frozen=True, slots=True)
class OpenListener:
    """A listener that accepts.

    Attributes:
        url: how it is reached, with the port that the system chose.
        is_exposed: other machines may reach it.
        certificates: of a TLS listener.
    """

    url: str
    servers: tuple[asyncio.Server, ...]
    is_exposed: bool
    socket_file: str | None
    certificates: Certificates | None

    def close(self) -> None:
        """Accepts no more; connections that stand go on."""
        for server in self.servers:
            server.close()
        if self.socket_file is not None:
            with suppress(FileNotFoundError):
                os.unlink(self.socket_file)


async def open_listener(
    listener: Listener, protocol: Callable[[], asyncio.Protocol], handshake_s: float = 15.0
) -> OpenListener:
    """Listens where a listener says.

    Args:
        handshake_s: how long a client may take for its TLS handshake.

    Raises:
        ListenFailed: it cannot be bound, or its certificate cannot be used.
    """
    if listener.uids is not None and not can_tell_users():
        raise ListenFailed("this system does not tell users apart; leave `uids` out")
    certificates = None if listener.tls is None else Certificates(listener.tls)
    sockets = bind(listener)
    try:
        servers = [await _listen(one, protocol, certificates, handshake_s) for one in sockets]
    except BaseException:
        for one in sockets:
            one.close()
        raise
    address = listener.address
    is_file = isinstance(address, UnixAddress) and not address.path.startswith("@")
    return OpenListener(
        url=_url(listener, sockets[0]),
        servers=tuple(servers),
        is_exposed=any(_is_exposed(one) for one in sockets),
        socket_file=address.path if is_file and isinstance(address, UnixAddress) else None,
        certificates=certificates,
    )


async def _listen(
    bound: socket.socket,
    protocol: Callable[[], asyncio.Protocol],
    certificates: Certificates | None,
    handshake_s: float,
) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    # A socket of any family serves: asyncio asks it nothing but to listen and to accept.
    return await loop.create_server(
        protocol,
        sock=bound,
        backlog=_BACKLOG,
        ssl=None if certificates is None else certificates.context,
        ssl_handshake_timeout=None if certificates is None else handshake_s,
    )


def _url(listener: Listener, bound: socket.socket) -> str:
    scheme = "http" if listener.tls is None else "https"
    if isinstance(listener.address, TcpAddress):
        return f"{scheme}://{TcpAddress(listener.address.host, bound.getsockname()[1])}"
    return str(listener.address)


def _is_exposed(bound: socket.socket) -> bool:
    if bound.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    return not is_loopback(bound.getsockname()[0])
