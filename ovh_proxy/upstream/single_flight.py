"""One fetch at a time: callers share its result, within a process and between workers."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Generic, Protocol, TypeVar

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


T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Runs `ask` once however many wait for it; a waiter that leaves does not stop it."""

    def __init__(self, ask: Callable[[], Awaitable[T]]) -> None:
        self._ask = ask
        self._task: asyncio.Task[T] | None = None

    async def __call__(self) -> T:
        """The answer of the ask under way, or of a new one; its exception likewise."""
        task = self.start()
        # Unlike `await task`, this leaves the task alone when the waiter is cancelled.
        await asyncio.wait([task])
        return task.result()

    def start(self) -> asyncio.Task[T]:
        """The ask under way, or a new one, without waiting for it."""
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._run())
            self._task.add_done_callback(_retrieve)
        return self._task

    @property
    def is_under_way(self) -> bool:
        return self._task is not None and not self._task.done()

    async def stop(self) -> None:
        """Ends the ask under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> T:
        return await self._ask()


def _retrieve(task: asyncio.Task[T]) -> None:
    # Nobody may be left to see how it ended; asyncio would complain of an exception not retrieved.
    if not task.cancelled():
        task.exception()
