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
    """Takes the signals that a supervisor goes by."""

    def __init__(self) -> None:
        self._numbers = (*STOPS, signal.SIGHUP, signal.SIGCHLD)
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in self._numbers:
            signal.signal(number, _leave_to_pipe)

    def fileno(self) -> int:
        return self._reader.fileno()

    def received(self) -> list[int]:
        """Those that came since the last time; ends of children after all others.

        A stop that is for all processes of a group may have ended a child as well.
        """
        try:
            numbers = list(self._reader.recv(4096))
        except BlockingIOError:
            return []
        return sorted(numbers, key=lambda number: number == signal.SIGCHLD)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Holds signals back: one between `fork` and `leave` would be told in the wrong process."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, self._numbers)
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def leave(self) -> None:
        """In a child: takes none any more; what is for the supervisor does nothing here."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._reader.close()
        self._writer.close()


def _leave_to_pipe(*_: object) -> None:
    # A handler has to be there, or Python would not write the number to the pipe. Unlike SIG_IGN
    # it is not handed on to programs that are executed.
    return


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


@dataclass(frozen=True, slots=True)
class WorkerExit:
    """A worker that has ended.

    Attributes:
        code: its exit code; negative for the number of the signal that ended it.
        again_s: when another takes its place.
    """

    number: int
    worker: Worker
    code: int
    again_s: float

    def __str__(self) -> str:
        return f"by signal {-self.code}" if self.code < 0 else f"with {self.code}"


class WorkerPool:
    """The workers and their places.

    Attributes:
        is_behind: other settings serve by now than those that the supervisor was started with.
    """

    def __init__(
        self,
        wanted: int,
        signals: SignalPipe,
        selector: selectors.BaseSelector,
        log: Log,
        hear: Callable[[Worker, Message, float], None],
    ) -> None:
        """
        Args:
            hear: takes what is for the supervisor itself.
        """
        self._log = log
        self.worker_table = WorkerTable(wanted)
        self.coordinator = Coordinator(self.worker_table)
        self._hear = hear
        self._workers = WorkerProcesses(self.worker_table, signals, selector, self._take)
        self.is_behind = False

    def fill(self, now: float, *, is_restart: bool) -> WorkerStart | None:
        """Starts the workers that are due; returns in each of them with its post."""
        for slot in self.worker_table.due(now):
            try:
                known = self.coordinator.shared_cache.known
                post = self._workers.start(slot, now, known, is_behind=self.is_behind)
            except OSError as failure:
                slot.deaths += 1
                again_s, defect = slot.wait(now), type(failure).__name__
                self._log.write("error", "no worker can begin", defect=defect, again_s=again_s)
                continue
            if post is not None:
                return post
            self.coordinator.aggregator.restarts += is_restart
        return None

    def tell_all(self, message: Message) -> None:
        for worker in self.worker_table.workers:
            self._workers.send(worker, message)

    def answer_late(self, now: float) -> None:
        """Answers for those that did not answer in time."""
        self._send(self.coordinator.aggregator.answers(now))

    def kill_all(self) -> None:
        for worker in self.worker_table.workers:
            self._workers.kill(worker)

    def gone(self, now: float) -> list[WorkerExit]:
        """The workers that have ended since the last time."""
        found = []
        for slot, worker, code in list(self._workers.ended()):
            found.append(WorkerExit(slot.number, worker, code, slot.vacate(now)))
            self._send(self.coordinator.leave(worker, now))
        return found

    def _take(self, worker: Worker, message: Message, now: float) -> None:
        self._hear(worker, message, now)
        self._send(self.coordinator.take(worker, message, now))

    def _send(self, sends: Sends) -> None:
        for pid, message in sends:
            worker = self.worker_table.find(pid)
            if worker is not None:
                self._workers.send(worker, message)
