"""What the workers have found out for each other, and which of them is finding out."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from ovh_proxy.server.channel import Message
from ovh_proxy.upstream.single_flight import Value

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
