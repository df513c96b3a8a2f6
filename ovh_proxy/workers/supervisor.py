"""The parent of all workers: signals, reload, shutdown; serves nothing itself."""

import gc
import math
import selectors
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from ovh_proxy.core.settings import Settings, Timeouts
from ovh_proxy.limits.concurrency import ConnectionCounts
from ovh_proxy.listeners.listener import BoundListener
from ovh_proxy.logs import Log
from ovh_proxy.server.systemd import ServiceManager
from ovh_proxy.workers.channel import Message
from ovh_proxy.workers.processes import STOPS, SignalPipe, WorkerExit, WorkerPool, WorkerStart
from ovh_proxy.workers.worker_table import Worker

# For workers to end beyond the time that they give themselves, or after they are told to at once.
_GRACE_S = 5.0


@dataclass(frozen=True, slots=True)
class ShutdownResult:
    """How it all ended.

    Attributes:
        is_clean: every worker let its requests in flight end.
        signal: that asked for the stop.
        failed: the exit code of a worker that could not begin, else 0.
    """

    is_clean: bool
    signal: int | None
    failed: int


class ShutdownSchedule:
    """The moments of a stop; all of them never, while nobody has asked.

    Attributes:
        names_go_at: when the files of unix sockets are removed.
        kill_at: when workers that still live are killed.
    """

    def __init__(self) -> None:
        self.is_asked = False
        self.names_go_at = math.inf
        self.kill_at = math.inf
        self._signal: int | None = None
        self._is_clean = True
        self._failed = 0

    def ask(self, number: int, now: float, timeouts: Timeouts) -> None:
        """A signal asks for a clean end."""
        self.is_asked, self._signal = True, number
        self.names_go_at = now + timeouts.drain_delay_s
        self.kill_at = self.names_go_at + timeouts.drain_s + _GRACE_S

    def fail(self, code: int) -> None:
        """A worker could not begin, and so no other can."""
        self.is_asked, self._failed = True, code

    def force(self, now: float) -> None:
        """The end is to come at once."""
        self.names_go_at = now
        self.kill_at = min(self.kill_at, now + _GRACE_S)

    def takes_to_kill(self, now: float) -> bool:
        """Whether it is time, once, to kill those that are left."""
        is_time = self.kill_at <= now
        if is_time:
            self.kill_at = math.inf
        return is_time

    @property
    def next_due_at(self) -> float:
        """The next of the two moments."""
        return min(self.names_go_at, self.kill_at)

    def record(self, code: int) -> None:
        """A worker has ended with an exit code."""
        self._is_clean = self._is_clean and code == 0

    @property
    def ending(self) -> ShutdownResult:
        return ShutdownResult(self._is_clean, self._signal, self._failed)


class ReloadBarrier:
    """One reload at a time; another one begins it anew."""

    def __init__(self, service_manager: ServiceManager) -> None:
        self._service_manager = service_manager
        self._missing: set[int] = set()

    def begin(self, pids: Iterable[int]) -> None:
        """These are to read the settings again."""
        self._service_manager.reloading()
        self._missing = set(pids)

    def record(self, pid: int) -> None:
        """A worker has read them, or has ended."""
        if pid in self._missing:
            self._missing.remove(pid)
            if not self._missing:
                self._service_manager.ready()


