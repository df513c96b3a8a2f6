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
    """Leaky buckets; a full one tells how long until it has leaked enough."""

    def __init__(self) -> None:
        self._levels: dict[tuple[str, int], tuple[float, float]] = {}

    def place(self, whose: str, per_minute: int, patience_s: float, now: float) -> float | None:
        """Seconds until a place in the minute, which is taken by that; None where it is too long.

        Args:
            whose: each has a bucket of its own at each rate.
            now: seconds by a steady clock.
        """
        level = self._level(whose, per_minute, now)
        wait = max(0.0, level + 1 - per_minute) * MINUTE_S / per_minute
        if wait > patience_s:
            return None
        self._levels[whose, per_minute] = level + 1, now
        return wait

    def release(self, whose: str, per_minute: int, now: float) -> None:
        """Frees a place that is not used after all."""
        self._levels[whose, per_minute] = max(0.0, self._level(whose, per_minute, now) - 1), now

    def _level(self, whose: str, per_minute: int, now: float) -> float:
        level, then = self._levels.get((whose, per_minute), (0.0, now))
        return max(0.0, level - (now - then) * per_minute / MINUTE_S)


# Long enough to even out a burst, short enough for a client that waits for the answer.
PATIENCE_S = 10.0


class RateLimiter(Protocol):
    """A way to wait for one's place."""

    async def wait(self, whose: str, per_minute: int | None) -> None:
        """Waits for the next place in the minute.

        Raises:
            Overloaded: there was none within the bound.
        """

    def retain(self, rates: Collection[tuple[str, int | None]]) -> None:
        """Forgets all others."""


def too_fast(whose: str, per_minute: int) -> Overloaded:
    """The answer to a call for which there is no place within the bound."""
    return Overloaded(
        f"{whose} makes more than {per_minute} requests per minute",
        retry_after=math.ceil(MINUTE_S / per_minute),
    )


class LocalRateLimiter:
    """One leaky bucket for each profile and each client that has a rate."""

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._buckets: dict[tuple[str, int], tuple[asyncio.Lock, AsyncLimiter]] = {}

    async def wait(self, whose: str, per_minute: int | None) -> None:
        """Waits for the next place in the minute.

        Args:
            whose: `profile NAME` or `client NAME`; each has a bucket of its own, and a reload that
                leaves the rate alone keeps it.

        Raises:
            Overloaded: there was none within the bound.
        """
        if per_minute is None:
            return
        turn, bucket = self._bucket(whose, per_minute)
        try:
            # The bucket alone would let a newcomer have the place that somebody waits for.
            async with asyncio.timeout(self._patience_s), turn:
                await bucket.acquire()
        except TimeoutError:
            raise too_fast(whose, per_minute) from None

    def retain(self, rates: Collection[tuple[str, int | None]]) -> None:
        """Drops the buckets of all others."""
        for key in [*self._buckets]:
            if key not in rates:
                del self._buckets[key]

    def _bucket(self, whose: str, per_minute: int) -> tuple[asyncio.Lock, "AsyncLimiter"]:
        key = (whose, per_minute)
        if key not in self._buckets:
            # Imported here: it takes a while, and few settings ask for a rate.
            from aiolimiter import AsyncLimiter

            self._buckets[key] = asyncio.Lock(), AsyncLimiter(per_minute, MINUTE_S)
        return self._buckets[key]
