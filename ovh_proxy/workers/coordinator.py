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
"""Messages to send, each with the process ID of the recipient."""


@dataclass(slots=True)
class _Entry:
    """One cached value.

    Attributes:
        version: increases with each value; 0 while there is none.
        fetcher: the worker that is fetching a new value.
        waiting: other workers that wait for it.
    """

    version: int = 0
    value: Value | None = None
    fetcher: int | None = None
    waiting: list[int] = field(default_factory=list)


class SharedCacheServer:
    """The supervisor's side; it fetches nothing itself, so it can neither fail nor hang."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}

    @property
    def cached(self) -> dict[str, tuple[int, Value]]:
        """Versions and values, for a new worker."""
        entries = self._entries.items()
        return {key: (one.version, one.value) for key, one in entries if one.value is not None}

    def request(self, worker: int, key: str, seen: int) -> Sends:
        """Handles a request for a value newer than version `seen`."""
        entry = self._entries.setdefault(key, _Entry())
        if entry.version > seen and entry.value is not None:
            yield worker, _value_message(key, entry)
        elif entry.fetcher is None:
            entry.fetcher = worker
            yield worker, {"type": "your_turn", "key": key}
        else:
            entry.waiting.append(worker)

    def store(self, worker: int, key: str, value: Value, workers: list[int]) -> Sends:
        """Handles a fetched value, even if it was not this worker's turn."""
        entry = self._entries.setdefault(key, _Entry())
        entry.waiting.clear()
        if entry.fetcher == worker:
            entry.fetcher = None
        return self.publish(worker, key, value, workers)

    def publish(self, worker: int, key: str, value: Value, workers: list[int]) -> Sends:
        """Sends a value to all workers, without ending a fetch."""
        entry = self._entries.setdefault(key, _Entry())
        entry.version += 1
        entry.value = value
        for other in workers:
            # The sender needs only the version.
            yield other, _value_message(key, entry, with_value=other != worker)

    def fail(self, worker: int, key: str, code: str, text: str) -> Sends:
        """Handles a failed fetch: waiting workers get the error."""
        entry = self._entries.setdefault(key, _Entry())
        if entry.fetcher != worker:
            return
        waiting, entry.waiting, entry.fetcher = entry.waiting, [], None
        for other in waiting:
            yield other, {"type": "failed", "key": key, "code": code, "text": text}

    def decline(self, worker: int, key: str) -> Sends:
        """Passes the turn of a worker that no longer waits to the next one."""
        entry = self._entries.setdefault(key, _Entry())
        entry.waiting = [other for other in entry.waiting if other != worker]
        if entry.fetcher == worker:
            entry.fetcher = entry.waiting.pop(0) if entry.waiting else None
            if entry.fetcher is not None:
                yield entry.fetcher, {"type": "your_turn", "key": key}

    def remove_worker(self, worker: int) -> Sends:
        """Passes on the turns of a worker that has ended."""
        for key in self._entries:
            yield from self.decline(worker, key)


def _value_message(key: str, entry: _Entry, *, with_value: bool = True) -> Message:
    message: Message = {"type": "value", "key": key, "version": entry.version}
    return message | {"value": entry.value} if with_value else message


# How long a worker has to report its metrics; after that its last report is used.
_REPORT_TIMEOUT_S = 1.0


@dataclass(slots=True)
class _Collection:
    """A worker's request for the metrics of all others.

    Attributes:
        missing: workers that have not reported yet.
        deadline: when to reply without them.
    """

    worker: int
    request_id: int
    missing: set[int]
    deadline: float


