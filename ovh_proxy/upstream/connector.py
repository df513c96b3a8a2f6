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
from ovh_proxy.core.settings import TcpAddress, Timeouts, Upstream
from ovh_proxy.upstream.connect_proxy import open_tunnel
from ovh_proxy.upstream.connection import Connection
from ovh_proxy.upstream.single_flight import SingleFlight
from ovh_proxy.upstream.tls import UpstreamTlsContext


class Resolver:
    """Asks the system's resolver; nothing is kept beyond the question under way."""

    def __init__(self) -> None:
        self._questions: dict[TcpAddress, SingleFlight[list[Any]]] = {}

    async def addresses(self, address: TcpAddress) -> list[Any]:
        """What `getaddrinfo` gives; the question goes on where its asker gives up.

        Raises:
            OSError, UnicodeError: the name leads nowhere.
        """
        question = self._questions.get(address)
        if question is None:
            question = self._questions[address] = SingleFlight(partial(_ask, address))
        asked = question.start()
        # Unlike `await asked`, this leaves it alone when its asker gives up.
        await asyncio.wait([asked])
        if asked.cancelled():
            raise ConnectionAbortedError("nobody is asked any more")
        return asked.result()

    async def close(self) -> None:
        """Ends the questions under way, as far as they can be."""
        for question in self._questions.values():
            await question.stop()


async def _ask(address: TcpAddress) -> list[Any]:
    loop = asyncio.get_running_loop()
    return await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)


_READ_BYTES = 65_536

EYEBALLS_S = 0.25  # RFC 8305 section 8


# Narrow first: what asyncio raises while it connects, in our words. `ssl.SSLError` is an OSError.
_CONNECT_FAILURES: tuple[tuple[type[BaseException], type[UpstreamFailed], str], ...] = (
    (TimeoutError, UpstreamTimeout, "no connection to {host} in time"),
    (ssl.SSLCertVerificationError, UpstreamTls, "the certificate of {host} is not trusted"),
    (ssl.SSLError, UpstreamTls, "no TLS connection to {host}: the handshake failed"),
    (UnicodeError, UpstreamUnreachable, "the name {host} does not resolve"),  # too long for DNS
    (socket.gaierror, UpstreamUnreachable, "the name {host} does not resolve"),
    (ConnectionRefusedError, UpstreamUnreachable, "{host} refuses connections"),
    (OSError, UpstreamUnreachable, "no connection to {host}"),
)


# Nothing is wrong with OVHcloud: this process or this machine has no more to give.
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port: what connections are kept by."""

    scheme: str
    host: str
    port: int
    authority: str


class Connector:
    """Makes connections, as the settings say how.

    Attributes:
        made: connections opened so far.
        is_closed: no connection is opened any more.
    """

    def __init__(self, upstream: Upstream, timeouts: Timeouts) -> None:
        self._upstream = upstream
        self._timeouts = timeouts
        self._names = Resolver()
        self._trust = UpstreamTlsContext(upstream.ca_file)
        # One buffer serves all: what is read into it is parsed before anything else is read.
        # A proactor loop reads into several at once, so that each needs its own there.
        self._shared = None if sys.platform == "win32" else bytearray(_READ_BYTES)
        self.is_closed = False
        self.made = 0

    async def open(self, origin: Origin, on_free: Callable[[Connection], None]) -> Connection:
        """A new connection.

        Raises:
            UpstreamFailed: it could not be opened; nothing arrived.
            Overloaded: this machine has no more sockets to give.
            Draining: the pool is closed.
        """
        self._refuse_when_closed()
        whom = origin.host
        if self._upstream.proxy is not None:
            whom += f" through the proxy {self._upstream.proxy.address}"
        try:
            async with asyncio.timeout(self._timeouts.connect_s):
                connection = await self._connect(origin, on_free)
        except (OSError, UnicodeError) as failure:
            raise upstream_error(failure, whom) from failure
        self.made += 1
        if self.is_closed:
            connection.abort()
        if not connection.is_open:
            raise UpstreamUnreachable(f"{whom} hung up", nothing_arrived=True)
        return connection

    def _refuse_when_closed(self) -> None:
        if self.is_closed:
            raise Draining("ovh-proxy is stopping")

    async def _connect(self, origin: Origin, on_free: Callable[[Connection], None]) -> Connection:
        loop = asyncio.get_running_loop()
        tls = self._trust.context() if origin.scheme == "https" else None
        connected = await self._reach(TcpAddress(origin.host, origin.port))
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
            tls.stands(origin.host, transport.get_extra_info("ssl_object"))
        return connection

    async def _reach(self, target: TcpAddress) -> socket.socket:
        """A socket that leads to a host and port, by the proxy if there is one."""
        proxy = self._upstream.proxy
        if proxy is None:
            return await self._connected(target)
        try:
            connected = await self._connected(proxy.address)
            try:
                await open_tunnel(connected, target, proxy)
            except BaseException:
                connected.close()
                raise
        except (OSError, UnicodeError) as failure:
            raise upstream_error(failure, f"the proxy {proxy.address}") from failure
        return connected

    def _buffer(self) -> bytearray:
        return bytearray(_READ_BYTES) if self._shared is None else self._shared

    async def _connected(self, address: TcpAddress) -> socket.socket:
        return await aiohappyeyeballs.start_connection(
            await self._names.addresses(address),
            happy_eyeballs_delay=EYEBALLS_S,
            loop=asyncio.get_running_loop(),
        )

    async def close(self) -> None:
        """Asks for no name any more."""
        await self._names.close()


def upstream_error(failure: Exception, host: str) -> OvhProxyError:
    """What kept us from connecting, as an error of ours."""
    if isinstance(failure, OSError) and failure.errno in _EXHAUSTED:
        return Overloaded(f"no connection to {host}: no descriptor or memory is left for it")
    ours, text = next(
        (ours, text) for foreign, ours, text in _CONNECT_FAILURES if isinstance(failure, foreign)
    )
    return ours(text.format(host=host), nothing_arrived=True)
