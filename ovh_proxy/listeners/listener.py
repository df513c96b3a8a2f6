"""A listener: bound, opened, its certificates renewed, closed."""

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Union

from ovh_proxy.core.endpoints import is_loopback
from ovh_proxy.core.errors import ListenFailed
from ovh_proxy.core.settings import AutoTls, Listener, TcpAddress, UnixAddress
from ovh_proxy.limits.concurrency import ConnectionCount
from ovh_proxy.listeners.acceptor import Acceptor
from ovh_proxy.listeners.sockets import BACKLOG, bind, has_peer_credentials, reason_of
from ovh_proxy.logs import Log
from ovh_proxy.tls.certificates import FileCertificates

if TYPE_CHECKING:
    from ovh_proxy.tls.stored_authority import AutoCertificates


AnyCertificates = Union[FileCertificates, "AutoCertificates"]


@dataclass(frozen=True, slots=True)
class BoundListener:
    """A listener with its sockets, which processes that are forked later share.

    Attributes:
        certificates: of a TLS listener.
    """

    listener: Listener
    sockets: tuple[socket.socket, ...]
    certificates: AnyCertificates | None

    @property
    def url(self) -> str:
        """Its URL, with the port that the system chose."""
        address = self.listener.address
        scheme = "http" if self.listener.tls is None else "https"
        if isinstance(address, TcpAddress):
            return f"{scheme}://{TcpAddress(address.host, self.sockets[0].getsockname()[1])}"
        return str(address)

    @property
    def is_exposed(self) -> bool:
        """Whether other machines can reach it."""
        return any(
            one.family in (socket.AF_INET, socket.AF_INET6)
            and not is_loopback(one.getsockname()[0])
            for one in self.sockets
        )

    @property
    def socket_file(self) -> str | None:
        """The path of a unix socket that is a file."""
        address = self.listener.address
        is_file = isinstance(address, UnixAddress) and not address.path.startswith("@")
        return address.path if is_file and isinstance(address, UnixAddress) else None

    def listen(self) -> None:
        """Lets the system queue connections, to be accepted later.

        Raises:
            ListenFailed: the sockets cannot listen.
        """
        try:
            for one in self.sockets:
                one.listen(BACKLOG)
        except OSError as failure:
            address = self.listener.address
            raise ListenFailed(f"cannot listen on {address}: {reason_of(failure)}") from failure

    def close(self) -> None:
        """Closes the sockets in this process."""
        for one in self.sockets:
            one.close()

    def remove_name(self) -> None:
        """Removes the file of a unix socket."""
        if self.socket_file is not None:
            with suppress(FileNotFoundError):
                os.unlink(self.socket_file)


def bind_listener(listener: Listener) -> BoundListener:
    """Binds the addresses of a listener.

    Raises:
        ListenFailed: it cannot be bound, or its certificate cannot be used.
    """
    if listener.uids is not None and not has_peer_credentials():
        raise ListenFailed(
            f"cannot listen on {listener.address}: this system does not provide the user IDs of "
            "clients; remove `uids`"
        )
    certificates = _certificates(listener)
    return BoundListener(listener, tuple(bind(listener)), certificates)


def _certificates(listener: Listener) -> AnyCertificates | None:
    match listener.tls:
        case None:
            return None
        case AutoTls() as tls:
            # Imported here: it loads a library that nothing else needs.
            from ovh_proxy.tls.stored_authority import AutoCertificates

            return AutoCertificates(tls, listener.address)
        case files:
            return FileCertificates(files)


# How long a client may take to answer a TLS shutdown; asyncio's default is half a minute.
_TLS_SHUTDOWN_S = 2.0


@dataclass(slots=True)
class OpenListener:
    """A listener that accepts.

    Attributes:
        url: with the port that the system chose.
        is_exposed: other machines can reach it.
        certificates: of a TLS listener.
    """

    url: str
    servers: tuple[asyncio.Server | Acceptor, ...]
    is_exposed: bool
    socket_file: str | None
    certificates: AnyCertificates | None
    _factory: "_ServerFactory"

    async def renew_if_changed(self, log: Log) -> None:
        """Uses changed certificates for new connections; open connections continue."""
        certificates = self.certificates
        if certificates is None or not certificates.reload_if_changed(log):
            return
        # Duplicated sockets: no client that connects in between is rejected.
        previous = self.servers
        sockets = [one.dup() for server in previous for one in server.sockets]
        self.servers = tuple(
            [await self._factory.prepare(one, certificates.context) for one in sockets]
        )
        for server in previous:
            server.close()
        for server in self.servers:
            if server.sockets:  # otherwise it was closed in between
                await server.start_serving()

    def close(self) -> None:
        """Accepts no more; open connections continue."""
        for server in self.servers:
            server.close()
        # Only once: another process may use the same path by now.
        path, self.socket_file = self.socket_file, None
        if path is not None:
            with suppress(FileNotFoundError):
                os.unlink(path)


async def open_listener(
    listener: Listener, protocol: Callable[[], asyncio.Protocol], handshake_s: float = 15.0
) -> OpenListener:
    """Binds and opens a listener.

    Args:
        handshake_s: how long a client may take for its TLS handshake.

    Raises:
        ListenFailed: it cannot be bound, or its certificate cannot be used.
    """
    return await open_bound(bind_listener(listener), protocol, handshake_s)


async def open_bound(
    bound: BoundListener,
    protocol: Callable[[], asyncio.Protocol],
    handshake_s: float = 15.0,
    share: ConnectionCount | None = None,
) -> OpenListener:
    """Accepts connections to a listener.

    Args:
        share: set where other processes accept as well; they also remove its socket file.

    Raises:
        ListenFailed: the sockets cannot listen.
    """
    certificates = bound.certificates
    context = None if certificates is None else certificates.context
    factory = _ServerFactory(protocol, handshake_s, share)
    opened = OpenListener(
        url=bound.url,
        servers=tuple([await factory.prepare(one, context) for one in bound.sockets]),
        is_exposed=bound.is_exposed,
        socket_file=None if share is not None else bound.socket_file,
        certificates=certificates,
        _factory=factory,
    )
    try:
        for server in opened.servers:
            await server.start_serving()
    except OSError as failure:
        opened.close()
        address = bound.listener.address
        raise ListenFailed(f"cannot listen on {address}: {reason_of(failure)}") from failure
    return opened


@dataclass(frozen=True, slots=True)
class _ServerFactory:
    """Makes what accepts connections from a socket."""

    protocol: Callable[[], asyncio.Protocol]
    handshake_s: float
    share: ConnectionCount | None

    async def prepare(
        self, bound: socket.socket, tls: ssl.SSLContext | None
    ) -> asyncio.Server | Acceptor:
        times = (None, None) if tls is None else (self.handshake_s, _TLS_SHUTDOWN_S)
        if self.share is not None:
            return Acceptor(bound, self.share, self.protocol, tls, *times)
        # A socket of any family works: asyncio only listens and accepts.
        return await asyncio.get_running_loop().create_server(
            self.protocol,
            sock=bound,
            backlog=BACKLOG,
            ssl=tls,
            ssl_handshake_timeout=times[0],
            ssl_shutdown_timeout=times[1],
            start_serving=False,
        )
