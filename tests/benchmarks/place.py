"""Where a measurement runs: cores, upstream, directories, and what else was handed in."""

import itertools
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.upstream import Upstream


@dataclass(frozen=True, slots=True)
class Place:
    """One run of the suite.

    Attributes:
        proxy_core: the contender alone is there.
        load_core: load and upstream are there.
        against: another checkout of this project, to measure beside this one.
        settings: further lines for our own settings file.
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
        """A new directory."""
        path = self.home / f"{next(self._numbers)}-{name}"
        path.mkdir()
        return path
