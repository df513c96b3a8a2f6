"""Answers workers at the supervisor: the shared cache, summed metrics, rate-limit slots."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ovh_proxy.limits.rate import LeakyBuckets
from ovh_proxy.observability.counters import (
    Levels,
    RequestCounters,
    Snapshot,
    process_levels,
    sum_snapshots,
)
from ovh_proxy.upstream.single_flight import Value
from ovh_proxy.workers.channel import Message
from ovh_proxy.workers.worker_table import Worker, WorkerTable

Sends = Iterator[tuple[int, Message]]
"""Messages to send, each with the worker that it is for."""


@dataclass(slots=True)
class Entry:
    """One thing that is found out once for all.

    Attributes:
        version: counts up with each value; 0 while there is none.
        asker: the worker that is finding out, if one is.
        waiting: those that want to know as well.
    """

    version: int = 0
    value: Value | None = None
    asker: int | None = None
    waiting: list[int] = field(default_factory=list)


class SharedCacheServer:
    """The supervisor's: it asks nobody itself, so that it can neither fail nor hang."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}

    @property
    def known(self) -> dict[str, tuple[int, Value]]:
        """Versions and values, for a worker that begins."""
        entries = self._entries.items()
        return {key: (one.version, one.value) for key, one in entries if one.value is not None}

    def want(self, worker: int, key: str, seen: int) -> Sends:
        """A worker wants a value newer than the version that it has seen."""
        entry = self._entries.setdefault(key, Entry())
        if entry.version > seen and entry.value is not None:
            yield worker, _told(key, entry)
        elif entry.asker is None:
            entry.asker = worker
            yield worker, {"is": "yours", "key": key}
        else:
            entry.waiting.append(worker)

    def find(self, worker: int, key: str, value: Value, workers: list[int]) -> Sends:
        """A worker has found out, whether it was its turn or not."""
        entry = self._entries.setdefault(key, Entry())
        entry.waiting.clear()
        if entry.asker == worker:
            entry.asker = None
        return self.publish(worker, key, value, workers)

    def publish(self, worker: int, key: str, value: Value, workers: list[int]) -> Sends:
        """A worker has met with something by the way; all of them are told."""
        entry = self._entries.setdefault(key, Entry())
        entry.version += 1
        entry.value = value
        for other in workers:
            # The one that told needs no more than the number of what it told.
            yield other, _told(key, entry, is_news=other != worker)

    def fail(self, worker: int, key: str, code: str, text: str) -> Sends:
        """A worker could not find out; those that wait get its error."""
        entry = self._entries.setdefault(key, Entry())
        if entry.asker != worker:
            return
        waiting, entry.waiting, entry.asker = entry.waiting, [], None
        for other in waiting:
            yield other, {"is": "failed", "key": key, "code": code, "text": text}

    def pass_on(self, worker: int, key: str) -> Sends:
        """A worker does not find out after all; the next one does."""
        entry = self._entries.setdefault(key, Entry())
        entry.waiting = [other for other in entry.waiting if other != worker]
        if entry.asker == worker:
            entry.asker = entry.waiting.pop(0) if entry.waiting else None
            if entry.asker is not None:
                yield entry.asker, {"is": "yours", "key": key}

    def leave(self, worker: int) -> Sends:
        """A worker has ended."""
        for key in self._entries:
            yield from self.pass_on(worker, key)


def _told(key: str, entry: Entry, *, is_news: bool = True) -> Message:
    told: Message = {"is": "told", "key": key, "version": entry.version}
    return told | {"value": entry.value} if is_news else told


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
            self._ended = [sum_snapshots([*self._ended, _without_gauges(snapshot)])]

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
        return sum_snapshots([own, *self._ended, *(one for one in living if one is not None)])


def _without_gauges(snapshot: Snapshot) -> Snapshot:
    return {
        **snapshot,
        "levels": _counters(snapshot["levels"]),
        "process": _counters(snapshot.get("process", {})),
    }


def _counters(levels: Levels) -> Levels:
    return {name: value for name, value in levels.items() if name.endswith("_total")}


class Coordinator:
    """Finds the answers; it sends and waits for nothing itself.

    Attributes:
        shared_cache: what the workers have found out.
        aggregator: what they have counted.
    """

    def __init__(self, worker_table: WorkerTable) -> None:
        self._worker_table = worker_table
        self._buckets = LeakyBuckets()
        self.shared_cache = SharedCacheServer()
        self.aggregator = MetricsAggregator(worker_table)
        self._answers: dict[str, Callable[..., Sends]] = {
            "want": self._want,
            "found": self._found,
            "tell": self._tell,
            "fail": self._fail,
            "pass": self._pass,
            "place": self._place,
            "give_back": self._release,
            "ask": self._ask,
            "counted": self._counted,
        }

    def take(self, worker: Worker, message: Message, now: float) -> Sends:
        """What a message leads to; nothing for one that is not for the desk."""
        about: dict[str, Any] = {name: value for name, value in message.items() if name != "is"}
        answer = self._answers.get(message["is"])
        return iter(()) if answer is None else answer(worker.pid, now, **about)

    def leave(self, worker: Worker, now: float) -> Sends:
        """A worker has ended."""
        self.aggregator.leave(worker.pid, worker.snapshot)
        yield from self.aggregator.answers(now)
        yield from self.shared_cache.leave(worker.pid)

    def _want(self, pid: int, _: float, key: str, seen: int) -> Sends:
        return self.shared_cache.want(pid, key, seen)

    def _found(self, pid: int, _: float, key: str, value: dict[str, Any]) -> Sends:
        return self.shared_cache.find(pid, key, value, self._worker_table.pids)

    def _tell(self, pid: int, _: float, key: str, value: dict[str, Any]) -> Sends:
        return self.shared_cache.publish(pid, key, value, self._worker_table.pids)

    def _fail(self, pid: int, _: float, key: str, code: str, text: str) -> Sends:
        return self.shared_cache.fail(pid, key, code, text)

    def _pass(self, pid: int, _: float, key: str) -> Sends:
        return self.shared_cache.pass_on(pid, key)

    def _place(
        self, pid: int, now: float, number: int, whose: str, per_minute: int, patience_s: float
    ) -> Sends:
        wait = self._buckets.reserve(whose, per_minute, patience_s, now)
        yield pid, {"is": "answer", "number": number, "wait": wait}

    def _release(self, _: int, now: float, whose: str, per_minute: int) -> Sends:
        self._buckets.release(whose, per_minute, now)
        return iter(())

    def _ask(self, pid: int, now: float, number: int, snapshot: dict[str, Any]) -> Sends:
        self.aggregator.counted(pid, snapshot)
        return self.aggregator.ask(pid, number, now)

    def _counted(self, pid: int, now: float, snapshot: dict[str, Any]) -> Sends:
        self.aggregator.counted(pid, snapshot)
        return self.aggregator.answers(now)
