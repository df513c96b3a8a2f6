"""Which workers there are, and when one that ended is restarted."""

import math
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field

from ovh_proxy.observability.counters import Snapshot
from ovh_proxy.workers.channel import MessageDecoder

# Precedent: containers of a pod, whose pause doubles as well, forgets, and has an upper bound.
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 30.0
# A worker that has lived this long ends by another accident than the one before it.
_STEADY_S = 60.0


@dataclass(slots=True)
class Worker:
    """A process that serves, as its supervisor sees it.

    Attributes:
        began: seconds by a steady clock.
        unsent: bytes that it has not taken yet.
        is_heard: its end of the channel is open, as far as is known.
        is_ready: it accepts connections.
        snapshot: what it had counted when it last told.
    """

    pid: int
    channel: socket.socket
    began: float
    unpacker: MessageDecoder = field(default_factory=MessageDecoder)
    unsent: bytearray = field(default_factory=bytearray)
    is_heard: bool = True
    is_ready: bool = False
    snapshot: Snapshot | None = None


@dataclass(slots=True)
class WorkerSlot:
    """One of the workers that are wanted, whoever fills it.

    Attributes:
        deaths: in a row, each soon after the last.
        due_at: when the next worker may begin.
    """

    number: int
    worker: Worker | None = None
    deaths: int = 0
    due_at: float = 0.0

    def vacate(self, now: float) -> float:
        """The worker has ended; gives the seconds until another begins."""
        assert self.worker is not None
        self.deaths = 1 if now - self.worker.began >= _STEADY_S else self.deaths + 1
        self.worker = None
        return self.wait(now)

    def wait(self, now: float) -> float:
        """Puts the next worker off by a pause, and gives its seconds."""
        pause = pause_after(self.deaths)
        self.due_at = now + pause
        return pause


def pause_after(deaths: int) -> float:
    """Seconds before a worker takes the place of one that ended."""
    # The exponent is bounded too: 2.0 ** 1024 is an OverflowError.
    return float(min(_FIRST_PAUSE_S * 2 ** min(deaths - 1, 30), _LONGEST_PAUSE_S))


class WorkerTable:
    """All places."""

    def __init__(self, wanted: int) -> None:
        self.slots = tuple(WorkerSlot(number) for number in range(1, wanted + 1))

    @property
    def workers(self) -> list[Worker]:
        """Those that live."""
        return [slot.worker for slot in self.slots if slot.worker is not None]

    @property
    def pids(self) -> list[int]:
        return [worker.pid for worker in self.workers]

    @property
    def is_complete(self) -> bool:
        """Whether every place is filled by a worker that accepts."""
        return all(slot.worker is not None and slot.worker.is_ready for slot in self.slots)

    def find(self, pid: int) -> Worker | None:
        return next((worker for worker in self.workers if worker.pid == pid), None)

    def due(self, now: float) -> Iterator[WorkerSlot]:
        """The places that wait for nothing but their worker."""
        return (slot for slot in self.slots if slot.worker is None and slot.due_at <= now)

    @property
    def next_due_at(self) -> float:
        """When the next worker may begin; never, with all of them there."""
        return min((one.due_at for one in self.slots if one.worker is None), default=math.inf)
