"""How much is served at once: connections, requests in flight, body bytes in memory; shared fairly."""  # noqa: E501 - the caption in one line

import mmap
import sys
from dataclasses import dataclass

from ovh_proxy.core.errors import Overloaded
from ovh_proxy.core.settings import Client, Limits, Profile, Settings
from ovh_proxy.limits.rate import LocalRateLimiter, RateLimiter

# How many times the remaining capacity one client may hold. Precedent: dynamic thresholds of
# switches that share memory (Choudhury and Hahne, 1998).
_MAX_RATIO = 3


def is_fair_share(held: int, wanted: int, free: int) -> bool:
    """Whether a client that already holds `held` may take `wanted` more.

    A client that holds nothing may take everything that is free. Otherwise, at least a third of
    what it then holds must stay free. So a single client gets at most three quarters of the total,
    two clients get three sevenths each, and the first request of another client finds capacity.
    """
    if wanted > free:
        return False
    return held == 0 or held + wanted <= _MAX_RATIO * (free - wanted)


def is_rate_limited(client: Client | None, limits: Limits) -> bool:
    """Whether a rate applies to requests of this client."""
    return limits.requests_per_minute is not None or (
        client is not None and client.requests_per_minute is not None
    )


class ConcurrencyLimiter:
    """Counts requests in flight; rejects a request above the limit immediately.

    Attributes:
        in_flight: requests that are being forwarded.
        body_bytes: size of their bodies in memory.
        max_body_bytes: what the memory of the system allows, whatever the limits say.
    """

    def __init__(
        self, rate_limiter: RateLimiter | None = None, max_body_bytes: int = sys.maxsize
    ) -> None:
        self.in_flight = 0
        self.body_bytes = 0
        self.max_body_bytes = max_body_bytes
        self._rate_limiter = rate_limiter or LocalRateLimiter()
        self._usage: dict[str, _ClientUsage] = {}

    async def wait_for_rate(self, profile: Profile, client: Client | None, limits: Limits) -> None:
        """Waits until the rates of the profile and of the client allow another request.

        Raises:
            Overloaded: that would take too long.
        """
        if limits.requests_per_minute is not None:
            await self._rate_limiter.wait(f"profile {profile.name}", limits.requests_per_minute)
        if client is not None and client.requests_per_minute is not None:
            await self._rate_limiter.wait(f"client {client.name}", client.requests_per_minute)

    def retain(self, settings: Settings) -> None:
        """Drops the state of profiles and clients that are no longer in the settings."""
        limit = settings.limits.requests_per_minute
        profiles = {(f"profile {name}", limit) for name in settings.store.profiles}
        clients = {(f"client {one.name}", one.requests_per_minute) for one in settings.clients}
        self._rate_limiter.retain(profiles | clients)
        names = {one.name for one in settings.clients}
        stale = [name for name, one in self._usage.items() if name not in names and not one.calls]
        for name in stale:
            del self._usage[name]

    def enter(self, limits: Limits, client_name: str | None = None) -> "Permit":
        """Admits one request, until the end of the `with` block.

        Args:
            client_name: None where there are no other clients to be fair to.

        Raises:
            Overloaded: too many requests are in flight, in total or of this client.
        """
        free = limits.in_flight - self.in_flight
        if free <= 0:
            raise Overloaded(
                f"too many requests: {limits.in_flight} are in flight (limits.in_flight)"
            )
        usage = None
        if client_name is not None:
            usage = self._usage.setdefault(client_name, _ClientUsage(client_name))
            if not is_fair_share(usage.calls, 1, free):
                raise Overloaded(
                    f"too many requests of client {client_name}: {usage.calls} are in flight, and "
                    "the remaining capacity is reserved for other clients (limits.in_flight)"
                )
            usage.calls += 1
        self.in_flight += 1
        return Permit(self, usage)


@dataclass(slots=True)
class _ClientUsage:
    """What all requests of one client use together."""

    name: str
    calls: int = 0
    body_bytes: int = 0


class Permit:
    """One admitted request, with its part of the memory for bodies."""

    __slots__ = ("_limiter", "_size", "_usage")

    def __init__(self, limiter: ConcurrencyLimiter, usage: _ClientUsage | None = None) -> None:
        self._limiter = limiter
        self._usage = usage
        self._size = 0

    def take(self, size: int, limits: Limits) -> None:
        """Reserves `size` more bytes of memory.

        Raises:
            Overloaded: the bodies would need too much memory, in total or of this client.
        """
        limit = min(limits.memory_bodies_bytes, self._limiter.max_body_bytes)
        free = limit - self._limiter.body_bytes
        if size > free:
            raise Overloaded(
                f"request bodies already use the {limit} bytes of memory that they may use "
                "(limits.memory_bodies_bytes)"
            )
        usage = self._usage
        if usage is not None:
            if not is_fair_share(usage.body_bytes, size, free):
                raise Overloaded(
                    f"request bodies of client {usage.name} use {usage.body_bytes} bytes of "
                    "memory, and the remaining memory is reserved for other clients "
                    "(limits.memory_bodies_bytes)"
                )
            usage.body_bytes += size
        self._limiter.body_bytes += size
        self._size += size

    def release(self) -> None:
        """Releases the memory: the body is on disk, or no longer needed."""
        self._limiter.body_bytes -= self._size
        if self._usage is not None:
            self._usage.body_bytes -= self._size
        self._size = 0

    def __enter__(self) -> "Permit":
        return self

    def __exit__(self, *_: object) -> None:
        self._limiter.in_flight -= 1
        if self._size:
            self.release()
        if self._usage is not None:
            self._usage.calls -= 1


class ConnectionLimit:
    """Counts client connections over all listeners.

    Attributes:
        count: open connections.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.count = 0

    @property
    def is_exceeded(self) -> bool:
        """Whether the last connection is above the limit."""
        return self.count > self._limit


# In place of a count: no worker runs here.
_NO_WORKER = 2**32 - 1


class ConnectionCounts:
    """One count per worker, in shared memory; created before the workers start."""

    def __init__(self, workers: int) -> None:
        self._counts = memoryview(mmap.mmap(-1, 4 * workers)).cast("I")
        for number in range(1, workers + 1):
            self.vacate(number)

    def vacate(self, number: int) -> None:
        """Records that a worker has ended, and its connections with it."""
        self._counts[number - 1] = _NO_WORKER

    def share(self, number: int) -> "ConnectionCount":
        """Returns the count of a worker that starts; workers are numbered from 1."""
        self._counts[number - 1] = 0
        return ConnectionCount(self._counts, number - 1)


class ConnectionCount:
    """The connection count of one worker, with a view of the others' counts."""

    def __init__(self, counts: memoryview, index: int) -> None:
        self._counts = counts
        self._index = index

    @property
    def count(self) -> int:
        return int(self._counts[self._index])

    @count.setter
    def count(self, count: int) -> None:
        self._counts[self._index] = count

    def is_ahead(self, pending: int) -> bool:
        """Whether another worker has fewer connections.

        Args:
            pending: connections of this worker that its count does not include yet.
        """
        others = (count for index, count in enumerate(self._counts) if index != self._index)
        return self.count + pending > min(others, default=_NO_WORKER)


class SharedConnectionLimit(ConnectionLimit):
    """A connection limit whose count the other workers can read."""

    def __init__(self, limit: int, share: ConnectionCount) -> None:
        self._share = share
        super().__init__(limit)

    @property
    def count(self) -> int:
        return self._share.count

    @count.setter
    def count(self, count: int) -> None:
        self._share.count = count
