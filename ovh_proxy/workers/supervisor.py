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
from ovh_proxy.server.systemd import ServiceManager, SystemdNotifier
from ovh_proxy.workers.channel import Message
from ovh_proxy.workers.processes import STOPS, SignalPipe, WorkerExit, WorkerPool, WorkerStart
from ovh_proxy.workers.worker_table import Worker

# For workers to exit after their own drain deadline, or after a forced stop.
_GRACE_S = 5.0


@dataclass(frozen=True, slots=True)
class ShutdownResult:
    """How the shutdown went.

    Attributes:
        is_clean: every worker completed its requests in flight.
        signal: the signal that requested it.
        failed: the exit code of a worker that could not start, else 0.
    """

    is_clean: bool
    signal: int | None
    failed: int


class ShutdownSchedule:
    """The deadlines of a shutdown; infinity until one is requested.

    Attributes:
        unlink_at: when the files of unix sockets are removed.
        kill_at: when workers that still run are killed.
    """

    def __init__(self) -> None:
        self.is_requested = False
        self.unlink_at = math.inf
        self.kill_at = math.inf
        self._signal: int | None = None
        self._is_clean = True
        self._failed = 0

    def request(self, number: int, now: float, timeouts: Timeouts) -> None:
        """Schedules a clean shutdown."""
        self.is_requested, self._signal = True, number
        self.unlink_at = now + timeouts.drain_delay_s
        self.kill_at = self.unlink_at + timeouts.drain_s + _GRACE_S

    def fail(self, code: int) -> None:
        """Requests a shutdown because a worker could not start, so no other can."""
        self.is_requested, self._failed = True, code

    def force(self, now: float) -> None:
        """Schedules an immediate shutdown."""
        self.unlink_at = now
        self.kill_at = min(self.kill_at, now + _GRACE_S)

    def should_kill(self, now: float) -> bool:
        """Whether to kill the remaining workers now; true only once."""
        is_due = self.kill_at <= now
        if is_due:
            self.kill_at = math.inf
        return is_due

    @property
    def next_due_at(self) -> float:
        """The next deadline."""
        return min(self.unlink_at, self.kill_at)

    def record(self, code: int) -> None:
        """Records the exit code of a worker."""
        self._is_clean = self._is_clean and code == 0

    @property
    def result(self) -> ShutdownResult:
        return ShutdownResult(self._is_clean, self._signal, self._failed)


class ReloadBarrier:
    """Reports a reload as done once every worker has reloaded; a new one starts over."""

    def __init__(self, service_manager: ServiceManager) -> None:
        self._service_manager = service_manager
        self._missing: set[int] = set()

    def begin(self, pids: Iterable[int]) -> None:
        """Starts a reload in these workers."""
        self._service_manager.reloading()
        self._missing = set(pids)

    def record(self, pid: int) -> None:
        """Records that a worker has reloaded or ended."""
        if pid in self._missing:
            self._missing.remove(pid)
            if not self._missing:
                self._service_manager.ready()


