"""The HTTP connections to OVHcloud, and their failures in our words."""

import asyncio
import socket
import ssl
import sys
from collections import deque
from dataclasses import dataclass
from urllib.parse import urlsplit

from ovh_proxy.core.errors import (
    Draining,
    Overloaded,
    UpstreamFailed,
    UpstreamTimeout,
    UpstreamTls,
    UpstreamUnreachable,
)
from ovh_proxy.core.messages import UpstreamRequest
from ovh_proxy.core.settings import Timeouts, Upstream
from ovh_proxy.upstream.connection import Connection, Incoming

_READ_BYTES = 65_536
_SWEEP_S = 0.25

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


class Pool:
    """Connections to every origin in use; each is kept for the next call.

    Attributes:
        made: connections opened so far.
        reused: calls that went out on a kept connection.
        is_closed: no connection is opened any more.
    """

    def __init__(self, upstream: Upstream, timeouts: Timeouts) -> None:
        self._upstream = upstream
        self._timeouts = timeouts
        self._loop = asyncio.get_running_loop()
        self._lanes: dict[Origin, _Lane] = {}
        self._origins: dict[str, Origin] = {}
        self._tls: ssl.SSLContext | None = None
        # One buffer serves all: what is read into it is parsed before anything else is read.
        # A proactor loop reads into several at once, so that each needs its own there.
        self._shared = None if sys.platform == "win32" else bytearray(_READ_BYTES)
        self._sweeper: asyncio.TimerHandle | None = None
        self.is_closed = False
        self.made = 0
        self.reused = 0

    async def send(self, outgoing: UpstreamRequest) -> Incoming:
        """Sends a request as it stands and gives its answer once the head is there.

        Nothing is added but Host and Content-Length; no redirect is followed, nothing is
        decompressed, no cookie kept.

        Raises:
            UpstreamFailed: no answer came.
            Overloaded: all connections stayed busy.
            Draining: the pool is closed.
        """
        origin, target = self._split(outgoing.url)
        lane = self._lanes.get(origin) or self._lanes.setdefault(origin, _Lane(self, origin))
        connection = await lane.acquire()
        self._sweep_soon()
        return await connection.send(outgoing, origin.authority, target)

    async def warm(self, url: str) -> None:
        """Opens a connection to a URL's origin, to be there for the first call.

        Raises:
            UpstreamFailed: none could be opened.
        """
        origin, _ = self._split(url)
        lane = self._lanes.setdefault(origin, _Lane(self, origin))
        lane.release(await lane.acquire())
        self._sweep_soon()

    async def close(self) -> None:
        """Closes every connection; calls under way fail, and so do those that wait for one."""
        self.is_closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for lane in self._lanes.values():
            lane.close()
        await asyncio.sleep(0)  # lets the transports tell that they are closed

    def _split(self, url: str) -> tuple[Origin, str]:
        end = url.find("/", 8)  # behind https://
        key, target = (url, "/") if end < 0 else (url[:end], url[end:])
        origin = self._origins.get(key)
        if origin is None:
            parts = urlsplit(key)
            port = parts.port or (443 if parts.scheme == "https" else 80)
            origin = Origin(parts.scheme, parts.hostname or "", port, parts.netloc)
            self._origins[key] = origin
        return origin, target

    async def open(self, lane: "_Lane") -> Connection:
        """A new connection.

        Raises:
            UpstreamFailed: it could not be opened; nothing arrived.
            Draining: the pool is closed.
        """
        if self.is_closed:
            raise Draining("ovh-proxy is stopping")
        origin = lane.origin
        try:
            async with asyncio.timeout(self._timeouts.connect_s):
                _, connection = await self._loop.create_connection(
                    lambda: Connection(self._buffer(), self._timeouts, lane.release),
                    origin.host,
                    origin.port,
                    ssl=self._tls_context() if origin.scheme == "https" else None,
                    happy_eyeballs_delay=0.25,  # RFC 8305 section 8
                )
        except (OSError, UnicodeError) as failure:
            raise _in_our_words(failure, origin.host) from failure
        self.made += 1
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

    def _sweep_soon(self) -> None:
        if self._sweeper is None and not self.is_closed:
            self._sweeper = self._loop.call_later(_SWEEP_S, self._sweep)

    def _sweep(self) -> None:
        # One timer for all connections: a timer a request would cost more than the request.
        self._sweeper = None
        now = self._loop.time()
        remaining = [lane.sweep(now) for lane in self._lanes.values()]
        if any(remaining):
            self._sweep_soon()

    @property
    def timeouts(self) -> Timeouts:
        return self._timeouts

    @property
    def upstream(self) -> Upstream:
        return self._upstream


