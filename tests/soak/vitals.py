"""What a process holds: memory, files, threads, and what it says of itself."""

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

from support.command import Running
from support.workers import children

_SETTLE_S = 30.0
# Below this, more memory is the allocator's affair: arenas fill in their own time.
MEMORY_BYTES = 24 << 20


@dataclass(frozen=True, slots=True)
class Vitals:
    """Of all processes of a command together.

    Attributes:
        in_flight, connections: as the metrics have them, without the question for them.
    """

    processes: int
    memory_bytes: int
    files: int
    threads: int
    in_flight: float
    connections: float

    def growth_since(self, began: "Vitals") -> list[str]:
        """What has not come back to where it began."""
        grown = {
            "processes": (self.processes, began.processes),
            "memory": (self.memory_bytes, began.memory_bytes + MEMORY_BYTES * self.processes),
            # Each process keeps one connection ready, or is about to open it.
            "files": (self.files, began.files + self.processes),
            "threads": (self.threads, began.threads + self.processes),
            "requests in flight": (self.in_flight, 0),
            "connections": (self.connections, 0),
        }
        return [f"{name}: {now}, bound {most}" for name, (now, most) in grown.items() if now > most]


async def settled(command: Running, keep_s: float) -> Vitals:
    """The vitals once nothing is under way and the number of files stands still.

    Args:
        keep_s: how long idle connections are kept.
    """
    last = await _vitals(command)
    try:
        async with asyncio.timeout(_SETTLE_S):
            while True:
                await asyncio.sleep(keep_s + 0.2)
                vitals, last = last, await _vitals(command)
                is_still = (last.files, last.threads) == (vitals.files, vitals.threads)
                if is_still and not last.in_flight and not last.connections:
                    return last
    except TimeoutError:
        return last  # and the comparison tells what stays


async def _vitals(command: Running) -> Vitals:
    page = await _metrics(command)
    pids = [command.pid, *children(command.pid)]
    return Vitals(
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
