"""How many connections each worker holds, in memory that all of them share."""

import mmap

from ovh_proxy.limits.concurrency import ConnectionLimit

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
