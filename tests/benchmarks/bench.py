"""The environment of a measurement: cores, upstream, directories and options."""

import itertools
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.upstream import Upstream


@dataclass(frozen=True, slots=True)
class Bench:
    """One run of the benchmark.

    Attributes:
        proxy_core: the core of the contender.
        load_core: the core of the load generator and the upstream.
        against: another checkout of this project to compare with.
        settings: additional lines for the settings file of ovh-proxy.
    """

    home: Path
    proxy_core: int
    load_core: int
    upstream: Upstream
    seconds: float
    connections: tuple[int, ...]
    aws_sigv4_proxy: str | None = None
    mitmdump: str | None = None
    against: Path | None = None
    settings: tuple[str, ...] = ()
    _numbers: itertools.count = field(default_factory=itertools.count)  # type: ignore[type-arg]

    def directory(self, name: str) -> Path:
        """Creates a new directory."""
        path = self.home / f"{next(self._numbers)}-{name}"
        path.mkdir()
        return path
