"""Which workers there are, and when one that ended is restarted."""

import math
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field

from ovh_proxy.observability.counters import Snapshot
from ovh_proxy.workers.channel import MessageDecoder

# Precedent: containers of a Kubernetes pod, whose back-off also doubles up to a maximum and resets.
_FIRST_DELAY_S = 0.1
_MAX_DELAY_S = 30.0
# A worker that ran for this long ends for another reason than the one before it.
_STABLE_S = 60.0


@dataclass(slots=True)
class Worker:
    """A worker process, as its supervisor sees it.

    Attributes:
        started_at: seconds by a steady clock.
        unsent: bytes that it has not read yet.
        is_connected: its end of the channel is open, as far as known.
        is_ready: it accepts connections.
        snapshot: its last reported metrics.
    """

    pid: int
    channel: socket.socket
    started_at: float
    decoder: MessageDecoder = field(default_factory=MessageDecoder)
    unsent: bytearray = field(default_factory=bytearray)
    is_connected: bool = True
    is_ready: bool = False
    snapshot: Snapshot | None = None


@dataclass(slots=True)
class WorkerSlot:
    """One of the configured workers, across restarts.

    Attributes:
        failures: consecutive early exits.
        due_at: when the next worker may start.
    """

    number: int
    worker: Worker | None = None
    failures: int = 0
    due_at: float = 0.0

    def record_exit(self, now: float) -> float:
        """Removes the ended worker; returns the seconds until its replacement starts."""
        assert self.worker is not None
        self.failures = 1 if now - self.worker.started_at >= _STABLE_S else self.failures + 1
        self.worker = None
        return self.delay_start(now)

    def delay_start(self, now: float) -> float:
        """Delays the next worker; returns by how many seconds."""
        delay = restart_delay(self.failures)
        self.due_at = now + delay
        return delay


def restart_delay(failures: int) -> float:
    """Returns the seconds to wait before a restart."""
    # The exponent is bounded too: 2.0 ** 1024 is an OverflowError.
    return float(min(_FIRST_DELAY_S * 2 ** min(failures - 1, 30), _MAX_DELAY_S))


class WorkerTable:
    """The slots of all workers."""

    def __init__(self, workers: int) -> None:
        self.slots = tuple(WorkerSlot(number) for number in range(1, workers + 1))

    @property
    def workers(self) -> list[Worker]:
        """The running workers."""
        return [slot.worker for slot in self.slots if slot.worker is not None]

    @property
    def pids(self) -> list[int]:
        return [worker.pid for worker in self.workers]

    @property
    def is_complete(self) -> bool:
        """Whether every slot has a worker that accepts."""
        return all(slot.worker is not None and slot.worker.is_ready for slot in self.slots)

    def find(self, pid: int) -> Worker | None:
        return next((worker for worker in self.workers if worker.pid == pid), None)

    def due(self, now: float) -> Iterator[WorkerSlot]:
        """Yields the empty slots whose restart delay is over."""
        return (slot for slot in self.slots if slot.worker is None and slot.due_at <= now)

    @property
    def next_due_at(self) -> float:
        """When the next worker may start; infinity if all are running."""
        return min((one.due_at for one in self.slots if one.worker is None), default=math.inf)
