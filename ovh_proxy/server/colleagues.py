"""What all workers have counted, asked of their supervisor."""

import asyncio
from collections.abc import Callable

from ovh_proxy.observability.counters import Snapshot, process_levels, sum_processes
from ovh_proxy.workers.channel import SupervisorChannel

# What a worker that is killed has counted since it last told is lost.
_TELL_S = 1.0


class PeerMetricsClient:
    """The other workers, as far as their counts go."""

    def __init__(self, link: SupervisorChannel, tell_s: float = _TELL_S) -> None:
        """
        Args:
            tell_s: between two times that the supervisor is told without being asked.
        """
        self._link = link
        self._tell_s = tell_s

    async def snapshots(self, own: Callable[[], Snapshot]) -> list[Snapshot]:
        """The counts of all others in one.

        Raises:
            Overloaded: the supervisor does not answer.
        """
        told = await self._link.ask("ask", snapshot=own())
        others: Snapshot = told["snapshot"]
        process = process_levels()
        # The page is made in this same turn of the loop, so that no count on it can be lost with
        # this process, and go back.
        self._link.send("counted", snapshot={**own(), "process": process})
        return [{**others, "process": sum_processes([others["process"], process])}]

    def tell(self, own: Callable[[], Snapshot]) -> None:
        """Tells the supervisor all that another worker's page shows of this one."""
        self._link.send("counted", snapshot={**own(), "process": process_levels()})

    async def keep_told(self, own: Callable[[], Snapshot]) -> None:
        """Tells the supervisor again and again what this worker has counted."""
        last: Snapshot = {}
        while True:
            await asyncio.sleep(self._tell_s)
            snapshot = own()
            if snapshot != last:
                self._link.send("counted", snapshot=snapshot)
                last = snapshot
