"""Connections to each origin: kept alive, handed out in turn, closed when idle."""

import asyncio
from collections import deque
from collections.abc import Callable
from urllib.parse import urlsplit

from ovh_proxy.core.errors import Overloaded, UpstreamBroken, UpstreamFailed
from ovh_proxy.core.settings import Timeouts, Upstream
from ovh_proxy.ovhcloud.messages import UpstreamRequest
from ovh_proxy.upstream.connection import Connection
from ovh_proxy.upstream.connector import Connector, Origin
from ovh_proxy.upstream.response import UpstreamResponse


class OriginPool:
    """The connections to one origin, and the queue of calls that wait for one.

    Attributes:
        reused: calls sent on a connection that was already open.
    """

    def __init__(
        self, origin: Origin, connector: Connector, upstream: Upstream, timeouts: Timeouts
    ) -> None:
        self.origin = origin
        self._connector = connector
        self._upstream = upstream
        self._timeouts = timeouts
        self._loop = asyncio.get_running_loop()
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._opening = 0
        # With the loop time at which each wait times out; `sweep` checks it.
        self._waiters: deque[tuple[float, asyncio.Future[Connection | None]]] = deque()
        self.reused = 0

    @property
    def is_in_use(self) -> bool:
        """Whether a connection is open or being opened."""
        return bool(self._open) or self._opening > 0

    async def acquire(self, is_fresh: bool = False) -> Connection:
        """A connection to send on: the most recently used, else a new one, else the next free one.

        Args:
            is_fresh: not one that is idle: a new one, or one that has just responded.

        Raises:
            UpstreamFailed, Overloaded: none could be opened, or none became free.
        """
        is_again = False
        while True:
            if not is_fresh:
                connection = self.take_idle() or await self._take_unread()
                if connection is not None:
                    return connection
            if len(self._open) + self._opening < self._upstream.connections:
                self._opening += 1
                return await self._open_one()
            connection = await self._wait(is_again)
            is_again = True
            if connection is None:
                return await self._open_one()
            if await self._stays_open(connection):
                self.reused += 1
                return connection

    def take_idle(self) -> Connection | None:
        """The most recently used idle connection, if it is usable and has nothing to read."""
        now = self._loop.time()
        while self._idle and not self._idle[-1].has_unread():
            connection = self._idle.pop()
            if connection.is_open and connection.expires_at > now:
                self.reused += 1
                return connection
            connection.abort()
        return None

    async def _take_unread(self) -> Connection | None:
        """An idle connection that is still usable after its unread bytes were read."""
        while self._idle:
            connection = self._idle.pop()
            if await self._stays_open(connection) and connection.expires_at > self._loop.time():
                self.reused += 1
                return connection
            connection.abort()
        return None

    async def _stays_open(self, connection: Connection) -> bool:
        # The event loop first reads what is pending (EOF, TLS tickets, an unsolicited response);
        # only a connection that stays open is used.
        try:
            while connection.is_open and connection.has_unread():  # noqa: ASYNC110 - only the loop
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            connection.abort()
            raise
        return connection.is_open

    async def _open_one(self) -> Connection:
        # The caller has reserved a slot in `_opening`.
        try:
            connection = await self._connector.open(self.origin, self.release)
        except BaseException:
            self._give_slot()
            raise
        self._opening -= 1
        self._open.add(connection)
        return connection

    async def _wait(self, is_again: bool) -> Connection | None:
        # None is the reserved slot of a closed connection: no other call can take it.
        waiter: asyncio.Future[Connection | None] = self._loop.create_future()
        waiting = (self._loop.time() + self._timeouts.connect_s, waiter)
        # A call that got a connection which then turned out closed keeps its turn.
        (self._waiters.appendleft if is_again else self._waiters.append)(waiting)
        try:
            return await waiter
        except asyncio.CancelledError:
            self._hand_on(waiter)
            raise

    def _hand_on(self, waiter: asyncio.Future[Connection | None]) -> None:
        # Cancelled right after it was woken: its connection goes to the next waiter. A waiter that
        # was not woken is cancelled by now, and is skipped.
        if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
            connection = waiter.result()
            if connection is None:
                self._give_slot()
            elif connection.is_open:
                self.release(connection)

    def release(self, connection: Connection) -> None:
        """Takes back a connection that is free or closed."""
        if not connection.is_open:
            if connection in self._idle:
                self._idle.remove(connection)
            if connection in self._open:
                self._open.remove(connection)
                self._opening += 1
                self._give_slot()
        elif connection.retires_at <= (now := self._loop.time()):
            connection.abort()
        elif not self._wake(connection):
            expires_at = now + connection.idle_seconds(self._upstream.keep_alive_s)
            connection.expires_at = min(expires_at, connection.retires_at)
            self._idle.append(connection)

    def _give_slot(self) -> None:
        if not self._wake(None):
            self._opening -= 1

    def _wake(self, connection: Connection | None) -> bool:
        while self._waiters:
            _, waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return True
        return False

    def sweep(self, now: float) -> int:
        """Ends what has timed out; returns how many connections and waiters are left to check."""
        for connection in tuple(self._open):
            if connection.deadline is not None and connection.deadline <= now:
                connection.time_out()
        for connection in tuple(self._idle):
            if connection.expires_at <= now:
                self._idle.remove(connection)
                connection.abort()
        while self._waiters and (self._waiters[0][0] <= now or self._waiters[0][1].done()):
            _, waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_exception(
                    Overloaded(
                        f"all {self._upstream.connections} connections to {self.origin.authority} "
                        "are busy (upstream.connections)"
                    )
                )
        return len(self._open) + self._opening + len(self._waiters)

    def drop_idle(self) -> None:
        """Closes the connections that carry no request."""
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.abort()

    def close(self) -> None:
        for connection in tuple(self._open):
            connection.abort()


