"""A contender that accepts connections."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.place import Place


@dataclass(frozen=True, slots=True)
class Running:
    """Where it is.

    Attributes:
        origin: what the load calls, without a path.
        pid: its first process, the leader of its session; None where there is no proxy.
        start_s: from its start to its first accepted connection.
        checkout: where it is this project: which tree of it.
    """

    origin: str
    pid: int | None = None
    start_s: float = 0.0
    checkout: Path | None = None

    @property
    def port(self) -> int:
        return int(self.origin.rpartition(":")[2])


# Takes the place and a flavour of upstream: `plain`, `tls`, `tls12`.
Start = Callable[[Place, str], AbstractContextManager[Running]]
