"""Workers of one process, and the desk of a supervisor, in one loop."""

import asyncio
import socket
import time
from typing import cast

from ovh_proxy.workers.channel import Message, SupervisorChannel, encode_message
from ovh_proxy.workers.coordinator import Coordinator, Sends
from ovh_proxy.workers.worker_table import Worker, WorkerTable

BOUND_S = 5.0


class _End(asyncio.Protocol):
    """The supervisor's end of one channel."""

    def __init__(self, office: "Office", worker: Worker) -> None:
        self._office = office
        self.worker = worker
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        for message in self.worker.unpacker.feed(data):
            self._office.take(self.worker, message)


class Office:
    """Stands where the supervisor would, without processes.

    Attributes:
        heard: what kinds of messages have come.
        is_silent: it hears, and answers nothing.
    """

    def __init__(self, workers: int) -> None:
        self.worker_table = WorkerTable(workers)
        self.coordinator = Coordinator(self.worker_table)
        self.heard: list[str] = []
        self.is_silent = False
        self._ends: dict[int, _End] = {}
        self._changed = asyncio.Event()

    async def join(self, link: SupervisorChannel, number: int) -> None:
        """Connects a worker, which from now on has this number as its process id."""
        ours, theirs = socket.socketpair()
        worker = Worker(number, ours, 0.0, is_ready=True)
        self.worker_table.slots[number - 1].worker = worker
        end = self._ends[number] = _End(self, worker)
        loop = asyncio.get_running_loop()
        await loop.create_unix_connection(lambda: end, sock=ours)
        await link.connect(theirs)

    def take(self, worker: Worker, message: Message) -> None:
        """Hears a message, and answers."""
        self.heard.append(message["is"])
        self._changed.set()
        if not self.is_silent:
            self.send(self.coordinator.take(worker, message, time.monotonic()))

    async def until_heard(self, what: str, count: int = 1) -> None:
        """Waits for so many messages of a kind."""
        async with asyncio.timeout(BOUND_S):
            while self.heard.count(what) < count:
                self._changed.clear()
                await self._changed.wait()

    def send(self, sends: Sends) -> None:
        for number, message in sends:
            transport = self._ends[number].transport
            assert transport is not None
            transport.write(encode_message(message))

    def leave(self, number: int) -> None:
        """A worker ends."""
        place = self.worker_table.slots[number - 1]
        worker = place.worker
        assert worker is not None
        place.vacate(time.monotonic())
        transport = self._ends.pop(number).transport
        assert transport is not None
        transport.close()
        self.send(self.coordinator.leave(worker, time.monotonic()))

    def close(self) -> None:
        """The supervisor ends."""
        for end in self._ends.values():
            assert end.transport is not None
            end.transport.close()


class Source:
    """Something to be found out, once it is let."""

    def __init__(self, *, may_answer: bool = False) -> None:
        self.asked = 0
        self.is_asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        if may_answer:
            self.may_answer.set()
        self.error: Exception | None = None

    async def __call__(self) -> dict[str, int]:
        self.asked += 1
        asked = self.asked
        self.is_asked.set()
        await self.may_answer.wait()
        if self.error is not None:
            raise self.error
        return {"n": asked}
