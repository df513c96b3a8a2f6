"""The performance targets of this project, one row each. No I/O."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.comparisons import LUA, NAIVE, NGINX, Value, added_by, by, by_aws, one_shot, ours
from benchmarks.figures import Figures

# The default of `limits.memory_body_bytes`. Larger bodies are stored on disk.
SPOOL_MIB = 1
Part = tuple[str, Value]


@dataclass(frozen=True, slots=True)
class Row:
    """One target.

    Attributes:
        is_floor: whether the limit is a minimum, not a maximum.
        parts: the values that must meet the limit, each with a label.
    """

    text: str
    is_floor: bool
    limit: float
    unit: str
    parts: tuple[Part, ...]

    @property
    def bound(self) -> str:
        """The limit as text."""
        return f"{'at least' if self.is_floor else 'at most'} {self.limit:g} {self.unit}"

    def values(self, figures: Figures) -> list[tuple[str, float | None]]:
        """The measured values by label."""
        return [(label, value(figures)) for label, value in self.parts]

    def verdict(self, figures: Figures) -> str:
        """`met`, `not met`, or `not measured` if a part is unknown and no known part fails."""
        values = [value for _, value in self.values(figures)]
        if any(value is not None and not self.is_reached_by(value) for value in values):
            return "not met"
        return "not measured" if None in values else "met"

    def is_reached_by(self, value: float) -> bool:
        """Whether a value meets the limit."""
        return value >= self.limit if self.is_floor else value <= self.limit


def times(text: str, least: float, *parts: Part) -> Row:
    """A row that requires at least this ratio."""
    return Row(text, True, least, "times", parts)


def times_at_most(text: str, most: float, *parts: Part) -> Row:
    """A row that allows at most this ratio."""
    return Row(text, False, most, "times", parts)


def mib_at_most(text: str, most: float, *parts: Part) -> Row:
    """A row that limits memory."""
    return Row(text, False, most, "MiB", parts)


def _of(make: Callable[[str], Value], template: str, *labels: str) -> tuple[Part, ...]:
    return tuple((label, make(template.format(label))) for label in labels)


def _by_lua(name: str) -> Value:
    return by(LUA, name)


def _by_naive(name: str) -> Value:
    return by(NAIVE, name)


_LOADS = ("c16", "c64", "c256")
_BOTH = ("plain", "tls")
_ONE_SHOT = "time of one python-ovh call vs. one curl call through ovh-proxy"
_AWS, _LUA, _NAIVE = "vs. aws-sigv4-proxy", "vs. nginx + Lua", "vs. naive aiohttp"

BAR = (
    times(f"requests/s {_AWS}, plain upstream", 1.5, *_of(by_aws, "plain/{}/rate", *_LOADS)),
    times(f"requests/s {_AWS}, TLS upstream", 4, *_of(by_aws, "tls/{}/rate", *_LOADS)),
    times(f"requests/s {_LUA}, c = 64", 0.3, *_of(_by_lua, "{}/c64/rate", *_BOTH)),
    times(f"requests/s {_NAIVE}, plain upstream", 2.5, *_of(_by_naive, "plain/{}/rate", *_LOADS)),
    times(f"requests/s {_NAIVE}, TLS upstream", 2.5, *_of(_by_naive, "tls/{}/rate", *_LOADS)),
    times_at_most(
        f"p50 added at 500 requests/s {_LUA}", 2, ("plain", added_by(LUA, "plain/open/p50_ms"))
    ),
    times_at_most(f"p99 {_AWS}, c = 64", 1, ("plain", by_aws("plain/c64/p99_ms"))),
    times("1 GiB download, speed vs. nginx proxy_pass", 1, ("plain", by(NGINX, "plain/down/mb_s"))),
    mib_at_most("1 GiB download, memory added", 16, *_of(ours, "{}/down/growth_mib", *_BOTH)),
    mib_at_most("32 slow readers, memory added", 24, *_of(ours, "{}/slow/growth_mib", *_BOTH)),
    times_at_most(
        f"CPU seconds per request {_NAIVE}, c = 16", 0.4, *_of(_by_naive, "{}/c16/cpu_s", *_BOTH)
    ),
    times(
        f"requests/s {_AWS}, one connection per request", 0.8, ("plain", by_aws("plain/close/rate"))
    ),
    times(f"64 MiB upload, speed {_LUA}", 2, ("plain", by(LUA, "plain/up/mb_s"))),
    mib_at_most(
        "64 MiB upload, memory added, 8 above the spool threshold",
        8 + SPOOL_MIB,
        ("plain", ours("plain/up/growth_mib")),
    ),
    times(f"{_ONE_SHOT}, TLS 1.2", 6, ("40 ms round trip", one_shot("far12"))),
    times(f"{_ONE_SHOT}, TLS 1.3", 6, ("40 ms round trip", one_shot("far"))),
)
