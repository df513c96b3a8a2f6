"""What a supervisor does when, once a stop has been asked for."""

import math
from dataclasses import dataclass

from ovh_proxy.core.settings import Timeouts

# For workers to end beyond the time that they give themselves, or after they are told to at once.
_GRACE_S = 5.0


@dataclass(frozen=True, slots=True)
class ShutdownResult:
    """How it all ended.

    Attributes:
        is_clean: every worker let its requests in flight end.
        signal: that asked for the stop.
        failed: the exit code of a worker that could not begin, else 0.
    """

    is_clean: bool
    signal: int | None
    failed: int


class ShutdownSchedule:
    """The moments of a stop; all of them never, while nobody has asked.

    Attributes:
        names_go_at: when the files of unix sockets are removed.
        kill_at: when workers that still live are killed.
    """

    def __init__(self) -> None:
        self.is_asked = False
        self.names_go_at = math.inf
        self.kill_at = math.inf
        self._signal: int | None = None
        self._is_clean = True
        self._failed = 0

    def ask(self, number: int, now: float, timeouts: Timeouts) -> None:
        """A signal asks for a clean end."""
        self.is_asked, self._signal = True, number
        self.names_go_at = now + timeouts.drain_delay_s
        self.kill_at = self.names_go_at + timeouts.drain_s + _GRACE_S

    def fail(self, code: int) -> None:
        """A worker could not begin, and so no other can."""
        self.is_asked, self._failed = True, code

    def force(self, now: float) -> None:
        """The end is to come at once."""
        self.names_go_at = now
        self.kill_at = min(self.kill_at, now + _GRACE_S)

    def takes_to_kill(self, now: float) -> bool:
        """Whether it is time, once, to kill those that are left."""
        is_time = self.kill_at <= now
        if is_time:
            self.kill_at = math.inf
        return is_time

    @property
    def next_due_at(self) -> float:
        """The next of the two moments."""
        return min(self.names_go_at, self.kill_at)

    def record(self, code: int) -> None:
        """A worker has ended with an exit code."""
        self._is_clean = self._is_clean and code == 0

    @property
    def ending(self) -> ShutdownResult:
        return ShutdownResult(self._is_clean, self._signal, self._failed)
