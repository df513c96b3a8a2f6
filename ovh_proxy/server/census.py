"""What all workers have counted together, those that have ended included."""

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from ovh_proxy.observability.counters import (
    Levels,
    RequestCounters,
    Snapshot,
    process_levels,
    sum_processes,
)
from ovh_proxy.server.board import Sends
from ovh_proxy.workers.worker_table import WorkerTable

# For a worker that is asked what it has counted; after that its last word counts.
_ANSWER_S = 1.0


@dataclass(slots=True)
class _Question:
    asker: int
    number: int
    missing: set[int]
    until: float


class MetricsAggregator:
    """The supervisor's: no count ever goes back when a worker ends.

    Attributes:
        restarts: workers that took the place of one that ended.
    """

    def __init__(self, worker_table: WorkerTable) -> None:
        self._worker_table = worker_table
        self._ended: list[Snapshot] = []
        self._questions: list[_Question] = []
        self.restarts = 0

    def ask(self, asker: int, number: int, now: float) -> Sends:
        """A worker wants to know what the others have counted; they are asked.

        Args:
            number: of its question, which the answer carries.
        """
        ready = {worker.pid for worker in self._worker_table.workers if worker.is_ready} - {asker}
        self._questions.append(_Question(asker, number, set(ready), now + _ANSWER_S))
        for other in ready:
            yield other, {"is": "count"}
        yield from self.answers(now)

    def counted(self, pid: int, snapshot: Snapshot) -> None:
        """A worker says what it has counted so far."""
        worker = self._worker_table.find(pid)
        if worker is not None:
            # What the system says of it comes with an answer only.
            worker.snapshot = {**(worker.snapshot or {}), **snapshot}
        for question in self._questions:
            question.missing.discard(pid)

    def leave(self, pid: int, snapshot: Snapshot | None) -> None:
        """A worker has ended: what it had counted is kept, what it held is not."""
        self._questions = [one for one in self._questions if one.asker != pid]
        for question in self._questions:
            question.missing.discard(pid)
        if snapshot is not None:
            self._ended = [_sum([*self._ended, _without_gauges(snapshot)])]

    def answers(self, now: float) -> Sends:
        """The questions that can be answered, or have waited long enough."""
        ripe = [one for one in self._questions if not one.missing or one.until <= now]
        self._questions = [one for one in self._questions if one not in ripe]
        for question in ripe:
            told = {"number": question.number, "snapshot": self._others(question.asker)}
            yield question.asker, {"is": "answer", **told}

    @property
    def next_due_at(self) -> float:
        """When the next question has waited long enough."""
        return min((question.until for question in self._questions), default=math.inf)

    def _others(self, asker: int) -> Snapshot:
        own = {
            **RequestCounters().snapshot(),
            "levels": {"ovh_proxy_worker_restarts_total": self.restarts},
            "process": process_levels(),
        }
        living = [one.snapshot for one in self._worker_table.workers if one.pid != asker]
        return _sum([own, *self._ended, *(one for one in living if one is not None)])


def _sum(snapshots: Iterable[Snapshot]) -> Snapshot:
    counters, levels, processes = RequestCounters(), defaultdict[str, float](float), list[Levels]()
    for snapshot in snapshots:
        counters.add(snapshot)
        processes.append(snapshot.get("process", {}))
        for name, value in snapshot["levels"].items():
            levels[name] += value
    return {**counters.snapshot(), "levels": dict(levels), "process": sum_processes(processes)}


def _without_gauges(snapshot: Snapshot) -> Snapshot:
    return {
        **snapshot,
        "levels": _counters(snapshot["levels"]),
        "process": _counters(snapshot.get("process", {})),
    }


def _counters(levels: Levels) -> Levels:
    return {name: value for name, value in levels.items() if name.endswith("_total")}