class Supervisor:
    """The parent of all workers.

    It has neither threads nor an event loop, so it can fork at any time. It waits only for its
    workers and for signals, so little can fail.
    """

    def __init__(
        self,
        settings: Settings,
        bound: Sequence[BoundListener],
        shares: ConnectionCounts,
        log: Log,
        service_manager: SystemdNotifier,
        announce: Callable[[], None],
    ) -> None:
        """
        Args:
            bound: the sockets on which all workers accept.
            announce: called once, when every worker accepts.
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
            settings.workers, self._signals, self._selector, log, self._on_message
        )
        self._stop = ShutdownSchedule()
        self._reload = ReloadBarrier(service_manager)
        self._is_started = False
        self._watchdog_due_at = math.inf if service_manager.watchdog_s is None else 0.0

    def run(self) -> WorkerStart | ShutdownResult:
        """Supervises; returns in each new worker, and in the supervisor after shutdown."""
        gc.collect()  # frozen objects are never collected, so their memory stays shared
        gc.freeze()
        self._selector.register(self._signals, selectors.EVENT_READ, self._on_signals)
        while self._worker_pool.worker_table.workers or not self._stop.is_requested:
            now = time.monotonic()
            if not self._stop.is_requested:
                start = self._worker_pool.fill(now, is_restart=self._is_started)
                if start is not None:
                    return start
            for key, _ in self._selector.select(self._timeout(now)):
                key.data()
            self._run_due(time.monotonic())
        self._unlink_sockets()
        return self._stop.result

    def _timeout(self, now: float) -> float | None:
        """Returns the seconds until the next deadline; None without one."""
        starts_at = (
            math.inf if self._stop.is_requested else self._worker_pool.worker_table.next_due_at
        )
        first = min(
            starts_at,
            self._worker_pool.coordinator.aggregator.next_due_at,
            self._stop.next_due_at,
            self._watchdog_due_at,
        )
        return None if first == math.inf else max(0.0, first - now)

    def _run_due(self, now: float) -> None:
        if self._watchdog_due_at <= now:
            self._service_manager.alive()
            self._watchdog_due_at = now + (self._service_manager.watchdog_s or math.inf)
        self._worker_pool.reply_overdue(now)
        if self._stop.unlink_at <= now:
            self._unlink_sockets()
        if self._stop.should_kill(now):
            self._worker_pool.kill_all()

    def _on_signals(self) -> None:
        for number in self._signals.received():
            if number in STOPS:
                self._on_stop(number, time.monotonic())
            elif number == signal.SIGHUP:
                self._on_reload()
            else:
                for worker_exit in self._worker_pool.reap(time.monotonic()):
                    self._on_exit(worker_exit)

    def _on_stop(self, number: int, now: float) -> None:
        if self._stop.is_requested:
            self._stop.force(now)
            self._worker_pool.broadcast({"type": "force"})
            return
        self._service_manager.stopping()
        self._stop.request(number, now, self._timeouts)
        # From now on only the workers accept, each until it closes its own sockets.
        for listener in self._bound:
            listener.close()
        self._worker_pool.broadcast({"type": "stop"})

    def _on_reload(self) -> None:
        if not self._stop.is_requested:
            self._reload.begin(self._worker_pool.worker_table.pids)
            self._worker_pool.broadcast({"type": "reload"})

    def _on_exit(self, ended: WorkerExit) -> None:
        self._shares.vacate(ended.number)
        self._reload.record(ended.worker.pid)
        if self._stop.is_requested:
            self._stop.record(ended.code)
        elif not self._is_started and not ended.worker.is_ready and ended.code > 0:
            # It has printed why; the other workers cannot start for the same reason.
            self._stop.fail(ended.code)
            self._on_stop(signal.SIGTERM, time.monotonic())
        else:
            self._log.write(
                "warning",
                "a worker ended, starting another",
                ended=str(ended),
                worker=ended.number,
                pid=ended.worker.pid,
                again_s=ended.restart_in_s,
            )

    def _on_message(self, worker: Worker, message: Message, _: float) -> None:
        if message["type"] == "ready":
            worker.is_ready = True
            self._announce_if_complete()
            self._reload.record(worker.pid)
        elif message["type"] == "settings_applied":
            self._worker_pool.is_stale = True
            self._timeouts = replace(self._timeouts, **message["timeouts"])
            self._log.set_level(message["log_level"])

    def _announce_if_complete(self) -> None:
        if self._worker_pool.worker_table.is_complete and not (
            self._is_started or self._stop.is_requested
        ):
            self._is_started = True
            self._announce()
            self._service_manager.ready()

    def _unlink_sockets(self) -> None:
        """Removes the files of unix sockets, once: another process may create them again."""
        self._stop.unlink_at = math.inf
        for listener in self._bound:
            listener.remove_name()
        self._bound = ()
