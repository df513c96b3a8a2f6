"""How much is served at once: requests in flight, bytes of bodies in memory, calls a minute."""

from collections.abc import Iterator
from contextlib import contextmanager

from ovh_proxy.core.errors import Overloaded
from ovh_proxy.core.profile import Profile
from ovh_proxy.core.settings import Client, Limits, Settings
from ovh_proxy.server.pace import Pace


class Gate:
    """Counts what is inside; whoever would be too much is told at once.

    Attributes:
        in_flight: requests that are being forwarded.
        body_bytes: of their bodies, in memory.
    """

    def __init__(self, pace: Pace | None = None) -> None:
        self.in_flight = 0
        self.body_bytes = 0
        self._pace = pace or Pace()

    async def wait_in_turn(self, profile: Profile, client: Client | None, limits: Limits) -> None:
        """Waits for a place in the minute of the profile, and in that of the client.

        Raises:
            Overloaded: there was none within the bound.
        """
        await self._pace.wait(f"profile {profile.name}", limits.requests_per_minute)
        if client is not None:
            await self._pace.wait(f"client {client.name}", client.requests_per_minute)

    def keep(self, settings: Settings) -> None:
        """Forgets the pace of whoever is not in the settings any more."""
        limit = settings.limits.requests_per_minute
        profiles = {(f"profile {name}", limit) for name in settings.store.profiles}
        clients = {(f"client {one.name}", one.requests_per_minute) for one in settings.clients}
        self._pace.keep(profiles | clients)

    @contextmanager
    def enter(self, limits: Limits) -> Iterator["Share"]:
        """Lets one request in until the end of the block.

        Raises:
            Overloaded: `limits.in_flight` are inside.
        """
        if self.in_flight >= limits.in_flight:
            raise Overloaded(f"{limits.in_flight} requests are in flight (limits.in_flight)")
        self.in_flight += 1
        share = Share(self)
        try:
            yield share
        finally:
            self.in_flight -= 1
            share.give_back()


class Share:
    """What one request holds of the memory for bodies."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._held = 0

    def take(self, size: int, limits: Limits) -> None:
        """Holds some bytes more.

        Raises:
            Overloaded: the bodies of all requests together would be too much.
        """
        if self._gate.body_bytes + size > limits.memory_bodies_bytes:
            raise Overloaded(
                f"the bodies in flight hold {limits.memory_bodies_bytes} bytes of memory "
                "(limits.memory_bodies_bytes)"
            )
        self._gate.body_bytes += size
        self._held += size

    def give_back(self) -> None:
        """Holds nothing any more: the body is on disk, or done with."""
        self._gate.body_bytes -= self._held
        self._held = 0


class Seats:
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
