"""What workers ask of their supervisor, and what it answers."""

from collections.abc import Callable
from typing import Any

from ovh_proxy.limits.rate import LeakyBuckets
from ovh_proxy.server.board import Sends, SharedCacheServer
from ovh_proxy.server.census import MetricsAggregator
from ovh_proxy.server.channel import Message
from ovh_proxy.workers.worker_table import Worker, WorkerTable


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
        wait = self._buckets.place(whose, per_minute, patience_s, now)
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
