"""Requests per minute: leaky buckets, in one process or given out for several."""

import asyncio
import math
from collections.abc import Collection
from typing import TYPE_CHECKING, Protocol

from ovh_proxy.core.errors import Overloaded

if TYPE_CHECKING:
    from aiolimiter import AsyncLimiter


MINUTE_S = 60.0


class LeakyBuckets:
    """Leaky buckets; for a full one, the wait until it has leaked enough is known."""

    def __init__(self) -> None:
        self._levels: dict[tuple[str, int], tuple[float, float]] = {}

    def reserve(self, key: str, per_minute: int, max_wait_s: float, now: float) -> float | None:
        """Reserves the next slot; returns the seconds until then, or None if that is too long.

        Args:
            key: there is one bucket per key and rate.
            now: seconds by a monotonic clock.
        """
        level = self._level(key, per_minute, now)
        wait = max(0.0, level + 1 - per_minute) * MINUTE_S / per_minute
        if wait > max_wait_s:
            return None
        self._levels[key, per_minute] = level + 1, now
        return wait

    def release(self, key: str, per_minute: int, now: float) -> None:
        """Returns a reserved slot that was not used."""
        self._levels[key, per_minute] = max(0.0, self._level(key, per_minute, now) - 1), now

    def _level(self, key: str, per_minute: int, now: float) -> float:
        level, then = self._levels.get((key, per_minute), (0.0, now))
        return max(0.0, level - (now - then) * per_minute / MINUTE_S)


# Long enough to even out a burst, short enough for a client that waits for the response.
MAX_WAIT_S = 10.0


class RateLimiter(Protocol):
    """Delays requests to a rate, within one process or over several."""

    async def wait(self, key: str, per_minute: int | None) -> None:
        """Waits for the next slot.

        Raises:
            Overloaded: that would take too long.
        """

    def retain(self, rates: Collection[tuple[str, int | None]]) -> None:
        """Drops the buckets of all other keys and rates."""


def too_fast(key: str, per_minute: int) -> Overloaded:
    """The error for a call that would have to wait too long."""
    return Overloaded(
        f"{key} makes more than {per_minute} requests per minute",
        retry_after=math.ceil(MINUTE_S / per_minute),
    )


class LocalRateLimiter:
    """One leaky bucket for each profile and each client that has a rate."""

    def __init__(self, max_wait_s: float = MAX_WAIT_S) -> None:
        self._max_wait_s = max_wait_s
        self._buckets: dict[tuple[str, int], tuple[asyncio.Lock, AsyncLimiter]] = {}

    async def wait(self, key: str, per_minute: int | None) -> None:
        """Waits for the next slot.

        Args:
            key: `profile NAME` or `client NAME`; a reload that does not change the rate keeps
                the bucket.

        Raises:
            Overloaded: that would take too long.
        """
        if per_minute is None:
            return
        queue, bucket = self._bucket(key, per_minute)
        try:
            # The lock is fair; without it, a new request could overtake those that wait.
            async with asyncio.timeout(self._max_wait_s), queue:
                await bucket.acquire()
        except TimeoutError:
            raise too_fast(key, per_minute) from None

    def retain(self, rates: Collection[tuple[str, int | None]]) -> None:
        """Drops the buckets of all other keys and rates."""
        for rate in [*self._buckets]:
            if rate not in rates:
                del self._buckets[rate]

    def _bucket(self, key: str, per_minute: int) -> tuple[asyncio.Lock, "AsyncLimiter"]:
        rate = (key, per_minute)
        if rate not in self._buckets:
            # Imported here: it takes a while, and few settings ask for a rate.
            from aiolimiter import AsyncLimiter

            self._buckets[rate] = asyncio.Lock(), AsyncLimiter(per_minute, MINUTE_S)
        return self._buckets[rate]
