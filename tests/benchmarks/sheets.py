"""The tables of the report: which figures each one shows. No I/O."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.comparisons import added
from benchmarks.figures import Figures

Cell = Callable[[Figures, str], float | None]


@dataclass(frozen=True, slots=True)
class Column:
    """One figure of each contender.

    Attributes:
        is_compared: whether to show the ratio to the figure of ovh-proxy.
    """

    heading: str
    cell: Cell
    is_compared: bool = True


@dataclass(frozen=True, slots=True)
class Sheet:
    """One table with a row per contender.

    Attributes:
        note: what the reader needs to know.
    """

    title: str
    columns: tuple[Column, ...]
    note: str = ""


def _figure(name: str) -> Cell:
    return lambda figures, contender: figures.median(contender, name)


def _added(name: str) -> Cell:
    def cell(figures: Figures, contender: str) -> float | None:
        return None if contender == "direct" else added(figures, contender, name)

    return cell


def _loads(template: str) -> tuple[Column, ...]:
    return tuple(
        Column(f"c={count}", _figure(template.format(count))) for count in (1, 16, 64, 256)
    )


def _columns(scene: str, headings: dict[str, str]) -> tuple[Column, ...]:
    return tuple(
        Column(heading, _figure(f"{scene}/{name}"), not name.endswith("_mib"))
        for name, heading in headings.items()
    )


_BODY = {
    "mb_s": "MB/s",
    "first_byte_ms": "first byte ms",
    "idle_mib": "idle MiB",
    "growth_mib": "memory added MiB",
}
_CALLS = {
    "curl_ms": "curl",
    "ten_curls_ms": "10 curls in parallel",
    "first_curl_ms": "first curl after startup",
    "first_ten_curls_ms": "first 10 in parallel",
    "python_ovh_ms": "python-ovh",
    "ten_python_ovh_ms": "10 python-ovh in parallel",
}

_OPEN = "plain/open"
_START = {
    "listen_ms": "ms until listening",
    "floor_ms": "import aiohttp.web ms",
    "first_call_ms": "first call ms",
    "healthcheck_ms": "healthcheck ms",
    "idle_mib": "idle MiB (RSS)",
    "idle_pss_mib": "idle MiB (PSS)",
}

SHEETS = (
    Sheet("Requests/s, plain upstream", _loads("plain/c{}/rate")),
    Sheet("Requests/s, TLS upstream", _loads("tls/c{}/rate")),
    Sheet("p99 in ms, plain upstream", _loads("plain/c{}/p99_ms")),
    Sheet("p99 in ms, TLS upstream", _loads("tls/c{}/p99_ms")),
    Sheet("CPU seconds per 10,000 requests, plain upstream", _loads("plain/c{}/cpu_s")),
    Sheet("CPU seconds per 10,000 requests, TLS upstream", _loads("tls/c{}/cpu_s")),
    Sheet(
        "Response time in ms at 500 requests/s, plain upstream",
        (
            *_columns(_OPEN, {"p50_ms": "p50", "p99_ms": "p99"}),
            Column("p50 added", _added(f"{_OPEN}/p50_ms")),
            Column("p99 added", _added(f"{_OPEN}/p99_ms")),
        ),
        "Requests are sent on schedule, whether or not the previous one was answered. "
        "The columns `added` show the difference from `direct`.",
    ),
    Sheet(
        "A different path for each request, c = 64, plain upstream",
        _columns(
            "plain/varied",
            {"rate": "requests/s", "p99_ms": "p99 ms", "cpu_s": "CPU s per 10,000"},
        ),
        "In the tables above, the load repeats the same request, as pollers do, and ovh-proxy "
        "caches its decisions about identical requests.",
    ),
    Sheet(
        "One connection per request, c = 64, plain upstream",
        _columns("plain/close", {"rate": "requests/s", "p99_ms": "p99 ms"}),
    ),
    Sheet(
        "Thousands of instructions per request, c = 16",
        (
            *_columns(
                "plain/instructions",
                {"kept": "plain", "close": "plain, one connection per request"},
            ),
            *_columns(
                "tls/instructions", {"kept": "TLS", "close": "TLS, one connection per request"}
            ),
        ),
        "Kernel instructions are not counted. The counts differ by at most 1% between runs.",
    ),
    Sheet("1 GiB download, plain upstream", _columns("plain/down", _BODY)),
    Sheet("1 GiB download, TLS upstream", _columns("tls/down", _BODY)),
    Sheet("64 MiB upload, plain upstream", _columns("plain/up", _BODY)),
    Sheet("32 slow readers of 64 MiB each, plain upstream", _columns("plain/slow", _BODY)),
    Sheet("32 slow readers of 64 MiB each, TLS upstream", _columns("tls/slow", _BODY)),
    Sheet("Startup time and memory", _columns("start", _START)),
    Sheet("One call in ms, TLS 1.2, 40 ms round trip", _columns("far12/one_shot", _CALLS)),
    Sheet("One call in ms, TLS 1.3, 40 ms round trip", _columns("far/one_shot", _CALLS)),
)
