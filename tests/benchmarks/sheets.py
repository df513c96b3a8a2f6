"""The tables of the report: which figures stand beside each other. No I/O."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.comparisons import added
from benchmarks.figures import Figures

Cell = Callable[[Figures, str], float | None]


@dataclass(frozen=True, slots=True)
class Column:
    """One figure of each contender.

    Attributes:
        is_compared: whether a ratio to ours says anything.
    """

    heading: str
    cell: Cell
    is_compared: bool = True


@dataclass(frozen=True, slots=True)
class Sheet:
    """One table: a row a contender.

    Attributes:
        note: what a reader must know.
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
    "ten_curls_ms": "10 curls at once",
    "first_curl_ms": "first curl after the start",
    "first_ten_curls_ms": "first 10 at once",
    "python_ovh_ms": "python-ovh",
    "ten_python_ovh_ms": "10 python-ovh at once",
}

_OPEN = "plain/open"
_START = {
    "listen_ms": "listening ms",
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
    Sheet("CPU seconds a 10 000 requests, plain upstream", _loads("plain/c{}/cpu_s")),
    Sheet("CPU seconds a 10 000 requests, TLS upstream", _loads("tls/c{}/cpu_s")),
    Sheet(
        "Time to the answer in ms at 500 requests/s, plain upstream",
        (
            *_columns(_OPEN, {"p50_ms": "p50", "p99_ms": "p99"}),
            Column("p50 added", _added(f"{_OPEN}/p50_ms")),
            Column("p99 added", _added(f"{_OPEN}/p99_ms")),
        ),
        "Requests leave on time whether or not the last one was answered; "
        "added is what a contender takes more than direct.",
    ),
    Sheet(
        "Another path each time, c = 64, plain upstream",
        _columns(
            "plain/varied",
            {"rate": "requests/s", "p99_ms": "p99 ms", "cpu_s": "CPU s a 10 000"},
        ),
        "In the tables above the load says the very same again and again, as pollers do, and "
        "ovh-proxy keeps what it decided about a request for when it comes again unchanged.",
    ),
    Sheet(
        "A connection a request, c = 64, plain upstream",
        _columns("plain/close", {"rate": "requests/s", "p99_ms": "p99 ms"}),
    ),
    Sheet(
        "Thousands of instructions a request, c = 16",
        (
            *_columns("plain/instructions", {"kept": "plain", "close": "plain, a connection each"}),
            *_columns("tls/instructions", {"kept": "TLS", "close": "TLS, a connection each"}),
        ),
        "Without the kernel's; counted, and so the same to one in a hundred in every run.",
    ),
    Sheet("1 GiB down, plain upstream", _columns("plain/down", _BODY)),
    Sheet("1 GiB down, TLS upstream", _columns("tls/down", _BODY)),
    Sheet("64 MiB up, plain upstream", _columns("plain/up", _BODY)),
    Sheet("32 slow readers of 64 MiB each, plain upstream", _columns("plain/slow", _BODY)),
    Sheet("32 slow readers of 64 MiB each, TLS upstream", _columns("tls/slow", _BODY)),
    Sheet("Start and size", _columns("start", _START)),
    Sheet("One call in ms, TLS 1.2, 40 ms away", _columns("far12/one_shot", _CALLS)),
    Sheet("One call in ms, TLS 1.3, 40 ms away", _columns("far/one_shot", _CALLS)),
)
