"""Requests per minute of all workers together: the supervisor gives out the places."""

import asyncio
from collections.abc import Collection

from ovh_proxy.limits.rate import PATIENCE_S, too_fast
from ovh_proxy.workers.channel import SupervisorChannel


class SharedRateLimiter:
    """Waits as long as the supervisor says."""

    def __init__(self, link: SupervisorChannel, patience_s: float = PATIENCE_S) -> None:
        self._link = link
        self._patience_s = patience_s

    async def wait(self, whose: str, per_minute: int | None) -> None:
        """Waits for the next place in the minute, whichever worker had the one before.

        Raises:
            Overloaded: there is none within the bound.
        """
        if per_minute is None:
            return
        rate = {"whose": whose, "per_minute": per_minute}
        told = await self._link.ask("place", **rate, patience_s=self._patience_s)
        if told["wait"] is None:
            raise too_fast(whose, per_minute)
        try:
            await asyncio.sleep(told["wait"])
        except asyncio.CancelledError:
            self._link.send("give_back", **rate)
            raise

    def retain(self, rates: Collection[tuple[str, int | None]]) -> None:
        """Nothing: the supervisor's buckets are few, and empty by themselves."""
