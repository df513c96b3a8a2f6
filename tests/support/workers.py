"""A proxy with several workers, and access to each of them."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.caller import BOUND_S, Answered, Caller
from support.command import Running, running

FREE = ("--listen", "127.0.0.1:0")


async def until(is_so: Callable[[], bool | Awaitable[bool]]) -> None:
    """Waits until a condition is true, up to a limit."""
    async with asyncio.timeout(BOUND_S):
        while True:
            so = is_so()
            if so if isinstance(so, bool) else await so:
                return
            await asyncio.sleep(0.02)


@dataclass(slots=True)
class WorkerProxy:
    """A running proxy with several workers.

    Attributes:
        home: the directory of its log.
    """

    command: Running
    home: Path
    callers: list[Caller] = field(default_factory=list)

    @property
    def pids(self) -> list[int]:
        """Process IDs of the running workers."""
        return children(self.command.pid)

    @property
    def records(self) -> list[dict[str, Any]]:
        """All complete log records."""
        lines = (self.home / "log").read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def logged(self, message: str) -> list[dict[str, Any]]:
        return [record for record in self.records if record["message"].startswith(message)]

    async def call(self) -> Caller:
        """Opens a connection to any worker."""
        url = self.command.url
        if url.startswith("unix:"):
            path = url.removeprefix("unix:")
            path = "\0" + path[1:] if path.startswith("@") else path
            ends = await asyncio.open_unix_connection(path)
        else:
            host, _, port = url.removeprefix("http://").rpartition(":")
            ends = await asyncio.open_connection(host, int(port))
        self.callers.append(Caller(*ends))
        return self.callers[-1]

    async def call_to(self, pid: int) -> Caller:
        """Opens a connection to the worker with this process ID."""
        async with self._alone(pid):
            caller = await self.call()
            await caller.ask("/-/healthz")
        return caller

    async def ask_at(self, pid: int, target: str) -> Answered:
        """Returns the response of one worker to a request on a new connection."""
        async with self._alone(pid):
            return await (await self.call()).ask(target)

    @asynccontextmanager
    async def _alone(self, pid: int) -> AsyncIterator[None]:
        """Suspends all other workers."""
        others = [other for other in self.pids if other != pid]
        for other in others:
            os.kill(other, signal.SIGSTOP)
        try:
            yield
        finally:
            for other in others:
                os.kill(other, signal.SIGCONT)

    async def call_each(self) -> list[Caller]:
        """Opens a connection to each worker."""
        return [await self.call_to(pid) for pid in self.pids]

    async def kill(self, pid: int) -> int:
        """Kills a worker, and returns the process ID of its replacement."""
        before = set(self.pids)
        os.kill(pid, signal.SIGKILL)
        await until(lambda: bool(set(self.pids) - before))
        (successor,) = set(self.pids) - before
        await until(lambda: self._is_serving(successor))
        return successor

    async def _is_serving(self, pid: int) -> bool:
        return await self.metric("ovh_proxy_workers") == len(self.pids) and pid in self.pids

    async def metric(self, name: str) -> float:
        """Returns a metric, or the sum of all series of that name."""
        caller = await self.call()
        page = (await caller.ask("/-/metrics")).body.decode()
        caller.writer.close()
        values = [line.rpartition(" ")[2] for line in page.splitlines() if line.startswith(name)]
        return sum(map(float, values))


def children(pid: int) -> list[int]:
    """Returns the child processes that have not been reaped."""
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):  # it has exited
        return []


def is_alive(pid: int) -> bool:
    """Whether a process is running; a zombie is not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


@asynccontextmanager
async def proxy_with_workers(
    home: Path, store: Path, *flags: str | Path, workers: int = 2, listen: tuple[str, ...] = FREE
) -> AsyncIterator[WorkerProxy]:
    """Runs the proxy until the end of the block."""
    every = ("run", *listen, "--credentials", store, "--workers", str(workers), *flags)
    async with running(home, *every) as command:
        made = WorkerProxy(command, home)
        try:
            yield made
        finally:
            for pid in made.pids:  # a suspended process could not be stopped
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
            for caller in made.callers:
                caller.writer.close()
