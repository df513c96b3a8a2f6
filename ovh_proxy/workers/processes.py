"""Worker processes: forked, messaged, restarted with back-off, reaped."""

import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from ovh_proxy.logs import Log
from ovh_proxy.upstream.single_flight import Value
from ovh_proxy.workers.channel import Message, encode_message
from ovh_proxy.workers.coordinator import Coordinator, Sends
from ovh_proxy.workers.worker_table import Worker, WorkerSlot, WorkerTable

STOPS = (signal.SIGTERM, signal.SIGINT)


class SignalPipe:
    """Receives signals through a pipe, as a process without an event loop must."""

    def __init__(self) -> None:
        self._numbers = (*STOPS, signal.SIGHUP, signal.SIGCHLD)
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in self._numbers:
            signal.signal(number, _ignore)

    def fileno(self) -> int:
        return self._reader.fileno()

    def received(self) -> list[int]:
        """Returns the signals since the last call, SIGCHLD last.

        A signal to the process group that requests a stop may have ended a child as well.
        """
        try:
            numbers = list(self._reader.recv(4096))
        except BlockingIOError:
            return []
        return sorted(numbers, key=lambda number: number == signal.SIGCHLD)

    @contextmanager
    def blocked(self) -> Iterator[None]:
        """Blocks signals: one between `fork` and `detach` would reach the wrong process."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, self._numbers)
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def detach(self) -> None:
        """Stops receiving, in a child process."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._reader.close()
        self._writer.close()


def _ignore(*_: object) -> None:
    # Python writes the number to the pipe only if there is a handler. Unlike SIG_IGN, a handler is
    # not inherited by executed programs.
    return


_CHUNK_BYTES = 65_536
# A worker that leaves this much unread hangs.
_MAX_UNSENT = 4_194_304
MessageHandler = Callable[[Worker, Message, float], None]


@dataclass(frozen=True, slots=True)
class WorkerStart:
    """What a process gets that has just become a worker.

    Attributes:
        channel: to its supervisor.
        cached: the shared cache: version and value by key.
        is_stale: the settings were reloaded since the supervisor started.
    """

    number: int
    channel: socket.socket
    cached: dict[str, tuple[int, Value]]
    is_stale: bool