class Supervisor:
    """The parent of all workers.

    It has neither threads nor an event loop, so that it can fork at any time, and waits for its
    workers and for signals alone, so that it has little to fail at.
    """

    def __init__(
        self,
        settings: Settings,
        bound: Sequence[BoundListener],
        shares: ConnectionCounts,
        log: Log,
        service_manager: ServiceManager,
        announce: Callable[[], None],
    ) -> None:
        """
        Args:
            bound: the sockets that all workers accept from.
            announce: is called once, when every worker accepts.
        """
        self._bound = bound
        self._shares = shares
        self._log = log
        self._service_manager = service_manager
        self._announce = announce
        self._timeouts = settings.timeouts
        self._selector = selectors.DefaultSelector()
        self._signals = SignalPipe()
        self._worker_pool = WorkerPool(
            settings.workers, self._signals, self._selector, log, self._hear
        )
        self._stop = ShutdownSchedule()
        self._reload = ReloadBarrier(service_manager)
        self._is_started = False

    def run(self) -> WorkerStart | ShutdownResult:
        """Returns in each worker with its post, and in the supervisor at the end."""
        gc.collect()  # what is left then is never looked at again, and stays shared memory
        gc.freeze()
        self._selector.register(self._signals, selectors.EVENT_READ, self._take_signals)
        while self._worker_pool.worker_table.workers or not self._stop.is_asked:
            now = time.monotonic()
            if not self._stop.is_asked:
                post = self._worker_pool.fill(now, is_restart=self._is_started)
                if post is not None:
                    return post
            for key, _ in self._selector.select(self._patience(now)):
                key.data()
            self._keep_time(time.monotonic())
        self._remove_names()
        return self._stop.ending

    def _patience(self, now: float) -> float | None:
        """Seconds until something is due; None where nothing is."""
        starts_at = math.inf if self._stop.is_asked else self._worker_pool.worker_table.next_due_at
        first = min(
            starts_at, self._worker_pool.coordinator.aggregator.next_due_at, self._stop.next_due_at
        )
        return None if first == math.inf else max(0.0, first - now)

    def _keep_time(self, now: float) -> None:
        self._worker_pool.answer_late(now)
        if self._stop.names_go_at <= now:
            self._remove_names()
        if self._stop.takes_to_kill(now):
            self._worker_pool.kill_all()

    def _take_signals(self) -> None:
        for number in self._signals.received():
            if number in STOPS:
                self._take_stop(number, time.monotonic())
            elif number == signal.SIGHUP:
                self._take_reload()
            else:
                for gone in self._worker_pool.gone(time.monotonic()):
                    self._take_end(gone)

    def _take_stop(self, number: int, now: float) -> None:
        if self._stop.is_asked:
            self._stop.force(now)
            self._worker_pool.tell_all({"is": "force"})
            return
        self._service_manager.stopping()
        self._stop.ask(number, now, self._timeouts)
        # From now on the workers alone accept, each until it closes its own.
        for listener in self._bound:
            listener.close()
        self._worker_pool.tell_all({"is": "stop"})

    def _take_reload(self) -> None:
        if not self._stop.is_asked:
            self._reload.begin(self._worker_pool.worker_table.pids)
            self._worker_pool.tell_all({"is": "reload"})

    def _take_end(self, gone: WorkerExit) -> None:
        self._shares.vacate(gone.number)
        self._reload.record(gone.worker.pid)
        if self._stop.is_asked:
            self._stop.record(gone.code)
        elif not self._is_started and not gone.worker.is_ready and gone.code > 0:
            # It has said why; what keeps the first from beginning keeps all others, too.
            self._stop.fail(gone.code)
            self._take_stop(signal.SIGTERM, time.monotonic())
        else:
            told = {"worker": gone.number, "pid": gone.worker.pid, "again_s": gone.again_s}
            self._log.write("warning", "a worker ended and is replaced", ended=str(gone), **told)

    def _hear(self, worker: Worker, message: Message, _: float) -> None:
        if message["is"] == "ready":
            worker.is_ready = True
            self._note_started()
            self._reload.record(worker.pid)
        elif message["is"] == "accepted":
            self._worker_pool.is_behind = True
            self._timeouts = replace(self._timeouts, **message["timeouts"])
            self._log.set_level(message["log_level"])

    def _note_started(self) -> None:
        if self._worker_pool.worker_table.is_complete and not (
            self._is_started or self._stop.is_asked
        ):
            self._is_started = True
            self._announce()
            self._service_manager.ready()

    def _remove_names(self) -> None:
        """Once: afterwards another process may have taken them."""
        self._stop.names_go_at = math.inf
        for listener in self._bound:
            listener.remove_name()
        self._bound = ()
