"""What workers ask of their supervisor, and what it answers."""

from collections.abc import Callable
from typing import Any

from ovh_proxy.server.board import Sends, SharedCacheServer
from ovh_proxy.server.buckets import LeakyBuckets
from ovh_proxy.server.census import MetricsAggregator
from ovh_proxy.server.channel import Message
from ovh_proxy.server.crew import Worker, WorkerTable


class Coordinator:
    """Finds the answers; it sends and waits for nothing itself.

    Attributes:
        board: what the workers have found out.
        census: what they have counted.
    """

    def __init__(self, crew: WorkerTable) -> None:
        self._crew = crew
        self._buckets = LeakyBuckets()
        self.board = SharedCacheServer()
        self.census = MetricsAggregator(crew)
        self._answers: dict[str, Callable[..., Sends]] = {
            "want": self._want,
            "found": self._found,
            "tell": self._tell,
            "fail": self._fail,
            "pass": self._pass,
            "place": self._place,
            "give_back": self._give_back,
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
        self.census.leave(worker.pid, worker.snapshot)
        yield from self.census.answers(now)
        yield from self.board.leave(worker.pid)

    def _want(self, pid: int, _: float, key: str, seen: int) -> Sends:
        return self.board.want(pid, key, seen)

    def _found(self, pid: int, _: float, key: str, value: dict[str, Any]) -> Sends:
        return self.board.find(pid, key, value, self._crew.pids)

    def _tell(self, pid: int, _: float, key: str, value: dict[str, Any]) -> Sends:
        return self.board.tell(pid, key, value, self._crew.pids)

    def _fail(self, pid: int, _: float, key: str, code: str, text: str) -> Sends:
        return self.board.fail(pid, key, code, text)

    def _pass(self, pid: int, _: float, key: str) -> Sends:
        return self.board.pass_on(pid, key)

    def _place(
        self, pid: int, now: float, number: int, whose: str, per_minute: int, patience_s: float
    ) -> Sends:
        wait = self._buckets.place(whose, per_minute, patience_s, now)
        yield pid, {"is": "answer", "number": number, "wait": wait}

    def _give_back(self, _: int, now: float, whose: str, per_minute: int) -> Sends:
        self._buckets.give_back(whose, per_minute, now)
        return iter(())

    def _ask(self, pid: int, now: float, number: int, snapshot: dict[str, Any]) -> Sends:
        self.census.counted(pid, snapshot)
        return self.census.ask(pid, number, now)

    def _counted(self, pid: int, now: float, snapshot: dict[str, Any]) -> Sends:
        self.census.counted(pid, snapshot)
        return self.census.answers(now)
