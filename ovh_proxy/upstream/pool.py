"""The HTTP connections to OVHcloud, and their failures in our words."""

import asyncio
from urllib.parse import urlsplit

from ovh_proxy.core.messages import UpstreamRequest
from ovh_proxy.core.settings import Timeouts, Upstream
from ovh_proxy.upstream.connector import Connector, Origin
from ovh_proxy.upstream.incoming import Incoming
from ovh_proxy.upstream.lane import Lane

_SWEEP_S = 0.25


class Pool:
    """Connections to every origin in use; each is kept for the next call."""

    def __init__(self, upstream: Upstream, timeouts: Timeouts) -> None:
        self._upstream = upstream
        self._timeouts = timeouts
        self._loop = asyncio.get_running_loop()
        self._connector = Connector(upstream, timeouts)
        self._lanes: dict[Origin, Lane] = {}
        self._origins: dict[str, Origin] = {}
        self._sweeper: asyncio.TimerHandle | None = None

    @property
    def made(self) -> int:
        """Connections opened so far."""
        return self._connector.made

    @property
    def reused(self) -> int:
        """Calls that went out on a kept connection."""
        return sum(lane.reused for lane in self._lanes.values())

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
        connection = await self._lane(origin).acquire()
        self._sweep_soon()
        return await connection.send(outgoing, origin.authority, target)

    async def warm(self, url: str) -> None:
        """Opens a connection to a URL's origin, to be there for the first call.

        Raises:
            UpstreamFailed: none could be opened.
        """
        origin, _ = self._split(url)
        lane = self._lane(origin)
        lane.release(await lane.acquire())
        self._sweep_soon()

    async def close(self) -> None:
        """Closes every connection; calls under way fail, and so do those that wait for one."""
        self._connector.is_closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for lane in self._lanes.values():
            lane.close()
        await asyncio.sleep(0)  # lets the transports tell that they are closed

    def _lane(self, origin: Origin) -> Lane:
        lane = self._lanes.get(origin)
        if lane is None:
            lane = Lane(origin, self._connector, self._upstream, self._timeouts)
            self._lanes[origin] = lane
        return lane

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

    def _sweep_soon(self) -> None:
        if self._sweeper is None and not self._connector.is_closed:
            self._sweeper = self._loop.call_later(_SWEEP_S, self._sweep)

    def _sweep(self) -> None:
        # One timer for all connections: a timer a request would cost more than the request.
        self._sweeper = None
        now = self._loop.time()
        remaining = [lane.sweep(now) for lane in self._lanes.values()]
        if any(remaining):
            self._sweep_soon()
