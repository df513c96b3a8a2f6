"""One fetch at a time: callers share its result, within a process and between workers."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Generic, Protocol, TypeVar

Value = dict[str, Any]
"""Plain JSON."""


Fetch = Callable[[], Awaitable[Value]]
Take = Callable[[Value], object]


class SharedCache(Protocol):
    """A cache shared with the other processes that serve the same listeners.

    They are forks of one process, so equal values have the same hash in all of them.
    """

    async def fetch(self, key: str, fetch: Fetch) -> Value:
        """A value newer than the last one; fetched here unless another process has it.

        Raises:
            OvhProxyError: the process that fetched it failed.
        """

    def publish(self, key: str, value: Value) -> None:
        """Sends a value to the other processes."""

    def subscribe(self, key: str, take: Take) -> None:
        """Calls `take` with each value that other processes have published or will publish."""


class UnsharedCache:
    """The cache of a single process: fetches every value itself."""

    async def fetch(self, key: str, fetch: Fetch) -> Value:
        return await fetch()

    def publish(self, key: str, value: Value) -> None:
        return

    def subscribe(self, key: str, take: Take) -> None:
        return


UNSHARED = UnsharedCache()
T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Runs `fetch` once for all concurrent callers; a cancelled caller does not stop it."""

    def __init__(self, fetch: Callable[[], Awaitable[T]]) -> None:
        self._fetch = fetch
        self._task: asyncio.Task[T] | None = None

    async def __call__(self) -> T:
        """The result, or the exception, of the running fetch or of a new one."""
        task = self.start()
        # Unlike `await task`, this leaves the task running when the caller is cancelled.
        await asyncio.wait([task])
        return task.result()

    def start(self) -> asyncio.Task[T]:
        """The task of the running fetch, or of a new one."""
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._run())
            self._task.add_done_callback(_retrieve)
        return self._task

    @property
    def is_running(self) -> bool:
        return self._task is not None and not self._task.done()

    async def stop(self) -> None:
        """Cancels the running fetch."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> T:
        return await self._fetch()


def _retrieve(task: asyncio.Task[T]) -> None:
    # If every caller was cancelled, asyncio would warn that the exception was never retrieved.
    if not task.cancelled():
        task.exception()