class MetricsAggregator:
    """Sums the metrics of all workers; counters never go back when a worker ends.

    Attributes:
        restarts: how many ended workers were replaced.
    """

    def __init__(self, worker_table: WorkerTable) -> None:
        self._worker_table = worker_table
        self._ended: list[Snapshot] = []
        self._collections: list[_Collection] = []
        self.restarts = 0

    def collect(self, pid: int, request_id: int, now: float) -> Sends:
        """Asks all other workers for their metrics, on behalf of one."""
        ready = {worker.pid for worker in self._worker_table.workers if worker.is_ready} - {pid}
        self._collections.append(_Collection(pid, request_id, set(ready), now + _REPORT_TIMEOUT_S))
        for other in ready:
            yield other, {"type": "report_metrics"}
        yield from self.replies(now)

    def record(self, pid: int, snapshot: Snapshot) -> None:
        """Records the metrics of a worker."""
        worker = self._worker_table.find(pid)
        if worker is not None:
            # Periodic reports leave out the metrics of the process; keep those of the last one.
            worker.snapshot = {**(worker.snapshot or {}), **snapshot}
        for collection in self._collections:
            collection.missing.discard(pid)

    def remove_worker(self, pid: int, snapshot: Snapshot | None) -> None:
        """Keeps the counters of a worker that has ended, and drops its gauges."""
        self._collections = [one for one in self._collections if one.worker != pid]
        for collection in self._collections:
            collection.missing.discard(pid)
        if snapshot is not None:
            self._ended = [sum_snapshots([*self._ended, _without_gauges(snapshot)])]

    def replies(self, now: float) -> Sends:
        """Yields the replies that are complete or whose deadline has passed."""
        done = [one for one in self._collections if not one.missing or one.deadline <= now]
        self._collections = [one for one in self._collections if one not in done]
        for one in done:
            snapshot = self._others(one.worker)
            yield one.worker, _reply(one.request_id, snapshot=snapshot)

    @property
    def next_due_at(self) -> float:
        """The next deadline; infinity if no worker waits."""
        return min((one.deadline for one in self._collections), default=math.inf)

    def _others(self, pid: int) -> Snapshot:
        own = {
            **RequestCounters().snapshot(),
            "levels": {"ovh_proxy_worker_restarts_total": self.restarts},
            "process": process_levels(),
        }
        running = [one.snapshot for one in self._worker_table.workers if one.pid != pid]
        return sum_snapshots([own, *self._ended, *(one for one in running if one is not None)])


def _without_gauges(snapshot: Snapshot) -> Snapshot:
    return {
        **snapshot,
        "levels": _counters(snapshot["levels"]),
        "process": _counters(snapshot.get("process", {})),
    }


def _counters(levels: Levels) -> Levels:
    return {name: value for name, value in levels.items() if name.endswith("_total")}


def _reply(request_id: int, **fields: Any) -> Message:
    return {"type": "reply", "request_id": request_id, **fields}


class Coordinator:
    """Handles the messages of workers; it does no I/O itself."""

    def __init__(self, worker_table: WorkerTable) -> None:
        self._worker_table = worker_table
        self._buckets = LeakyBuckets()
        self.shared_cache = SharedCacheServer()
        self.aggregator = MetricsAggregator(worker_table)
        self._handlers: dict[str, Callable[..., Sends]] = {
            "fetch": self._on_fetch,
            "fetched": self._on_fetched,
            "publish": self._on_publish,
            "fetch_failed": self._on_fetch_failed,
            "decline": self._on_decline,
            "acquire": self._on_acquire,
            "release": self._on_release,
            "collect_metrics": self._on_collect_metrics,
            "metrics": self._on_metrics,
        }

    def handle(self, worker: Worker, message: Message, now: float) -> Sends:
        """Returns the messages to send because of this one; none for other types."""
        fields = {name: value for name, value in message.items() if name != "type"}
        handler = self._handlers.get(message["type"])
        return iter(()) if handler is None else handler(worker.pid, now, **fields)

    def remove_worker(self, worker: Worker, now: float) -> Sends:
        """Returns the messages to send because a worker has ended."""
        self.aggregator.remove_worker(worker.pid, worker.snapshot)
        yield from self.aggregator.replies(now)
        yield from self.shared_cache.remove_worker(worker.pid)

    def _on_fetch(self, pid: int, _: float, key: str, seen: int) -> Sends:
        return self.shared_cache.request(pid, key, seen)

    def _on_fetched(self, pid: int, _: float, key: str, value: dict[str, Any]) -> Sends:
        return self.shared_cache.store(pid, key, value, self._worker_table.pids)

    def _on_publish(self, pid: int, _: float, key: str, value: dict[str, Any]) -> Sends:
        return self.shared_cache.publish(pid, key, value, self._worker_table.pids)

    def _on_fetch_failed(self, pid: int, _: float, key: str, code: str, text: str) -> Sends:
        return self.shared_cache.fail(pid, key, code, text)

    def _on_decline(self, pid: int, _: float, key: str) -> Sends:
        return self.shared_cache.decline(pid, key)

    def _on_acquire(
        self, pid: int, now: float, request_id: int, bucket: str, per_minute: int, patience_s: float
    ) -> Sends:
        wait_s = self._buckets.reserve(bucket, per_minute, patience_s, now)
        yield pid, _reply(request_id, wait_s=wait_s)

    def _on_release(self, _: int, now: float, bucket: str, per_minute: int) -> Sends:
        self._buckets.release(bucket, per_minute, now)
        return iter(())

    def _on_collect_metrics(
        self, pid: int, now: float, request_id: int, snapshot: dict[str, Any]
    ) -> Sends:
        self.aggregator.record(pid, snapshot)
        return self.aggregator.collect(pid, request_id, now)

    def _on_metrics(self, pid: int, now: float, snapshot: dict[str, Any]) -> Sends:
        self.aggregator.record(pid, snapshot)
        return self.aggregator.replies(now)
