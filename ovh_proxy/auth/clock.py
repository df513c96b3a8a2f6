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
# `Query out of time` makes it ask again, at most this often: a store of wrong keys must not.
ASK_AGAIN_S = 60.0
_ANSWER_S = 10.0
_MAX_BODY = 64


# Seconds since some moment, by a clock that no step of the wall clock bends. On Linux it goes on
# while the machine sleeps, which `time.monotonic` does not; elsewhere `Query out of time` mends
# what a sleep has bent.
steady_time: Callable[[], float] = (
    partial(time.clock_gettime, time.CLOCK_BOOTTIME)
    if hasattr(time, "CLOCK_BOOTTIME")
    else time.monotonic
)


class Clock:
    """OVHcloud's clock at one endpoint, asked at first need and every hour.

    Attributes:
        answers: how often it has told the time.
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
        self._offset: float | None = None  # OVHcloud's time less the steady clock's
        self._asked_at = 0.0
        self._tried_at = 0.0
        self._asked_again_at: float | None = None
        self._ask = SingleFlight(self._find_out)
        self.answers = 0
        self._answers_seen = 0  # when it was last found to be missing, old or wrong
        shared_cache.subscribe(self._key, self._take)

    async def timestamp(self) -> int:
        """Whole seconds since the epoch, by OVHcloud's clock.

        Raises:
            ClockUnknown, UpstreamFailed: it never told.
        """
        if self._offset is None:
            self._answers_seen = self.answers
            await self._ask()
        assert self._offset is not None
        now = self._steady()
        if self._is_due(now):
            self._answers_seen = self.answers
            self._ask.start()  # meanwhile the old one serves
        return int(now + self._offset)

    async def ask_again(self, seen: int) -> bool:
        """Asks anew because OVHcloud calls a timestamp wrong; whether there is a better one now.

        Args:
            seen: `answers` as it stood when that timestamp was made.
        """
        if self.answers != seen:
            return True  # another call has found out already
        if not self._ask.is_running:
            now = self._steady()
            if self._asked_again_at is not None and now - self._asked_again_at < ASK_AGAIN_S:
                return False
            self._asked_again_at = now
        self._answers_seen = self.answers
        try:
            await self._ask()
        except OvhProxyError:
            return False
        return True

    def _is_due(self, now: float) -> bool:
        return now - self._asked_at >= RENEW_S and now - self._tried_at >= ASK_AGAIN_S

    @property
    def is_known(self) -> bool:
        return self._offset is not None

    @property
    def is_asking(self) -> bool:
        return self._ask.is_running

    @property
    def delta(self) -> float | None:
        """Seconds that OVHcloud's clock is ahead of this machine's; None before it was asked."""
        return None if self._offset is None else self._offset + self._steady() - self._wall()

    async def close(self) -> None:
        await self._ask.stop()

    async def _find_out(self) -> None:
        if self.answers != self._answers_seen:
            return  # another process has told it meanwhile
        self._tried_at = self._steady()
        self._take(await self._shared_cache.fetch(self._key, self._fetch))

    def _take(self, value: Value) -> None:
        self._asked_at, self._offset = value["asked_at"], value["offset"]
        self._asked_again_at = value["asked_again_at"]
        self.answers += 1

    async def _fetch(self) -> Value:
        began = self._steady()
        try:
            async with asyncio.timeout(_ANSWER_S):
                incoming = await self._pool.send(time_request(self._endpoint))
                body = await incoming.read_all(_MAX_BODY)
            if incoming.head.status != 200:
                raise ClockUnknown(f"/auth/time answered {incoming.head.status}")
            told = read_time(body[:_MAX_BODY])
        except TimeoutError:
            raise ClockUnknown("/auth/time did not answer in time") from None
        except ValueError as failure:
            raise ClockUnknown("/auth/time answered what is no time") from failure
        # It was read somewhere between question and answer, and the fraction of its second is cut.
        ended = self._steady()
        return {
            "asked_at": ended,
            "offset": told + 0.5 - (began + ended) / 2,
            "asked_again_at": self._asked_again_at,
        }


class Clocks:
    """One clock an endpoint; a reload that leaves the endpoint alone keeps it."""

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
        """Drops the clocks of all others; one that is being asked goes the next time."""
        kept = {endpoint.base_url for endpoint in endpoints}
        for base_url in [*self._clocks]:
            if base_url not in kept and not self._clocks[base_url].is_asking:
                del self._clocks[base_url]

    async def close(self) -> None:
        for clock in self._clocks.values():
            await clock.close()