class _Lane:
    """The connections to one origin, and those who wait for one."""

    def __init__(self, pool: Pool, origin: Origin) -> None:
        self._pool = pool
        self._loop = asyncio.get_running_loop()
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._opening = 0
        self._waiters: deque[asyncio.Future[Connection | None]] = deque()
        self.origin = origin

    async def acquire(self) -> Connection:
        """A connection to send on: the one used last, else a new one, else the next to be free.

        Raises:
            UpstreamFailed, Overloaded: none is to be had.
        """
        is_again = False
        while True:
            connection = await self._take_idle()
            if connection is not None:
                return connection
            if len(self._open) + self._opening < self._pool.upstream.connections:
                self._opening += 1
                return await self._open_one()
            connection = await self._wait(is_again)
            is_again = True
            if connection is None:
                return await self._open_one()
            if await self._is_fit(connection):
                self._pool.reused += 1
                return connection

    async def _take_idle(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if await self._is_fit(connection) and connection.expires_at > self._loop.time():
                self._pool.reused += 1
                return connection
            connection.abort()
        return None

    async def _is_fit(self, connection: Connection) -> bool:
        # Whatever waits to be read (an end, TLS tickets, an answer nobody asked for), the loop
        # reads it first; only a connection that stays open is used.
        try:
            while connection.is_open and connection.has_unread():  # noqa: ASYNC110 - only the loop
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            connection.abort()
            raise
        return connection.is_open

    async def _open_one(self) -> Connection:
        # Whoever calls has its slot already, counted in `_opening`.
        try:
            connection = await self._pool.open(self)
            if self._pool.is_closed:
                connection.abort()
            if not connection.is_open:
                raise UpstreamUnreachable(f"{self.origin.host} hung up", nothing_arrived=True)
        except BaseException:
            self._give_slot()
            raise
        self._opening -= 1
        self._open.add(connection)
        return connection

    async def _wait(self, is_again: bool) -> Connection | None:
        # None is the slot of a connection that has gone: nobody else can take it meanwhile.
        waiter: asyncio.Future[Connection | None] = self._loop.create_future()
        # Who was given a connection that then turned out closed has had its turn, and keeps it.
        (self._waiters.appendleft if is_again else self._waiters.append)(waiter)
        try:
            async with asyncio.timeout(self._pool.timeouts.connect_s):
                return await waiter
        except TimeoutError as failure:
            self._hand_on(waiter)
            raise Overloaded("all connections to OVHcloud are busy") from failure
        except asyncio.CancelledError:
            self._hand_on(waiter)
            raise

    def _hand_on(self, waiter: asyncio.Future[Connection | None]) -> None:
        # Woken and gone at the same moment: what it was given is the next one's.
        if waiter in self._waiters:
            self._waiters.remove(waiter)
        elif waiter.done() and not waiter.cancelled():
            connection = waiter.result()
            if connection is None:
                self._give_slot()
            elif connection.is_open:
                self.release(connection)

    def release(self, connection: Connection) -> None:
        """A connection that is free, or closed."""
        if not connection.is_open:
            if connection in self._idle:
                self._idle.remove(connection)
            if connection in self._open:
                self._open.remove(connection)
                self._opening += 1
                self._give_slot()
        elif not self._wake(connection):
            connection.expires_at = self._loop.time() + connection.keep_for(
                self._pool.upstream.keep_alive_s
            )
            self._idle.append(connection)

    def _give_slot(self) -> None:
        if not self._wake(None):
            self._opening -= 1

    def _wake(self, connection: Connection | None) -> bool:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return True
        return False

    def sweep(self, now: float) -> int:
        """Ends what has waited too long; gives how many connections remain."""
        for connection in tuple(self._open):
            if connection.deadline is not None and connection.deadline <= now:
                connection.time_out()
        for connection in tuple(self._idle):
            if connection.expires_at <= now:
                self._idle.remove(connection)
                connection.abort()
        return len(self._open)

    def close(self) -> None:
        for connection in tuple(self._open):
            connection.abort()


def _in_our_words(failure: Exception, host: str) -> UpstreamFailed:
    ours, text = next(
        (ours, text) for foreign, ours, text in _CONNECT_FAILURES if isinstance(failure, foreign)
    )
    return ours(text.format(host=host), nothing_arrived=True)
