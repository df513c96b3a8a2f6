"""Opens connections to OVHcloud: TCP, TLS, and what may go wrong on the way, in our words."""

import asyncio
import socket
import ssl
import sys
from collections.abc import Callable
from dataclasses import dataclass

import aiohappyeyeballs

from ovh_proxy.core.errors import (
    Draining,
    UpstreamFailed,
    UpstreamTimeout,
    UpstreamTls,
    UpstreamUnreachable,
)
from ovh_proxy.core.settings import Timeouts, Upstream
from ovh_proxy.upstream.connection import Connection

_READ_BYTES = 65_536
_EYEBALLS_S = 0.25  # RFC 8305 section 8

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
        self._tls: ssl.SSLContext | None = None
        # One buffer serves all: what is read into it is parsed before anything else is read.
        # A proactor loop reads into several at once, so that each needs its own there.
        self._shared = None if sys.platform == "win32" else bytearray(_READ_BYTES)
        self.is_closed = False
        self.made = 0

    async def open(self, origin: Origin, on_free: Callable[[Connection], None]) -> Connection:
        """A new connection.

        Raises:
            UpstreamFailed: it could not be opened; nothing arrived.
            Draining: the pool is closed.
        """
        self._refuse_when_closed()
        try:
            async with asyncio.timeout(self._timeouts.connect_s):
                connection = await self._connect(origin, on_free)
        except (OSError, UnicodeError) as failure:
            raise _in_our_words(failure, origin.host) from failure
        self.made += 1
        if self.is_closed:
            connection.abort()
        if not connection.is_open:
            raise UpstreamUnreachable(f"{origin.host} hung up", nothing_arrived=True)
        return connection

    def _refuse_when_closed(self) -> None:
        if self.is_closed:
            raise Draining("ovh-proxy is stopping")

    async def _connect(self, origin: Origin, on_free: Callable[[Connection], None]) -> Connection:
        loop = asyncio.get_running_loop()
        is_tls = origin.scheme == "https"
        found = await loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
        connected = await aiohappyeyeballs.start_connection(
            found, happy_eyeballs_delay=_EYEBALLS_S, loop=loop
        )
        try:
            _, connection = await loop.create_connection(
                lambda: Connection(self._buffer(), self._timeouts, on_free),
                sock=connected,
                ssl=self._tls_context() if is_tls else None,
                server_hostname=origin.host if is_tls else None,
            )
        except BaseException:
            connected.close()
            raise
        return connection

    def _buffer(self) -> bytearray:
        return bytearray(_READ_BYTES) if self._shared is None else self._shared

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            tls = ssl.create_default_context()
            tls.minimum_version = ssl.TLSVersion.TLSv1_2
            tls.set_alpn_protocols(["http/1.1"])
            if self._upstream.ca_file is not None:
                tls.load_verify_locations(self._upstream.ca_file)
            self._tls = tls
        return self._tls


def _in_our_words(failure: Exception, host: str) -> UpstreamFailed:
    ours, text = next(
        (ours, text) for foreign, ours, text in _CONNECT_FAILURES if isinstance(failure, foreign)
    )
    return ours(text.format(host=host), nothing_arrived=True)
