"""The resources of a process: memory, files, threads, and its metrics."""

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

from support.command import Running
from support.workers import children

_SETTLE_S = 30.0
# Smaller growth is caused by the memory allocator, whose arenas fill over time.
MEMORY_BYTES = 24 << 20


@dataclass(frozen=True, slots=True)
class ProcessStats:
    """The sum over all processes of a command.

    Attributes:
        in_flight, connections: from the metrics, without the request for the metrics.
    """

    processes: int
    memory_bytes: int
    files: int
    threads: int
    in_flight: float
    connections: float

    def growth_since(self, began: "ProcessStats") -> list[str]:
        """The values that are above their bound since the start."""
        values = {
            "processes": (self.processes, began.processes),
            "memory": (self.memory_bytes, began.memory_bytes + MEMORY_BYTES * self.processes),
            # Each process keeps one connection ready, or is about to open it.
            "files": (self.files, began.files + self.processes),
            "threads": (self.threads, began.threads + self.processes),
            "requests in flight": (self.in_flight, 0),
            "connections": (self.connections, 0),
        }
        return [
            f"{name}: {now}, bound {most}" for name, (now, most) in values.items() if now > most
        ]


async def settled(command: Running, keep_s: float) -> ProcessStats:
    """The stats when nothing is in progress and the number of files is stable.

    Args:
        keep_s: how long idle connections are kept.
    """
    last = await _process_stats(command)
    try:
        async with asyncio.timeout(_SETTLE_S):
            while True:
                await asyncio.sleep(keep_s + 0.2)
                stats, last = last, await _process_stats(command)
                is_still = (last.files, last.threads) == (stats.files, stats.threads)
                if is_still and not last.in_flight and not last.connections:
                    return last
    except TimeoutError:
        return last  # the comparison reports what did not return


async def _process_stats(command: Running) -> ProcessStats:
    page = await _metrics(command)
    pids = [command.pid, *children(command.pid)]
    return ProcessStats(
        processes=len(pids),
        memory_bytes=sum(_status(pid, "VmRSS") for pid in pids) << 10,
        files=sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids),
        threads=sum(_status(pid, "Threads") for pid in pids),
        in_flight=page["ovh_proxy_requests_in_flight"] - 1,
        connections=page["ovh_proxy_connections"] - 1,
    )


def _status(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


async def _metrics(command: Running) -> dict[str, float]:
    host, _, port = command.url.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /-/metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    async with asyncio.timeout(_SETTLE_S):
        page = (await reader.read()).decode()
    writer.close()
    lines = (line.rpartition(" ") for line in page.splitlines() if line.startswith("ovh_proxy"))
    return {name: float(value) for name, _, value in lines}
