"""Requests per minute: callers wait in turn, up to a bound."""

import asyncio
import math

from aiolimiter import AsyncLimiter

from ovh_proxy.core.errors import Overloaded

# Long enough to even out a burst, short enough for a client that waits for the answer.
PATIENCE_S = 10.0
_MINUTE_S = 60.0


class Pace:
    """One leaky bucket for each profile and each client that has a rate."""

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._buckets: dict[tuple[str, int], AsyncLimiter] = {}

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
        bucket = self._bucket(whose, per_minute)
        if bucket.has_capacity():
            await bucket.acquire()
            return
        try:
            async with asyncio.timeout(self._patience_s):
                await bucket.acquire()
        except TimeoutError:
            raise Overloaded(
                f"{whose} makes more than {per_minute} requests per minute",
                retry_after=math.ceil(_MINUTE_S / per_minute),
            ) from None

    def _bucket(self, whose: str, per_minute: int) -> AsyncLimiter:
        key = (whose, per_minute)
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = AsyncLimiter(per_minute, _MINUTE_S)
        return bucket
