"""The HTTP connections to OVHcloud, and their failures in our words."""

import asyncio
from collections.abc import Callable
from urllib.parse import urlsplit

from ovh_proxy.core.settings import Timeouts, Upstream
from ovh_proxy.ovhcloud.messages import UpstreamRequest
from ovh_proxy.upstream.connector import Connector, Origin
from ovh_proxy.upstream.lane import OriginPool
from ovh_proxy.upstream.response import UpstreamResponse

_SWEEP_S = 0.25


class Pool:
    """Connections to every origin in use; each is kept for the next call."""

    def __init__(self, upstream: Upstream, timeouts: Timeouts) -> None:
        self._upstream = upstream
        self._timeouts = timeouts
        self._loop = asyncio.get_running_loop()
        self._connector = Connector(upstream, timeouts)
        self._lanes: dict[Origin, OriginPool] = {}
        self._by_start: dict[str, OriginPool] = {}
        self._sweeper: asyncio.TimerHandle | None = None

    @property
    def made(self) -> int:
        """Connections opened so far."""
        return self._connector.made

    @property
    def reused(self) -> int:
        """Calls that went out on a kept connection."""
        return sum(origin_pool.reused for origin_pool in self._lanes.values())

    async def send(
        self, outgoing: UpstreamRequest, leave: Callable[[], None] | None = None
    ) -> UpstreamResponse:
        """Sends a request as it stands and gives its answer once the head is there.

        Nothing is added but Host and Content-Length; no redirect is followed, nothing is
        decompressed, no cookie kept.

        Args:
            leave: called right before the first byte goes out.

        Raises:
            UpstreamFailed: no answer came.
            Overloaded: all connections stayed busy.
            Draining: the pool is closed.
        """
        origin_pool, target = self._split(outgoing.url)
        self._sweep_soon()
        connection = origin_pool.take_idle() or await origin_pool.acquire()
        if leave is not None:
            leave()
        return await connection.send(outgoing, origin_pool.origin.authority, target)

    def is_warm(self, url: str) -> bool:
        """Whether there is a connection to a URL's origin, or one on its way."""
        origin_pool, _ = self._split(url)
        return origin_pool.is_in_use

    async def warm(self, url: str) -> None:
        """Opens a connection to a URL's origin, to be there for the next call, if there is none.

        Raises:
            UpstreamFailed: none could be opened.
        """
        origin_pool, _ = self._split(url)
        if not origin_pool.is_in_use:
            origin_pool.release(await origin_pool.acquire())
            self._sweep_soon()

    def drop_idle(self) -> None:
        """Closes the connections that carry no request."""
        for origin_pool in self._lanes.values():
            origin_pool.drop_idle()

    async def close(self) -> None:
        """Closes every connection; calls under way fail, and so do those that wait for one."""
        self._connector.is_closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for origin_pool in self._lanes.values():
            origin_pool.close()
        await self._connector.close()
        await asyncio.sleep(0)  # lets the transports tell that they are closed

    def _origin_pool(self, origin: Origin) -> OriginPool:
        origin_pool = self._lanes.get(origin)
        if origin_pool is None:
            origin_pool = OriginPool(origin, self._connector, self._upstream, self._timeouts)
            self._lanes[origin] = origin_pool
        return origin_pool

    def _split(self, url: str) -> tuple[OriginPool, str]:
        end = url.find("/", 8)  # behind https://
        start, target = (url, "/") if end < 0 else (url[:end], url[end:])
        origin_pool = self._by_start.get(start)
        if origin_pool is None:
            parts = urlsplit(start)
            port = parts.port or (443 if parts.scheme == "https" else 80)
            origin_pool = self._origin_pool(
                Origin(parts.scheme, parts.hostname or "", port, parts.netloc)
            )
            self._by_start[start] = origin_pool
        return origin_pool, target

    def _sweep_soon(self) -> None:
        if self._sweeper is None and not self._connector.is_closed:
            self._sweeper = self._loop.call_later(_SWEEP_S, self._sweep)

    def _sweep(self) -> None:
        # One timer for all connections: a timer a request would cost more than the request.
        self._sweeper = None
        now = self._loop.time()
        remaining = [origin_pool.sweep(now) for origin_pool in self._lanes.values()]
        if any(remaining):
            self._sweep_soon()