_SWEEP_S = 0.25


class Pool:
    """Connections to all origins, kept open for the next call."""

    def __init__(self, upstream: Upstream, timeouts: Timeouts) -> None:
        self._upstream = upstream
        self._timeouts = timeouts
        self._loop = asyncio.get_running_loop()
        self._connector = Connector(upstream, timeouts)
        self._origin_pools: dict[Origin, OriginPool] = {}
        self._by_prefix: dict[str, OriginPool] = {}
        self._sweeper: asyncio.TimerHandle | None = None

    @property
    def made(self) -> int:
        """Connections opened so far."""
        return self._connector.made

    @property
    def reused(self) -> int:
        """Calls sent on a connection that was already open."""
        return sum(origin_pool.reused for origin_pool in self._origin_pools.values())

    async def send(
        self,
        outgoing: UpstreamRequest,
        leave: Callable[[], None] | None = None,
        is_fresh: bool = False,
    ) -> UpstreamResponse:
        """Sends a request unchanged and returns the response once its head has arrived.

        Only Host and Content-Length are added. Redirects are not followed, bodies are not
        decompressed, cookies are not stored. After a failure of a kept connection, the idle
        ones of its origin are closed: they have probably failed, too.

        Args:
            leave: called right before the first byte is sent; None for a request for the time or
                a token, which is safe to repeat.
            is_fresh: do not send on an idle connection.

        Raises:
            UpstreamFailed: no response.
            Overloaded: all connections stayed busy.
            Draining: the pool is closed.
        """
        origin_pool, target = self._split(outgoing.url)
        self._sweep_soon()
        connection = None if is_fresh else origin_pool.take_idle()
        if connection is None:
            connection = await origin_pool.acquire(is_fresh)
        if leave is not None:
            leave()
        try:
            incoming = await connection.send(outgoing, origin_pool.origin.authority, target)
        except UpstreamFailed as failure:
            if failure.on_kept_connection:
                origin_pool.drop_idle()
            raise
        if incoming.head.status == 408 and connection.was_idle:
            # RFC 9110 section 15.5.9: the server closes an idle connection, and has not read the
            # request. A client of ours decides itself whether to repeat an unsafe one.
            origin_pool.drop_idle()
            if outgoing.is_safe or leave is None:
                incoming.abandon()
                raise UpstreamBroken(
                    "OVHcloud closed an idle connection (408)", on_kept_connection=True
                )
        return incoming

    def is_warm(self, url: str) -> bool:
        """Whether a connection to a URL's origin is open or being opened."""
        origin_pool, _ = self._split(url)
        return origin_pool.is_in_use

    async def warm(self, url: str) -> None:
        """Opens a connection to a URL's origin for the next call, unless there is one.

        Raises:
            UpstreamFailed: it could not be opened.
        """
        origin_pool, _ = self._split(url)
        if not origin_pool.is_in_use:
            origin_pool.release(await origin_pool.acquire())
            self._sweep_soon()

    def drop_idle(self) -> None:
        """Closes the connections that carry no request."""
        for origin_pool in self._origin_pools.values():
            origin_pool.drop_idle()

    async def close(self) -> None:
        """Closes all connections; current and waiting calls fail."""
        self._connector.is_closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for origin_pool in self._origin_pools.values():
            origin_pool.close()
        await self._connector.close()
        await asyncio.sleep(0)  # lets the transports report that they are closed

    def _origin_pool(self, origin: Origin) -> OriginPool:
        origin_pool = self._origin_pools.get(origin)
        if origin_pool is None:
            origin_pool = OriginPool(origin, self._connector, self._upstream, self._timeouts)
            self._origin_pools[origin] = origin_pool
        return origin_pool

    def _split(self, url: str) -> tuple[OriginPool, str]:
        end = url.find("/", 8)  # after https://
        prefix, target = (url, "/") if end < 0 else (url[:end], url[end:])
        origin_pool = self._by_prefix.get(prefix)
        if origin_pool is None:
            parts = urlsplit(prefix)
            port = parts.port or (443 if parts.scheme == "https" else 80)
            origin_pool = self._origin_pool(
                Origin(parts.scheme, parts.hostname or "", port, parts.netloc)
            )
            self._by_prefix[prefix] = origin_pool
        return origin_pool, target

    def _sweep_soon(self) -> None:
        if self._sweeper is None and not self._connector.is_closed:
            self._sweeper = self._loop.call_later(_SWEEP_S, self._sweep)

    def _sweep(self) -> None:
        # One timer for all connections; a timer per request would cost more than the request.
        self._sweeper = None
        now = self._loop.time()
        remaining = [origin_pool.sweep(now) for origin_pool in self._origin_pools.values()]
        if any(remaining):
            self._sweep_soon()