class WorkerProcesses:
    """Forks workers and exchanges messages with them.

    The supervisor has neither threads nor an event loop, so it can fork: workers share its memory
    and its sockets, and start within milliseconds.
    """

    def __init__(
        self,
        worker_table: WorkerTable,
        signals: SignalPipe,
        selector: selectors.BaseSelector,
        on_message: MessageHandler,
    ) -> None:
        self._worker_table = worker_table
        self._signals = signals
        self._selector = selector
        self._on_message = on_message

    def start(
        self, slot: WorkerSlot, now: float, cached: dict[str, tuple[int, Value]], *, is_stale: bool
    ) -> WorkerStart | None:
        """Forks a worker; returns None in the supervisor, a `WorkerStart` in the worker.

        Raises:
            OSError: the system allows no further process.
        """
        ours, theirs = socket.socketpair()
        with self._signals.blocked():
            try:
                pid = os.fork()
            except OSError:
                ours.close()
                theirs.close()
                raise
            if pid == 0:
                self._detach(ours)
                return WorkerStart(slot.number, theirs, cached, is_stale)
        theirs.close()
        ours.setblocking(False)
        worker = slot.worker = Worker(pid, ours, now)
        self._selector.register(ours, selectors.EVENT_READ, lambda: self._on_channel(worker))
        return None

    def send(self, worker: Worker, message: Message) -> None:
        """Queues a message, and sends as much as the worker accepts now."""
        worker.unsent += encode_message(message)
        if len(worker.unsent) > _MAX_UNSENT:
            self.kill(worker)
        self._flush(worker)

    def kill(self, worker: Worker) -> None:
        """Kills a worker with SIGKILL."""
        with suppress(ProcessLookupError):
            os.kill(worker.pid, signal.SIGKILL)

    def reap(self) -> Iterator[tuple[WorkerSlot, Worker, int]]:
        """Yields the workers that have ended, with their exit code; negative for a signal."""
        for slot in self._worker_table.slots:
            worker = slot.worker
            if worker is None:
                continue
            pid, status = os.waitpid(worker.pid, os.WNOHANG)
            if pid == worker.pid:
                self._close(worker)
                yield slot, worker, os.waitstatus_to_exitcode(status)

    def _detach(self, ours: socket.socket) -> None:
        # Unregister nothing: the child's selector is shared with the parent.
        self._signals.detach()
        self._selector.close()
        # A worker notices the end of its supervisor only if no other process holds that socket.
        for channel in (ours, *(worker.channel for worker in self._worker_table.workers)):
            channel.close()

    def _on_channel(self, worker: Worker) -> None:
        self._flush(worker)
        if worker.is_connected:
            self._read(worker)

    def _flush(self, worker: Worker) -> None:
        if not worker.is_connected:  # it may have ended since the selector returned
            return
        with suppress(OSError):  # its buffer is full, or it has ended and is reaped soon
            del worker.unsent[: worker.channel.send(worker.unsent)]
        write = selectors.EVENT_WRITE if worker.unsent else 0
        key = self._selector.get_key(worker.channel)
        self._selector.modify(worker.channel, selectors.EVENT_READ | write, key.data)

    def _read(self, worker: Worker) -> bool:
        """Reads one chunk; returns whether there may be more."""
        try:
            chunk = worker.channel.recv(_CHUNK_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            chunk = b""
        if not chunk:
            self._unregister(worker)
            return False
        for message in worker.decoder.feed(chunk):
            self._on_message(worker, message, time.monotonic())
        return True

    def _close(self, worker: Worker) -> None:
        # Its last messages can still be read, with its final metrics.
        while worker.is_connected and self._read(worker):
            pass
        self._unregister(worker)
        worker.channel.close()

    def _unregister(self, worker: Worker) -> None:
        if worker.is_connected:
            worker.is_connected = False
            self._selector.unregister(worker.channel)


@dataclass(frozen=True, slots=True)
class WorkerExit:
    """A worker that has ended.

    Attributes:
        code: its exit code; negative for the number of the signal that ended it.
        restart_in_s: when its replacement starts.
    """

    number: int
    worker: Worker
    code: int
    restart_in_s: float

    def __str__(self) -> str:
        return f"by signal {-self.code}" if self.code < 0 else f"with {self.code}"


class WorkerPool:
    """Starts, replaces and messages the workers.

    Attributes:
        is_stale: the settings were reloaded since the supervisor started.
    """

    def __init__(
        self,
        workers: int,
        signals: SignalPipe,
        selector: selectors.BaseSelector,
        log: Log,
        on_message: MessageHandler,
    ) -> None:
        """
        Args:
            on_message: handles the messages to the supervisor itself.
        """
        self._log = log
        self.worker_table = WorkerTable(workers)
        self.coordinator = Coordinator(self.worker_table)
        self._on_message = on_message
        self._processes = WorkerProcesses(self.worker_table, signals, selector, self._dispatch)
        self.is_stale = False

    def fill(self, now: float, *, is_restart: bool) -> WorkerStart | None:
        """Starts the workers that are due; returns None in the supervisor."""
        for slot in self.worker_table.due(now):
            try:
                cached = self.coordinator.shared_cache.cached
                start = self._processes.start(slot, now, cached, is_stale=self.is_stale)
            except OSError as failure:
                slot.failures += 1
                again_s, defect = slot.delay_start(now), type(failure).__name__
                self._log.write("error", "cannot start a worker", defect=defect, again_s=again_s)
                continue
            if start is not None:
                return start
            self.coordinator.aggregator.restarts += is_restart
        return None

    def broadcast(self, message: Message) -> None:
        for worker in self.worker_table.workers:
            self._processes.send(worker, message)

    def reply_overdue(self, now: float) -> None:
        """Sends metrics without the workers that did not report in time."""
        self._send(self.coordinator.aggregator.replies(now))

    def kill_all(self) -> None:
        for worker in self.worker_table.workers:
            self._processes.kill(worker)

    def reap(self, now: float) -> list[WorkerExit]:
        """Returns the workers that have ended since the last call."""
        exits = []
        for slot, worker, code in list(self._processes.reap()):
            exits.append(WorkerExit(slot.number, worker, code, slot.record_exit(now)))
            self._send(self.coordinator.remove_worker(worker, now))
        return exits

    def _dispatch(self, worker: Worker, message: Message, now: float) -> None:
        self._on_message(worker, message, now)
        self._send(self.coordinator.handle(worker, message, now))

    def _send(self, sends: Sends) -> None:
        for pid, message in sends:
            worker = self.worker_table.find(pid)
            if worker is not None:
                self._processes.send(worker, message)
