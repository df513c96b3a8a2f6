"""A supervisor's coordinator and its workers in one event loop, without processes."""

import asyncio
import socket
import time
from typing import cast

from ovh_proxy.workers.channel import Message, SupervisorChannel, encode_message
from ovh_proxy.workers.coordinator import Coordinator, Sends
from ovh_proxy.workers.worker_table import Worker, WorkerTable

BOUND_S = 5.0


class _ChannelEnd(asyncio.Protocol):
    """The supervisor's end of one channel."""

    def __init__(self, supervisor: "FakeSupervisor", worker: Worker) -> None:
        self._supervisor = supervisor
        self.worker = worker
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        for message in self.worker.decoder.feed(data):
            self._supervisor.handle(self.worker, message)


class FakeSupervisor:
    """Takes the place of the supervisor, without processes.

    Attributes:
        received: types of the messages received.
        ignores_messages: it replies to nothing.
    """

    def __init__(self, workers: int) -> None:
        self.worker_table = WorkerTable(workers)
        self.coordinator = Coordinator(self.worker_table)
        self.received: list[str] = []
        self.ignores_messages = False
        self._ends: dict[int, _ChannelEnd] = {}
        self._changed = asyncio.Event()

    async def join(self, channel: SupervisorChannel, number: int) -> None:
        """Connects a worker; its number is also its process ID."""
        ours, theirs = socket.socketpair()
        worker = Worker(number, ours, 0.0, is_ready=True)
        self.worker_table.slots[number - 1].worker = worker
        end = self._ends[number] = _ChannelEnd(self, worker)
        loop = asyncio.get_running_loop()
        await loop.create_unix_connection(lambda: end, sock=ours)
        await channel.connect(theirs)

    def handle(self, worker: Worker, message: Message) -> None:
        """Receives a message, and sends what it leads to."""
        self.received.append(message["type"])
        self._changed.set()
        if not self.ignores_messages:
            self.send(self.coordinator.handle(worker, message, time.monotonic()))

    async def until_received(self, kind: str, count: int = 1) -> None:
        """Waits for this many messages of a type."""
        async with asyncio.timeout(BOUND_S):
            while self.received.count(kind) < count:
                self._changed.clear()
                await self._changed.wait()

    def send(self, sends: Sends) -> None:
        for number, message in sends:
            transport = self._ends[number].transport
            assert transport is not None
            transport.write(encode_message(message))

    def remove_worker(self, number: int) -> None:
        """Ends a worker."""
        slot = self.worker_table.slots[number - 1]
        worker = slot.worker
        assert worker is not None
        slot.record_exit(time.monotonic())
        transport = self._ends.pop(number).transport
        assert transport is not None
        transport.close()
        self.send(self.coordinator.remove_worker(worker, time.monotonic()))

    def close(self) -> None:
        """Ends the supervisor."""
        for end in self._ends.values():
            assert end.transport is not None
            end.transport.close()


class Source:
    """A value to fetch, which blocks until `may_answer` is set.

    Attributes:
        calls: how often it was fetched.
    """

    def __init__(self, *, may_answer: bool = False) -> None:
        self.calls = 0
        self.is_called = asyncio.Event()
        self.may_answer = asyncio.Event()
        if may_answer:
            self.may_answer.set()
        self.error: Exception | None = None

    async def __call__(self) -> dict[str, int]:
        self.calls += 1
        number = self.calls
        self.is_called.set()
        await self.may_answer.wait()
        if self.error is not None:
            raise self.error
        return {"n": number}
