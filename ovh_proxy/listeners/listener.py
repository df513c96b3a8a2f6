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
from ovh_proxy.listeners.sockets import BACKLOG, bind, can_tell_users, why
from ovh_proxy.logs import Log
from ovh_proxy.tls.certificates import FileCertificates

if TYPE_CHECKING:
    from ovh_proxy.tls.stored_authority import AutoCertificates


AnyCertificates = Union[FileCertificates, "AutoCertificates"]


@dataclass(frozen=True, slots=True)
class BoundListener:
    """A listener with its sockets, which processes that are forked from here on share.

    Attributes:
        certificates: of a TLS listener.
    """

    listener: Listener
    sockets: tuple[socket.socket, ...]
    certificates: AnyCertificates | None

    @property
    def url(self) -> str:
        """How it is reached, with the port that the system chose."""
        address = self.listener.address
        scheme = "http" if self.listener.tls is None else "https"
        if isinstance(address, TcpAddress):
            return f"{scheme}://{TcpAddress(address.host, self.sockets[0].getsockname()[1])}"
        return str(address)

    @property
    def is_exposed(self) -> bool:
        """Whether other machines may reach it."""
        return any(_is_exposed(one) for one in self.sockets)

    @property
    def socket_file(self) -> str | None:
        """The name of a unix socket in the file system."""
        address = self.listener.address
        is_file = isinstance(address, UnixAddress) and not address.path.startswith("@")
        return address.path if is_file and isinstance(address, UnixAddress) else None

    def listen(self) -> None:
        """Lets the system take connections, to be accepted later.

        Raises:
            ListenFailed: it does not.
        """
        try:
            for one in self.sockets:
                one.listen(BACKLOG)
        except OSError as failure:
            address = self.listener.address
            raise ListenFailed(f"cannot listen on {address}: {why(failure)}") from failure

    def close(self) -> None:
        """Gives the sockets up in this process."""
        for one in self.sockets:
            one.close()

    def remove_name(self) -> None:
        """Removes the file of a unix socket."""
        if self.socket_file is not None:
            with suppress(FileNotFoundError):
                os.unlink(self.socket_file)


def bind_listener(listener: Listener) -> BoundListener:
    """Takes the addresses of a listener.

    Raises:
        ListenFailed: it cannot be bound, or its certificate cannot be used.
    """
    if listener.uids is not None and not can_tell_users():
        raise ListenFailed("this system does not tell users apart; leave `uids` out")
    certificates = _certificates(listener)
    return BoundListener(listener, tuple(bind(listener)), certificates)


def _certificates(listener: Listener) -> AnyCertificates | None:
    match listener.tls:
        case None:
            return None
        case AutoTls() as tls:
            # Imported here: it brings a library that nobody else needs.
            from ovh_proxy.tls.stored_authority import AutoCertificates

            return AutoCertificates(tls, listener.address)
        case files:
            return FileCertificates(files)


def _is_exposed(bound: socket.socket) -> bool:
    if bound.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    return not is_loopback(bound.getsockname()[0])


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
    servers: tuple[asyncio.Server | Acceptor, ...]
    is_exposed: bool
    socket_file: str | None
    certificates: AnyCertificates | None
    _reception: "_ServerFactory"

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
    return await open_bound(bind_listener(listener), protocol, handshake_s)


async def open_bound(
    bound: BoundListener,
    protocol: Callable[[], asyncio.Protocol],
    handshake_s: float = 15.0,
    share: ConnectionCount | None = None,
) -> OpenListener:
    """Accepts what comes to a listener.

    Args:
        share: where other processes accept as well; its name is then not this one's to remove.

    Raises:
        ListenFailed: the system refuses.
    """
    certificates = bound.certificates
    context = None if certificates is None else certificates.context
    reception = _ServerFactory(protocol, handshake_s, share)
    opened = OpenListener(
        url=bound.url,
        servers=tuple([await reception.prepare(one, context) for one in bound.sockets]),
        is_exposed=bound.is_exposed,
        socket_file=None if share is not None else bound.socket_file,
        certificates=certificates,
        _reception=reception,
    )
    try:
        for server in opened.servers:
            await server.start_serving()
    except OSError as failure:
        opened.close()
        address = bound.listener.address
        raise ListenFailed(f"cannot listen on {address}: {why(failure)}") from failure
    return opened


@dataclass(frozen=True, slots=True)
class _ServerFactory:
    """What takes the connections in."""

    protocol: Callable[[], asyncio.Protocol]
    handshake_s: float
    share: ConnectionCount | None

    async def prepare(
        self, bound: socket.socket, tls: ssl.SSLContext | None
    ) -> asyncio.Server | Acceptor:
        times = (None, None) if tls is None else (self.handshake_s, _FAREWELL_S)
        if self.share is not None:
            return Acceptor(bound, self.share, self.protocol, tls, *times)
        # A socket of any family serves: asyncio asks it nothing but to listen and to accept.
        return await asyncio.get_running_loop().create_server(
            self.protocol,
            sock=bound,
            backlog=BACKLOG,
            ssl=tls,
            ssl_handshake_timeout=times[0],
            ssl_shutdown_timeout=times[1],
            start_serving=False,
        )
