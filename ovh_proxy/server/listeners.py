"""TCP, unix, TLS and inherited sockets."""

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from ovh_proxy.core.endpoints import is_loopback
from ovh_proxy.core.errors import ListenFailed
from ovh_proxy.core.settings import Listener, TcpAddress, UnixAddress
from ovh_proxy.server.logs import Log
from ovh_proxy.server.peers import can_tell_users
from ovh_proxy.server.sockets import bind, why
from ovh_proxy.server.tls import Certificates

# Precedent: nginx and Go take what the system allows; Linux cuts it at net.core.somaxconn.
_BACKLOG = 4096
# How long a client may take to answer the end of TLS; asyncio would wait for half a minute.
_FAREWELL_S = 2.0


@dataclass(slots=True)
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
    _reception: "_Reception"

    async def renew_if_changed(self, log: Log) -> None:
        """Uses changed certificates for connections to come; those that stand go on."""
        certificates = self.certificates
        if certificates is None or not certificates.reload_if_changed(log):
            return
        # The same sockets under other descriptors: nobody who connects meanwhile is turned away.
        before = self.servers
        again = [one.dup() for server in before for one in server.sockets]
        self.servers = tuple(
            [await self._reception.prepare(one, certificates.context) for one in again]
        )
        for server in before:
            server.close()
        for server in self.servers:
            if server.sockets:  # else a stop came in between
                await server.start_serving()

    def close(self) -> None:
        """Accepts no more; connections that stand go on."""
        for server in self.servers:
            server.close()
        # Once only: another process may have taken the name since.
        path, self.socket_file = self.socket_file, None
        if path is not None:
            with suppress(FileNotFoundError):
                os.unlink(path)


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
    context = None if certificates is None else certificates.context
    reception = _Reception(protocol, handshake_s)
    address = listener.address
    is_file = isinstance(address, UnixAddress) and not address.path.startswith("@")
    sockets = bind(listener)
    opened = OpenListener(
        url=_url(listener, sockets[0]),
        servers=tuple([await reception.prepare(one, context) for one in sockets]),
        is_exposed=any(_is_exposed(one) for one in sockets),
        socket_file=address.path if is_file and isinstance(address, UnixAddress) else None,
        certificates=certificates,
        _reception=reception,
    )
    try:
        for server in opened.servers:
            await server.start_serving()
    except OSError as failure:
        opened.close()
        raise ListenFailed(f"cannot listen on {address}: {why(failure)}") from failure
    return opened


@dataclass(frozen=True, slots=True)
class _Reception:
    """What takes the connections in."""

    protocol: Callable[[], asyncio.Protocol]
    handshake_s: float

    async def prepare(self, bound: socket.socket, tls: ssl.SSLContext | None) -> asyncio.Server:
        # A socket of any family serves: asyncio asks it nothing but to listen and to accept.
        return await asyncio.get_running_loop().create_server(
            self.protocol,
            sock=bound,
            backlog=_BACKLOG,
            ssl=tls,
            ssl_handshake_timeout=None if tls is None else self.handshake_s,
            ssl_shutdown_timeout=None if tls is None else _FAREWELL_S,
            start_serving=False,
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
