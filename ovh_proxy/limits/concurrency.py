"""How much is served at once: connections, requests in flight, body bytes in memory; shared fairly."""  # noqa: E501 - the caption in one line

import mmap
import sys
from dataclasses import dataclass

from ovh_proxy.core.errors import Overloaded
from ovh_proxy.core.settings import Client, Limits, Profile, Settings
from ovh_proxy.limits.rate import LocalRateLimiter, RateLimiter

# Precedent: dynamic thresholds of switches that share memory (Choudhury and Hahne, 1998).
_TIMES = 3


def is_fair_share(held: int, wanted: int, free: int) -> bool:
    """Whether one that holds something already may take some more.

    Whoever holds nothing takes what is free; after that, no more than leaves a third of what it
    then holds. So one alone comes to three quarters of all, two to three sevenths each, and
    whoever comes with a first request finds room.
    """
    if wanted > free:
        return False
    return held == 0 or held + wanted <= _TIMES * (free - wanted)


def is_rate_limited(client: Client | None, limits: Limits) -> bool:
    """Whether anybody has to wait for a place in a minute."""
    return limits.requests_per_minute is not None or (
        client is not None and client.requests_per_minute is not None
    )


class ConcurrencyLimiter:
    """Counts what is inside; whoever would be too much is told at once.

    Attributes:
        in_flight: requests that are being forwarded.
        body_bytes: of their bodies, in memory.
        most_body_bytes: that there is memory for, whatever the limits say.
    """

    def __init__(
        self, rate_limiter: RateLimiter | None = None, most_body_bytes: int = sys.maxsize
    ) -> None:
        self.in_flight = 0
        self.body_bytes = 0
        self.most_body_bytes = most_body_bytes
        self._rate_limiter = rate_limiter or LocalRateLimiter()
        self._holders: dict[str, _Holder] = {}

    async def wait_in_turn(self, profile: Profile, client: Client | None, limits: Limits) -> None:
        """Waits for a place in the minute of the profile, and in that of the client.

        Raises:
            Overloaded: there was none within the bound.
        """
        if limits.requests_per_minute is not None:
            await self._rate_limiter.wait(f"profile {profile.name}", limits.requests_per_minute)
        if client is not None and client.requests_per_minute is not None:
            await self._rate_limiter.wait(f"client {client.name}", client.requests_per_minute)

    def retain(self, settings: Settings) -> None:
        """Forgets the pace of whoever is not in the settings any more."""
        limit = settings.limits.requests_per_minute
        profiles = {(f"profile {name}", limit) for name in settings.store.profiles}
        clients = {(f"client {one.name}", one.requests_per_minute) for one in settings.clients}
        self._rate_limiter.retain(profiles | clients)
        names = {one.name for one in settings.clients}
        gone = [name for name, one in self._holders.items() if name not in names and not one.calls]
        for name in gone:
            del self._holders[name]

    def enter(self, limits: Limits, whose: str | None = None) -> "Permit":
        """Lets one request in, until the end of the `with` block.

        Args:
            whose: the client's name, where it shares the place with other clients.

        Raises:
            Overloaded: `limits.in_flight` are inside, or too many of this client.
        """
        free = limits.in_flight - self.in_flight
        if free <= 0:
            raise Overloaded(f"{limits.in_flight} requests are in flight (limits.in_flight)")
        holder = None
        if whose is not None:
            holder = self._holders.setdefault(whose, _Holder(whose))
            if not is_fair_share(holder.calls, 1, free):
                raise Overloaded(
                    f"client {whose} has {holder.calls} requests in flight, and the rest is for "
                    "other clients (limits.in_flight)"
                )
            holder.calls += 1
        self.in_flight += 1
        return Permit(self, holder)


@dataclass(slots=True)
class _Holder:
    """What the requests of one client hold together."""

    name: str
    calls: int = 0
    body_bytes: int = 0


class Permit:
    """What one request holds: its place inside, and its part of the memory for bodies."""

    __slots__ = ("_held", "_holder", "_limiter")

    def __init__(self, limiter: ConcurrencyLimiter, holder: _Holder | None = None) -> None:
        self._limiter = limiter
        self._holder = holder
        self._held = 0

    def take(self, size: int, limits: Limits) -> None:
        """Holds some bytes more.

        Raises:
            Overloaded: the bodies of all requests together would be too much, or this client's.
        """
        most = min(limits.memory_bodies_bytes, self._limiter.most_body_bytes)
        free = most - self._limiter.body_bytes
        if size > free:
            raise Overloaded(
                f"the bodies in flight hold {most} bytes of memory (limits.memory_bodies_bytes)"
            )
        holder = self._holder
        if holder is not None:
            if not is_fair_share(holder.body_bytes, size, free):
                raise Overloaded(
                    f"the bodies of client {holder.name} hold {holder.body_bytes} bytes of memory, "
                    "and the rest is for other clients (limits.memory_bodies_bytes)"
                )
            holder.body_bytes += size
        self._limiter.body_bytes += size
        self._held += size

    def release(self) -> None:
        """Holds nothing any more: the body is on disk, or done with."""
        self._limiter.body_bytes -= self._held
        if self._holder is not None:
            self._holder.body_bytes -= self._held
        self._held = 0

    def __enter__(self) -> "Permit":
        return self

    def __exit__(self, *_: object) -> None:
        self._limiter.in_flight -= 1
        if self._held:
            self.release()
        if self._holder is not None:
            self._holder.calls -= 1


class ConnectionLimit:
    """Counts clients' connections over all listeners.

    Attributes:
        taken: connections that stand.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.taken = 0

    @property
    def is_overfull(self) -> bool:
        """Whether the one that came last is one too many."""
        return self.taken > self._limit


# Nobody is there who could hold any.
_VACANT = 2**32 - 1


class ConnectionCounts:
    """One number a worker; made before the first of them begins."""

    def __init__(self, workers: int) -> None:
        self._held = memoryview(mmap.mmap(-1, 4 * workers)).cast("I")
        for number in range(1, workers + 1):
            self.vacate(number)

    def vacate(self, number: int) -> None:
        """A worker has ended, and its connections with it."""
        self._held[number - 1] = _VACANT

    def share(self, number: int) -> "ConnectionCount":
        """That of the worker that begins in a place, counted from 1."""
        self._held[number - 1] = 0
        return ConnectionCount(self._held, number - 1)


class ConnectionCount:
    """One worker's number, and how it compares."""

    def __init__(self, held: memoryview, index: int) -> None:
        self._held = held
        self._index = index

    @property
    def count(self) -> int:
        return int(self._held[self._index])

    @count.setter
    def count(self, count: int) -> None:
        self._held[self._index] = count

    def is_ahead(self, coming: int) -> bool:
        """Whether another worker holds fewer.

        Args:
            coming: connections of this worker that are not in its number yet.
        """
        others = (held for index, held in enumerate(self._held) if index != self._index)
        return self.count + coming > min(others, default=_VACANT)


class SharedConnectionLimit(ConnectionLimit):
    """The seats of one worker, in sight of the others."""

    def __init__(self, limit: int, share: ConnectionCount) -> None:
        self._share = share
        super().__init__(limit)

    @property
    def taken(self) -> int:
        """Connections that stand."""
        return self._share.count

    @taken.setter
    def taken(self, count: int) -> None:
        self._share.count = count
