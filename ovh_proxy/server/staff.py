"""Fills the places of workers, answers what they ask, and fills the places again."""

import selectors
from collections.abc import Callable
from dataclasses import dataclass

from ovh_proxy.logs import Log
from ovh_proxy.server.board import Sends
from ovh_proxy.server.channel import Message
from ovh_proxy.server.signal_pipe import SignalPipe
from ovh_proxy.workers.coordinator import Coordinator
from ovh_proxy.workers.processes import WorkerProcesses, WorkerStart
from ovh_proxy.workers.worker_table import Worker, WorkerTable


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
