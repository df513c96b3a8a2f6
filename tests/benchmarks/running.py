"""A contender that accepts connections."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bench import Bench


@dataclass(frozen=True, slots=True)
class Running:
    """The address and process of a running contender.

    Attributes:
        origin: the URL that the load calls, without a path.
        pid: its first process, the leader of its session; None without a proxy.
        start_s: seconds from its start to the first accepted connection.
        checkout: the checkout of this project that it runs from, if any.
    """

    origin: str
    pid: int | None = None
    start_s: float = 0.0
    checkout: Path | None = None

    @property
    def port(self) -> int:
        return int(self.origin.rpartition(":")[2])


# Takes the bench and the kind of upstream: `plain`, `tls`, `tls12`.
Start = Callable[[Bench, str], AbstractContextManager[Running]]
