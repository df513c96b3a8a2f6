"""What one process finds out for all that serve: clocks, tokens, states of credentials."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

Value = dict[str, Any]
"""Plain JSON."""

Fetch = Callable[[], Awaitable[Value]]
Take = Callable[[Value], object]


class SharedCache(Protocol):
    """A way to other processes that serve the same listeners.

    They are forks of one process, so that what is equal has the same hash in all of them.
    """

    async def fetch(self, key: str, fetch: Fetch) -> Value:
        """A value newer than the last one; fetched here unless another process has it.

        Raises:
            OvhProxyError: whoever fetched it could not.
        """

    def publish(self, key: str, value: Value) -> None:
        """Hands a value to the others."""

    def subscribe(self, key: str, take: Take) -> None:
        """Has `take` called with what the others find out, from now on, and have found so far."""


class UnsharedCache:
    """One process, which finds out by itself."""

    async def fetch(self, key: str, fetch: Fetch) -> Value:
        return await fetch()

    def publish(self, key: str, value: Value) -> None:
        return

    def subscribe(self, key: str, take: Take) -> None:
        return


UNSHARED = UnsharedCache()
