"""OVHcloud's clock at each endpoint, learned and renewed."""

import asyncio
import time
from collections.abc import Callable, Iterable
from functools import partial

from ovh_proxy.core.endpoints import Endpoint
from ovh_proxy.core.errors import ClockUnknown, OvhProxyError
from ovh_proxy.ovhcloud.auth_api import read_time, time_request
from ovh_proxy.upstream.pool import Pool
from ovh_proxy.upstream.single_flight import UNSHARED, SharedCache, SingleFlight, Value

RENEW_S = 3600.0
# The shortest time between two requests: a store with wrong keys must not cause more of them.
ASK_AGAIN_S = 60.0
_TIMEOUT_S = 10.0
_MAX_BODY = 64
# A monotonic clock, not affected by changes of the wall clock. On Linux it includes time that the
# machine was suspended, which `time.monotonic` does not; on other systems the response
# `Query out of time` corrects the clock after a suspension.
steady_time: Callable[[], float] = (
    partial(time.clock_gettime, time.CLOCK_BOOTTIME)
    if hasattr(time, "CLOCK_BOOTTIME")
    else time.monotonic
)


class Clock:
    """OVHcloud's clock at one endpoint, fetched on first use and every hour.

    Attributes:
        updates: how often the time was learned.
    """

    def __init__(
        self,
        pool: Pool,
        endpoint: Endpoint,
        steady: Callable[[], float] = steady_time,
        wall: Callable[[], float] = time.time,
        shared_cache: SharedCache = UNSHARED,
    ) -> None:
        self._pool = pool
        self._endpoint = endpoint
        self._shared_cache = shared_cache
        self._key = f"clock {endpoint.base_url}"
        self._steady = steady
        self._wall = wall
        self._offset: float | None = None  # OVHcloud's time minus the steady clock's
        self._asked_at = 0.0
        self._tried_at = 0.0
        self._asked_again_at: float | None = None
        self._fetching = SingleFlight(self._update)
        self.updates = 0
        self._updates_seen = 0  # `updates` when the time was last found missing, old or wrong
        shared_cache.subscribe(self._key, self._take)

    async def timestamp(self) -> int:
        """Whole seconds since the epoch, by OVHcloud's clock.

        Raises:
            ClockUnknown, UpstreamFailed: the time could not be fetched yet.
        """
        if self._offset is None:
            self._updates_seen = self.updates
            await self._fetching()
        assert self._offset is not None
        now = self._steady()
        if self._is_due(now):
            self._updates_seen = self.updates
            self._fetching.start()  # in the background; until then the old offset is used
        return int(now + self._offset)

    async def refresh(self, seen: int) -> bool:
        """Fetches the time because OVHcloud rejected a timestamp; whether it was updated.

        Args:
            seen: the value of `updates` when that timestamp was made.
        """
        if self.updates != seen:
            return True  # another call has updated it already
        if not self._fetching.is_running:
            now = self._steady()
            if self._asked_again_at is not None and now - self._asked_again_at < ASK_AGAIN_S:
                return False
            self._asked_again_at = now
        self._updates_seen = self.updates
        try:
            await self._fetching()
        except OvhProxyError:
            return False
        return True

    def _is_due(self, now: float) -> bool:
        return now - self._asked_at >= RENEW_S and now - self._tried_at >= ASK_AGAIN_S

    @property
    def is_known(self) -> bool:
        return self._offset is not None

    @property
    def is_fetching(self) -> bool:
        return self._fetching.is_running

    @property
    def delta(self) -> float | None:
        """Seconds that OVHcloud's clock is ahead of this machine's; None if unknown."""
        return None if self._offset is None else self._offset + self._steady() - self._wall()

    async def close(self) -> None:
        await self._fetching.stop()

    async def _update(self) -> None:
        if self.updates != self._updates_seen:
            return  # another process has updated it
        self._tried_at = self._steady()
        self._take(await self._shared_cache.fetch(self._key, self._fetch))

    def _take(self, value: Value) -> None:
        self._asked_at, self._offset = value["asked_at"], value["offset"]
        self._asked_again_at = value["asked_again_at"]
        self.updates += 1

    async def _fetch(self) -> Value:
        started = self._steady()
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                incoming = await self._pool.send(time_request(self._endpoint))
                body = await incoming.read_all(_MAX_BODY)
            if incoming.head.status != 200:
                raise self._unknown(f"returned status {incoming.head.status}")
            timestamp = read_time(body[:_MAX_BODY])
        except TimeoutError:
            raise self._unknown(f"did not respond in time ({_TIMEOUT_S:g} s)") from None
        except ValueError as failure:
            raise self._unknown("returned no timestamp") from failure
        # OVHcloud read its clock between request and response, and cut the fraction of the second.
        ended = self._steady()
        return {
            "asked_at": ended,
            "offset": timestamp + 0.5 - (started + ended) / 2,
            "asked_again_at": self._asked_again_at,
        }

    def _unknown(self, problem: str) -> ClockUnknown:
        return ClockUnknown(
            f"OVHcloud's time is unknown: {self._endpoint.base_url}/auth/time {problem}"
        )


class Clocks:
    """One clock per endpoint; it survives reloads that keep the endpoint."""

    def __init__(
        self,
        pool: Pool,
        steady: Callable[[], float] = steady_time,
        wall: Callable[[], float] = time.time,
        shared_cache: SharedCache = UNSHARED,
    ) -> None:
        self._pool, self._steady, self._wall, self._shared_cache = pool, steady, wall, shared_cache
        self._clocks: dict[str, Clock] = {}

    def of(self, endpoint: Endpoint) -> Clock:
        """The clock of an endpoint."""
        clock = self._clocks.get(endpoint.base_url)
        if clock is None:
            clock = Clock(self._pool, endpoint, self._steady, self._wall, self._shared_cache)
            self._clocks[endpoint.base_url] = clock
        return clock

    def retain(self, endpoints: Iterable[Endpoint]) -> None:
        """Drops the clocks of all other endpoints; one that is being fetched is dropped later."""
        retained = {endpoint.base_url for endpoint in endpoints}
        for base_url in [*self._clocks]:
            if base_url not in retained and not self._clocks[base_url].is_fetching:
                del self._clocks[base_url]

    async def close(self) -> None:
        for clock in self._clocks.values():
            await clock.close()
