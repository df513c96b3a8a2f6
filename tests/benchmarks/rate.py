"""Measures requests per second, p99 and CPU time on kept connections."""

from benchmarks.bench import Bench
from benchmarks.processes import cpu_seconds
from benchmarks.running import Running
from benchmarks.upstream import TARGET
from benchmarks.wrk import wrk

WARM_CONNECTIONS = 64


def measure(bench: Bench, running: Running, flavour: str) -> dict[str, float]:
    """Measures each number of connections.

    Returns:
        `plain/c16/rate`, `…/p50_ms`, `…/p99_ms`, and `…/cpu_s` per 10,000 requests.
    """
    url = running.origin + TARGET
    wrk(url, bench.load_core, WARM_CONNECTIONS, 1)
    figures: dict[str, float] = {}
    for connections in bench.connections:
        before = _cpu(running)
        load = wrk(url, bench.load_core, connections, bench.seconds)
        name = f"{flavour}/c{connections}"
        figures[f"{name}/rate"] = load.rate
        figures[f"{name}/p50_ms"] = load.p50_ms
        figures[f"{name}/p99_ms"] = load.p99_ms
        if running.pid is not None:
            figures[f"{name}/cpu_s"] = (_cpu(running) - before) * 10_000 / load.requests
    return figures


def _cpu(running: Running) -> float:
    return 0.0 if running.pid is None else cpu_seconds(running.pid)
