"""Opens connections: name resolution, TCP, an HTTP proxy, TLS; failures as errors of ours."""

import asyncio
import errno
import socket
import ssl
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import aiohappyeyeballs

from ovh_proxy.core.errors import (
    Draining,
    Overloaded,
    OvhProxyError,
    UpstreamFailed,
    UpstreamTimeout,
    UpstreamTls,
    UpstreamUnreachable,
)
from ovh_proxy.core.settings import HttpProxy, TcpAddress, Timeouts, Upstream
from ovh_proxy.upstream.connect_proxy import open_tunnel
from ovh_proxy.upstream.connection import Connection
from ovh_proxy.upstream.single_flight import SingleFlight
from ovh_proxy.upstream.tls import UpstreamTlsContext

_READ_BYTES = 65_536
_EYEBALLS_S = 0.25  # RFC 8305 section 8
# Exceptions raised while connecting, narrowest first; `ssl.SSLError` is an OSError.
_CONNECT_FAILURES: tuple[tuple[type[BaseException], type[UpstreamFailed], str], ...] = (
    (TimeoutError, UpstreamTimeout, "no connection to {host} in time (timeouts.connect_s)"),
    (ssl.SSLCertVerificationError, UpstreamTls, "the certificate of {host} is not trusted"),
    (ssl.SSLError, UpstreamTls, "the TLS handshake with {host} failed"),
    (UnicodeError, UpstreamUnreachable, "{host} does not resolve"),  # a label too long for DNS
    (socket.gaierror, UpstreamUnreachable, "{host} does not resolve"),
    (ConnectionRefusedError, UpstreamUnreachable, "{host} refuses connections"),
    (OSError, UpstreamUnreachable, "no connection to {host}"),
)

# Not OVHcloud's fault: this process or machine is out of sockets or memory.
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


def upstream_error(failure: Exception, host: str) -> OvhProxyError:
    """An exception raised while connecting, as one of our errors."""
    if isinstance(failure, OSError) and failure.errno in _EXHAUSTED:
        return Overloaded(f"no connection to {host}: out of file descriptors or memory")
    error, text = next(
        (error, text) for foreign, error, text in _CONNECT_FAILURES if isinstance(failure, foreign)
    )
    return error(text.format(host=host), nothing_arrived=True)


class Resolver:
    """Resolves host names with the system's resolver; concurrent lookups are shared."""

    def __init__(self) -> None:
        self._lookups: dict[TcpAddress, SingleFlight[list[Any]]] = {}

    async def addresses(self, address: TcpAddress) -> list[Any]:
        """What `getaddrinfo` returns; a lookup continues when its caller is cancelled.

        Raises:
            OSError, UnicodeError: the name does not resolve.
        """
        lookup = self._lookups.get(address)
        if lookup is None:
            lookup = self._lookups[address] = SingleFlight(partial(_getaddrinfo, address))
        task = lookup.start()
        # Unlike `await task`, this leaves the task running when the caller is cancelled.
        await asyncio.wait([task])
        if task.cancelled():
            raise ConnectionAbortedError("the resolver is closed")
        return task.result()

    async def close(self) -> None:
        """Cancels the lookups."""
        for lookup in self._lookups.values():
            await lookup.stop()


async def _getaddrinfo(address: TcpAddress) -> list[Any]:
    loop = asyncio.get_running_loop()
    return await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)


class SocketConnector:
    """Connects sockets to hosts, directly or through an HTTP proxy."""

    def __init__(self, proxy: HttpProxy | None) -> None:
        self._proxy = proxy
        self._resolver = Resolver()

    def describe(self, target: TcpAddress) -> str:
        """The target for error messages, with the proxy if there is one."""
        return str(target) if self._proxy is None else f"{target} through {_named(self._proxy)}"

    async def connect(
        self, target: TcpAddress, allowed: Callable[[list[Any]], list[Any]] | None = None
    ) -> socket.socket:
        """A socket connected to a host and port.

        Args:
            allowed: selects from the resolved addresses; not used with a proxy, which resolves
                the name itself.

        Raises:
            OSError, UnicodeError: the target could not be reached.
            UpstreamFailed, Overloaded: the proxy could not be reached, or refused.
        """
        proxy = self._proxy
        if proxy is None:
            found = await self._resolver.addresses(target)
            return await _connect(found if allowed is None else allowed(found))
        try:
            connected = await _connect(await self._resolver.addresses(proxy.address))
            try:
                await open_tunnel(connected, target, proxy)
            except BaseException:
                connected.close()
                raise
        except (OSError, UnicodeError) as failure:
            raise upstream_error(failure, _named(proxy)) from failure
        return connected

    async def close(self) -> None:
        """Cancels lookups of host names."""
        await self._resolver.close()


def _named(proxy: HttpProxy) -> str:
    return f"the proxy {proxy.address}"


async def _connect(found: list[Any]) -> socket.socket:
    return await aiohappyeyeballs.start_connection(
        found, happy_eyeballs_delay=_EYEBALLS_S, loop=asyncio.get_running_loop()
    )


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port, by which connections are pooled."""

    scheme: str
    host: str
    port: int
    authority: str


class Connector:
    """Opens connections to OVHcloud as the settings say.

    Attributes:
        made: connections opened so far.
        is_closed: no new connections are opened.
    """

    def __init__(self, upstream: Upstream, timeouts: Timeouts) -> None:
        self._timeouts = timeouts
        self._sockets = SocketConnector(upstream.proxy)
        self._tls = UpstreamTlsContext(upstream.ca_file)
        # One buffer for all connections: what is read into it is parsed before the next read.
        # A proactor loop reads into several at once, so each connection needs its own there.
        self._shared = None if sys.platform == "win32" else bytearray(_READ_BYTES)
        self.is_closed = False
        self.made = 0

    async def open(self, origin: Origin, on_free: Callable[[Connection], None]) -> Connection:
        """A new connection.

        Raises:
            UpstreamFailed: it could not be opened; nothing arrived.
            Overloaded: this machine is out of sockets or memory.
            Draining: the pool is closed.
        """
        self._refuse_when_closed()
        target = TcpAddress(origin.host, origin.port)
        described = self._sockets.describe(target)
        try:
            async with asyncio.timeout(self._timeouts.connect_s):
                connection = await self._connect(origin, target, on_free)
        except (OSError, UnicodeError) as failure:
            raise upstream_error(failure, described) from failure
        self.made += 1
        if self.is_closed:
            connection.abort()
        if not connection.is_open:
            raise UpstreamUnreachable(f"{described} closed the connection", nothing_arrived=True)
        return connection

    def _refuse_when_closed(self) -> None:
        # A method of its own, or mypy would assume `is_closed` to be False from then on.
        if self.is_closed:
            raise Draining("ovh-proxy is stopping")

    async def _connect(
        self, origin: Origin, target: TcpAddress, on_free: Callable[[Connection], None]
    ) -> Connection:
        loop = asyncio.get_running_loop()
        tls = self._tls.context() if origin.scheme == "https" else None
        connected = await self._sockets.connect(target)
        try:
            transport, connection = await loop.create_connection(
                lambda: Connection(self._buffer(), self._timeouts, on_free),
                sock=connected,
                ssl=tls,
                server_hostname=None if tls is None else origin.host,
            )
        except BaseException:
            connected.close()
            raise
        if tls is not None and connection.is_open:
            tls.remember(origin.host, transport.get_extra_info("ssl_object"))
        return connection

    def _buffer(self) -> bytearray:
        return bytearray(_READ_BYTES) if self._shared is None else self._shared

    async def close(self) -> None:
        """Cancels lookups of host names."""
        await self._sockets.close()
