"""Worker processes: started, spoken to, listened to, seen to end."""

import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from ovh_proxy.server.channel import Message, encode_message
from ovh_proxy.server.signal_pipe import SignalPipe
from ovh_proxy.upstream.single_flight import Value
from ovh_proxy.workers.worker_table import Worker, WorkerSlot, WorkerTable

_PIECE = 65_536
# A worker that leaves this much unread hangs.
_MAX_UNSENT = 4_194_304

Hear = Callable[[Worker, Message, float], None]


@dataclass(frozen=True, slots=True)
class WorkerStart:
    """What a process has that has just become a worker.

    Attributes:
        channel: to its supervisor.
        known: what the workers have found out so far, by key: version and value.
        is_behind: other settings serve by now than those that this process was started with.
    """

    number: int
    channel: socket.socket
    known: dict[str, tuple[int, Value]]
    is_behind: bool


class WorkerProcesses:
    """The processes of a crew.

    They are forks of a supervisor that has neither threads nor an event loop: they share its
    memory and its sockets, and begin within milliseconds.
    """

    def __init__(
        self,
        worker_table: WorkerTable,
        signals: SignalPipe,
        selector: selectors.BaseSelector,
        hear: Hear,
    ) -> None:
        self._worker_table = worker_table
        self._signals = signals
        self._selector = selector
        self._hear = hear

    def start(
        self, place: WorkerSlot, now: float, known: dict[str, tuple[int, Value]], *, is_behind: bool
    ) -> WorkerStart | None:
        """Fills a place; returns twice, with a post in the process that is the worker.

        Raises:
            OSError: the system has no room for another process.
        """
        ours, theirs = socket.socketpair()
        with self._signals.held():
            try:
                pid = os.fork()
            except OSError:
                ours.close()
                theirs.close()
                raise
            if pid == 0:
                self._leave(ours)
                return WorkerStart(place.number, theirs, known, is_behind)
        theirs.close()
        ours.setblocking(False)
        worker = place.worker = Worker(pid, ours, now)
        self._selector.register(ours, selectors.EVENT_READ, lambda: self._on_channel(worker))
        return None

    def send(self, worker: Worker, message: Message) -> None:
        """Sends a message as soon as the worker takes it."""
        worker.unsent += encode_message(message)
        if len(worker.unsent) > _MAX_UNSENT:
            self.kill(worker)
        self._flush(worker)

    def kill(self, worker: Worker) -> None:
        """Ends a worker at once."""
        with suppress(ProcessLookupError):
            os.kill(worker.pid, signal.SIGKILL)

    def ended(self) -> Iterator[tuple[WorkerSlot, Worker, int]]:
        """The workers that have ended, each with its exit code; negative for a signal's number."""
        for place in self._worker_table.slots:
            worker = place.worker
            if worker is None:
                continue
            pid, status = os.waitpid(worker.pid, os.WNOHANG)
            if pid == worker.pid:
                self._close(worker)
                yield place, worker, os.waitstatus_to_exitcode(status)

    def _leave(self, ours: socket.socket) -> None:
        # Nothing is unregistered: the child's selector is the parent's.
        self._signals.leave()
        self._selector.close()
        # A worker sees its supervisor's end only when no other process has that end too.
        for channel in (ours, *(worker.channel for worker in self._worker_table.workers)):
            channel.close()

    def _on_channel(self, worker: Worker) -> None:
        self._flush(worker)
        if worker.is_heard:
            self._read(worker)

    def _flush(self, worker: Worker) -> None:
        if not worker.is_heard:  # its end may have been seen since the selector told of it
            return
        with suppress(OSError):  # it takes no more for now, or has ended and is soon seen to
            del worker.unsent[: worker.channel.send(worker.unsent)]
        write = selectors.EVENT_WRITE if worker.unsent else 0
        key = self._selector.get_key(worker.channel)
        self._selector.modify(worker.channel, selectors.EVENT_READ | write, key.data)

    def _read(self, worker: Worker) -> bool:
        """Takes what has come; whether more may come at once."""
        try:
            piece = worker.channel.recv(_PIECE)
        except BlockingIOError:
            return False
        except OSError:
            piece = b""
        if not piece:
            self._hang_up(worker)
            return False
        for message in worker.unpacker.feed(piece):
            self._hear(worker, message, time.monotonic())
        return True

    def _close(self, worker: Worker) -> None:
        # What it said last is still there, with what it had counted.
        while worker.is_heard and self._read(worker):
            pass
        self._hang_up(worker)
        worker.channel.close()

    def _hang_up(self, worker: Worker) -> None:
        if worker.is_heard:
            worker.is_heard = False
            self._selector.unregister(worker.channel)
